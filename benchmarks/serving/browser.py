"""A sentence in the page of `rs2sam serve`, from Enter to painted pixels, in headless Chromium.

    python -m benchmarks.serving.browser                            # needs rs2sam[browser], chromium and chromedriver
    python -m benchmarks.serving.browser --model DIR --image photo.tif --sentences 10

The image is opened through the page's file input and asked once; then each sentence is timed by the page's own clock,
from the key to the second frame after its layer is listed, by which the canvas shows it. However this ends, service and
browser end with it. Prints the results and writes them to benchmarks/results/serving_browser.json.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.files import RESULTS, write_json
from benchmarks.serving.load import percentiles
from benchmarks.serving.running import SENTENCES, bounded, ends_with_parent, parser_of, service
from benchmarks.speed.segment import source_pixels, write_scene
from rs2sam.benchmarking.machine import describe_machine

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
SECONDS = 150.0
PATIENCE_S = 120.0
ASK = """
const [sentence, done] = arguments, field = document.getElementById("sentence");
const isListed = () => document.querySelector(".layer-title")?.textContent === sentence;
field.value = sentence;
const start = performance.now();
const watcher = new MutationObserver(() => {
  if (!isListed()) return;
  watcher.disconnect();
  requestAnimationFrame(() => requestAnimationFrame(() => done((performance.now() - start) / 1000)));
});
watcher.observe(document.body, { childList: true, subtree: true, characterData: true });
field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
"""


def browser(folder: Path) -> Any:
    """Chromium without a window and without a past.

    Raises:
        SystemExit: it is not installed.
    """
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError as error:
        raise SystemExit("This needs selenium: pip install 'rs2sam[browser]'") from error
    binary, program = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if not binary or not program:
        raise SystemExit("This needs chromium with its chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    chrome = webdriver.Chrome(options=options, service=Service(program, popen_kw={"preexec_fn": ends_with_parent}))
    chrome.set_script_timeout(PATIENCE_S)
    return chrome


def wait_for(chrome: Any, expression: str) -> None:
    """Wait until an expression of the page is true.

    Raises:
        SystemExit: it never is.
    """
    until = time.monotonic() + PATIENCE_S
    while not chrome.execute_script(f"return {expression}"):
        if time.monotonic() > until:
            said = chrome.execute_script("return document.getElementById('error-text').textContent")
            raise SystemExit(f"The page never had {expression}; it says {said!r}.")
        time.sleep(0.05)


def measure(model: str, threads: int | None, scene: Path, count: int, folder: Path) -> dict[str, Any]:
    """Seconds of sentences."""
    with service(model, threads) as running:
        chrome = browser(folder)
        try:
            chrome.get(f"{running.url}/")
            wait_for(chrome, "document.querySelector('#examples button')")
            chrome.find_element("css selector", "#file").send_keys(str(scene))
            wait_for(chrome, "document.body.dataset.state === 'image' && !document.getElementById('find').disabled")
            seconds = []
            for sentence in SENTENCES[: count + 1]:
                seconds.append(chrome.execute_async_script(ASK, sentence))
                wait_for(chrome, "!document.getElementById('find').disabled")
        finally:
            chrome.quit()
    return {"first_ms": round(1000 * seconds[0], 1), "sentences": len(seconds) - 1, **percentiles(seconds[1:])}


def main() -> None:
    """Measure, print, write."""
    parser = parser_of(__doc__, SECONDS)
    parser.add_argument("--sentences", type=int, default=20, choices=range(1, len(SENTENCES)), metavar="N")
    parser.add_argument("--out", type=Path, default=RESULTS / "serving_browser.json")
    arguments = parser.parse_args()
    with bounded(arguments.seconds), tempfile.TemporaryDirectory() as name:
        scene = write_scene(Path(name) / "scene.tif", source_pixels(arguments.image), arguments.side)
        figures = measure(arguments.model, arguments.threads, scene, arguments.sentences, Path(name))
    report = {"machine": describe_machine(), "model": Path(arguments.model).name, "side_px": arguments.side, **figures}
    print(json.dumps(report, indent=1))
    write_json(report, arguments.out)


if __name__ == "__main__":
    main()
