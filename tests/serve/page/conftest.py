"""A service that finds red, and the page of it in headless Chromium."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rs2sam.serve.settings import Example, Limits
from tests.make_rasters import SCENE, write_tiff
from tests.serve.live import RedModel, server

INTERACTIVE_PIXELS = 20_000
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",  # WebGL without a GPU, for the map
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1100,760",
)


class SureModel(RedModel):
    """Finds red as `RedModel` does, and is sure of the rest: probability 0.02, so that it is not half believed."""

    def _found(self, rgb, sentence):
        found = super()._found(rgb, sentence)
        return replace(found, probability=np.where(found.mask, np.float32(0.9), np.float32(0.02)))


class Page:
    """The page as a person has it in front of them."""

    def __init__(self, driver: Any, url: str, downloads: Path) -> None:
        self.driver, self.url, self.downloads = driver, url, downloads

    def script(self, text: str, *values: Any) -> Any:
        """What an expression is in the page."""
        return self.driver.execute_script(f"return {text}", *values)

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def click(self, selector: str) -> None:
        self.find(selector).click()

    def until(self, what: str | Callable[[], object], seconds: float = 30) -> Any:
        """Wait until an expression of the page, or a function, is true; what it is then."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := self.script(what) if isinstance(what, str) else what():
                return found
            time.sleep(0.02)
        raise AssertionError(f"never true: {what}; status {self.text('status')!r}, error {self.text('error-text')!r}")

    def text(self, name: str) -> str:
        return self.script("document.getElementById(arguments[0]).textContent", name)

    def start(self) -> None:
        """Load the page anew, without what the browser remembers."""
        self.driver.get(f"{self.url}/")
        self.driver.execute_script("localStorage.clear()")
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}/")
        self.until("document.querySelector('#examples button')")

    def open(self, path: Path) -> None:
        self.find("#file").send_keys(str(path))
        self.until("document.body.dataset.state === 'image' && !document.getElementById('find').disabled")
        self.settle()

    def ask(self, *sentences: str) -> None:
        """Type sentences, a line each, and wait for their layers."""
        from selenium.webdriver.common.keys import Keys

        field = self.find("#sentence")
        for number, sentence in enumerate(sentences):
            if number:
                field.send_keys(Keys.SHIFT, Keys.ENTER)
                field.send_keys(Keys.NULL)
            field.send_keys(sentence)
        field.send_keys(Keys.ENTER)
        self.until(f"{json.dumps(sentences[-1])} === document.querySelector('.layer-title')?.textContent")
        self.until("!document.getElementById('find').disabled")
        self.settle()

    def settle(self) -> None:
        """Let the page draw: two frames."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)))"
        )

    def slide(self, selector: str, value: int) -> None:
        """Move a slider, as a drag does."""
        self.driver.execute_script(
            "const slider = document.querySelector(arguments[0]); slider.value = arguments[1];"
            "slider.dispatchEvent(new Event('input', {bubbles: true}))",
            selector,
            value,
        )
        self.settle()

    def colour(self, x: float, y: float) -> list[int]:
        """What the canvas shows at a pixel of the image of `SCENE`'s size: red, green, blue."""
        return self.script(_AT % "[...canvas.getContext('2d').getImageData(at.x, at.y, 1, 1).data].slice(0, 3)", x, y)

    def press(self, x: float, y: float, to: tuple[float, float] | None = None) -> None:
        """Click at a pixel of the image, or drag from it to another."""
        from selenium.webdriver.common.action_chains import ActionChains

        canvas = self.find("#canvas")
        middle = canvas.rect["width"] / 2, canvas.rect["height"] / 2

        def offset(x: float, y: float) -> tuple[int, int]:
            at = self.script(_AT % "[at.x, at.y]", x, y)
            return round(at[0] - middle[0]), round(at[1] - middle[1])

        chain = ActionChains(self.driver).move_to_element_with_offset(canvas, *offset(x, y))
        if to is None:
            chain.click()
        else:
            chain.click_and_hold().move_to_element_with_offset(canvas, *offset(*to)).release()
        chain.perform()
        self.settle()

    def layers(self) -> list[list[str]]:
        """Sentence and facts of each layer, the newest first."""
        return self.script(
            "[...document.querySelectorAll('.layer')].map((layer) => "
            "[layer.querySelector('.layer-title').textContent, layer.querySelector('.layer-facts').textContent])"
        )

    def requests(self) -> list[str]:
        """Addresses asked since the page was loaded."""
        return self.script("performance.getEntriesByType('resource').map((entry) => entry.name)")

    def saved(self, suffix: str) -> Path:
        """The file of a suffix that the browser saved, once it is whole."""
        return self.until(lambda: next(iter(self.downloads.glob(f"*{suffix}")), None))


# The image lies in the middle of the stage at 96 % of what fits; a device pixel is a CSS pixel here.
_AT = """((x, y) => { const canvas = document.getElementById('canvas'), height = 64, width = 96;
const scale = Math.min(canvas.width / width, canvas.height / height) * 0.96;
const at = {x: (canvas.width - width * scale) / 2 + x * scale, y: (canvas.height - height * scale) / 2 + y * scale};
return %s })(arguments[0], arguments[1])"""


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium without a window, its profile empty, its downloads in `driver.downloads`."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: make test-browser does")
    from selenium.webdriver.chrome.service import Service

    binary = shutil.which("chromium") or shutil.which("google-chrome")
    program = shutil.which("chromedriver")
    if not binary or not program:
        pytest.skip("no chromium with its chromedriver: apt-get install chromium chromium-driver")
    downloads = tmp_path_factory.mktemp("downloads")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(program))
    chrome.downloads = downloads
    try:
        yield chrome
    finally:
        chrome.quit()


@pytest.fixture(scope="session")
def model() -> SureModel:
    """What the service asks."""
    return SureModel()


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory, model: SureModel) -> Iterator[str]:
    """A service that finds red, with an example; more than `INTERACTIVE_PIXELS` are a scene."""
    folder = tmp_path_factory.mktemp("service")
    example = Example("small", "Two red rectangles", write_tiff(folder / "small.tif"), ("the red", "no such thing"))
    limits = Limits(interactive_pixels=INTERACTIVE_PIXELS, rate=1000, burst=10_000)
    with server(folder / "state", model, limits=limits, examples=(example,)) as address:
        yield address


@pytest.fixture
def page(driver: Any, url: str) -> Page:
    """The page, just loaded."""
    for old in driver.downloads.iterdir():
        old.unlink()
    opened = Page(driver, url, driver.downloads)
    opened.start()
    driver.get_log("browser")
    return opened


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A GeoTIFF of 64 x 96 pixels with two red rectangles, one with a hole."""
    return write_tiff(tmp_path / "scene.tif", SCENE)


@pytest.fixture(scope="session")
def axe() -> str:
    """Source of axe-core, which judges accessibility."""
    path = Path(os.environ.get("RS2SAM_AXE", "out/axe-core/axe.min.js"))
    if not path.is_file():
        pytest.skip(f"no axe-core at {path}: make test-browser fetches it")
    return path.read_text(encoding="utf-8")
