"""Take the pictures of the page for docs/serve.md: `rs2sam serve` in headless Chromium, on a real orthophoto.

    python -m tools.draw_page ../shared/data docs/images               # needs rs2sam[browser], chromium, chromedriver
    python -m tools.draw_page ../shared/data /tmp --image geotiff/naip/chico_2020_66.tif --sentences "the trees"

Writes page.jpg (a desktop), page-dark.jpg (the same in dark colours) and page-phone.jpg. The image is a crop of NAIP
(USDA, public domain; the crop J. Ventura et al. 2024, CC BY 4.0), which may be shown with that line.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import shapely
from PIL import Image

from benchmarks.serving.browser import browser, wait_for
from benchmarks.serving.running import bounded, service
from rs2sam.client import Client

IMAGE = "geotiff/naip/palm_springs_2020_2.tif"
SENTENCES = ("the buildings", "the road", "the swimming pools")
"""Asked one after another; the last is open in the panel, and the card is about its largest region."""

SECONDS = 900.0
QUALITY = 82
_READY = "document.body.dataset.state === 'image' && !document.getElementById('find').disabled"
_SETTLE = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 100)))"
_FRAME = (
    "const {left, top, width, height} = document.getElementById('canvas').getBoundingClientRect();"
    "return [left, top, width, height]"
)


@dataclass(frozen=True)
class Form:
    """How a picture is taken.

    Args:
        name: of its file.
        size_wh: of the window [CSS px].
        scheme: `light` or `dark`.
        is_phone: whether it is touched, and what is small is drawn at twice the size.
    """

    name: str
    size_wh: tuple[int, int]
    scheme: str = "light"
    is_phone: bool = False


FORMS = (
    Form("page.jpg", (1240, 760)),
    Form("page-dark.jpg", (1240, 760), scheme="dark"),
    Form("page-phone.jpg", (390, 780), is_phone=True),
)


def wear(chrome: Any, form: Form) -> None:
    """Have the browser be of a form."""
    width, height = form.size_wh
    scale = 2 if form.is_phone else 1
    metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": form.is_phone}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": form.scheme}]
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def ask(chrome: Any, sentence: str) -> None:
    """Ask as a person does, and wait for the layer."""
    from selenium.webdriver.common.keys import Keys

    chrome.find_element("css selector", "#sentence").send_keys(sentence, Keys.ENTER)
    wait_for(chrome, f"{sentence!r} === document.querySelector('.layer-title')?.textContent && {_READY}")


def largest_at(url: str, image_id: str, sentence: str) -> tuple[float, float] | None:
    """A point within the largest region of a sentence, as shares of width and height; None where nothing was found."""
    image = Client(url).image(image_id)
    (found,) = image.segment([sentence])
    if not found.regions:
        return None
    inside = shapely.geometry.shape(found.regions[0]["geometry"]).representative_point()
    return inside.x / image.size_hw[1], inside.y / image.size_hw[0]


def click_at(chrome: Any, place: tuple[float, float], size_hw: tuple[int, int]) -> None:
    """Click on a place of the image, which lies in the middle of its canvas at 96 % of what fits."""
    left, top, width, height = chrome.execute_script(_FRAME)
    scale = 0.96 * min(width / size_hw[1], height / size_hw[0])
    x = left + width / 2 + (place[0] - 0.5) * size_hw[1] * scale
    y = top + height / 2 + (place[1] - 0.5) * size_hw[0] * scale
    for kind in ("mousePressed", "mouseReleased"):
        event = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1, "pointerType": "mouse"}
        chrome.execute_cdp_cmd("Input.dispatchMouseEvent", event)


def take(chrome: Any, form: Form, url: str, scene: Path, sentences: tuple[str, ...]) -> Image.Image:
    """One picture: the image opened, the sentences asked, the largest region of the last one clicked."""
    wear(chrome, form)
    chrome.get("about:blank")  # the address of the page holds the image that is open: begin anew
    chrome.get(f"{url}/")
    wait_for(chrome, "document.querySelector('#examples button')")
    chrome.find_element("css selector", "#file").send_keys(str(scene))
    wait_for(chrome, _READY)
    for sentence in sentences:
        ask(chrome, sentence)
    image_id = chrome.execute_script("return location.hash").removeprefix("#image=")
    chrome.execute_script("document.activeElement.blur(); document.querySelector('.panel').scrollTop = 0")
    chrome.execute_async_script(_SETTLE)
    place = largest_at(url, image_id, sentences[-1])
    if place is not None:
        click_at(chrome, place, Client(url).image(image_id).size_hw)
    chrome.execute_async_script(_SETTLE)
    return Image.open(io.BytesIO(chrome.get_screenshot_as_png())).convert("RGB")


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of real imagery")
    parser.add_argument("out", type=Path, help="folder of the pictures")
    parser.add_argument("--image", default=IMAGE, help="below the folder of imagery")
    parser.add_argument("--sentences", nargs="+", default=SENTENCES)
    parser.add_argument("--model", default="compact")
    parser.add_argument("--threads", type=int, help="of the model [default: all cores]")
    arguments = parser.parse_args()
    scene = (arguments.data / arguments.image).resolve()
    with (
        bounded(SECONDS),
        tempfile.TemporaryDirectory() as folder,
        service(arguments.model, arguments.threads) as running,
    ):
        chrome = browser(Path(folder))
        try:
            for form in FORMS:
                picture = take(chrome, form, running.url, scene, tuple(arguments.sentences))
                path = arguments.out / form.name
                picture.save(path, quality=QUALITY, optimize=True)
                print(f"{path}: {picture.width} x {picture.height}, {path.stat().st_size // 1000} kB")
        finally:
            chrome.quit()


if __name__ == "__main__":
    main()
