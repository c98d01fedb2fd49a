"""The page in a real browser, with the service behind it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from rs2sam import Segmentation, Segmenter
from rs2sam.cli import main
from rs2sam.serve.settings import Example
from tests.conftest import REPOSITORY
from tests.make_rasters import GREEN, RED, objects, paint, write_tiff
from tests.serve.live import server
from tests.serve.page.conftest import Page, SureModel

pytestmark = [
    pytest.mark.browser,
    # rasterio 1.4 multiplies transforms as affine 3 no longer likes it.
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),
]

INSIDE, HOLE, SMALL, OUTSIDE = (25, 15), (33, 20), (75, 50), (60, 30)
"""(x, y) in the large rectangle, in its hole, in the small rectangle, on the green."""


def post(url: str, body: Any, accept: str) -> bytes:
    """What the service itself answers."""
    headers = {"Content-Type": "application/json", "Accept": accept}
    with urlopen(Request(url, json.dumps(body).encode(), headers)) as answer:
        return answer.read()


def image_of(page: Page) -> str:
    """Id of the image that is open."""
    return page.script("location.hash").removeprefix("#image=")


def rows(page: Page) -> int:
    """Regions in the list of the open layer."""
    return page.script("document.querySelectorAll('.layer.active .region').length")


def test_a_sentence_colours_what_it_names_and_nothing_else(page: Page, scene: Path) -> None:
    page.open(scene)
    assert page.colour(*INSIDE) == list(RED)
    assert page.colour(*OUTSIDE) == list(GREEN)

    page.ask("the red")

    assert page.layers() == [["the red", "2 regions · 243 m²"]]  # (576 + 100) x 0.36
    assert page.colour(*INSIDE) != list(RED)
    assert page.colour(*SMALL) != list(RED)
    assert page.colour(*HOLE) == list(GREEN)
    assert page.colour(*OUTSIDE) == list(GREEN)


def test_sliders_act_without_a_request(page: Page, scene: Path) -> None:
    page.open(scene)
    page.ask("the red")
    asked, shown = page.requests(), page.colour(*INSIDE)

    page.slide("#opacity", 100)
    assert page.colour(*INSIDE) == [230, 159, 0]  # the layer's own colour
    page.slide(".layer.active [id$=threshold]", 240)  # the model's 0.9 is 230 of 256
    assert page.colour(*INSIDE) == list(RED)
    assert "nothing above 0.94; the highest probability is 0.90" in page.layers()[0][1]
    page.slide(".layer.active [id$=threshold]", 5)  # and its 0.02 is 5
    assert page.colour(*OUTSIDE) == [230, 159, 0]
    page.slide(".layer.active [id$=threshold]", 128)
    page.slide(".layer.active [id$=confidence]", 95)
    assert page.colour(*INSIDE) == list(RED)
    page.slide(".layer.active [id$=confidence]", 0)
    page.slide("#opacity", 55)

    assert page.colour(*INSIDE) == shown
    assert page.requests() == asked


def test_layers_are_listed_and_hidden_one_by_one(page: Page, scene: Path) -> None:
    page.open(scene)
    page.ask("the red", "the other red")
    assert [sentence for sentence, _ in page.layers()] == ["the other red", "the red"]
    both = page.colour(*INSIDE)

    page.click(".layer input[type=checkbox]")
    page.settle()
    one = page.colour(*INSIDE)
    page.script("document.querySelectorAll('.layer input[type=checkbox]')[1].click()")
    page.settle()

    assert both != one
    assert page.colour(*INSIDE) == list(RED)


def test_a_region_is_shown_removed_and_brought_back(page: Page, scene: Path) -> None:
    page.open(scene)
    page.ask("the red")

    page.press(*SMALL)
    assert page.text("card").startswith("the red36 m² · 100 pxconfidence 90 %")
    page.click("#card .primary")
    page.settle()
    assert rows(page) == 1
    assert page.colour(*SMALL) == list(RED)

    page.click("#undo")
    page.settle()
    assert rows(page) == 2
    assert page.colour(*SMALL) != list(RED)


def test_a_click_or_a_box_adds_what_lies_there(page: Page, tmp_path: Path) -> None:
    rgb = paint(objects())
    rgb[40:50, 30:42] = (60, 60, 200)  # blue: the model does not see it
    page.open(write_tiff(tmp_path / "blue.tif", rgb))
    page.ask("the red")

    page.press(36, 45)
    page.until(lambda: rows(page) == 3)
    assert page.text("status").startswith("Added 29 m² of like colour to the red.")  # 8 x 10 px: its rim is blurred
    page.click("#undo")
    page.until(lambda: rows(page) == 2)

    page.click("#box")
    page.press(28, 38, to=(44, 52))
    page.until(lambda: rows(page) == 3)
    page.click("#box")


def test_a_click_on_the_ground_says_why_it_adds_nothing(page: Page, scene: Path) -> None:
    page.open(scene)
    page.ask("the red")
    page.press(*OUTSIDE)
    page.until("document.getElementById('status').textContent.startsWith('What lies here covers 86% of the image')")
    assert rows(page) == 2
    assert page.script("document.getElementById('undo').disabled")


class SeeingModel(SureModel):
    """Takes clicks and boxes, too: finds a rectangle of 10 x 20 pixels around the first, and what a box holds."""

    takes_prompts = True

    def segment_prompt(
        self, picture: Any, points_xy: Any = (), labels: Any = None, box_xyxy: Any = None
    ) -> Segmentation:
        mask = np.zeros(picture.rgb.shape[:2], bool)
        if box_xyxy is None:
            (x, y), *_ = points_xy
            mask[round(y) - 5 : round(y) + 5, round(x) - 10 : round(x) + 10] = True
        else:
            left, top, right, bottom = map(int, box_xyxy)
            mask[top:bottom, left:right] = True
        return Segmentation("", mask, mask.astype(np.float32), score=0.8)


def test_a_model_that_takes_clicks_and_boxes_is_asked_about_them(page: Page, tmp_path: Path, scene: Path) -> None:
    with server(tmp_path / "seeing", SeeingModel()) as url:
        page.driver.get(f"{url}/")
        page.open(scene)
        page.ask("the red")
        page.press(80, 25)
        page.until(lambda: rows(page) == 3)
        assert page.text("status").startswith("Added 72 m² seen as one object to the red.")  # 10 x 20 x 0.36
        page.click("#box")
        page.press(54, 40, to=(64, 60))
        page.until(lambda: rows(page) == 4)
        assert "seen as one object" in page.text("status")
        page.driver.get("about:blank")


def test_an_image_that_is_opened_before_the_service_has_answered_waits_for_it(
    page: Page, url: str, scene: Path
) -> None:
    slow = """{ const fetched = window.fetch; window.fetch = async (where, ...more) => {
      if (String(where).endsWith("/v1/service")) await new Promise((done) => setTimeout(done, 1000));
      return fetched(where, ...more); } }"""
    added = page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": slow})
    try:
        page.driver.get("about:blank")
        page.driver.get(f"{url}/")
        assert "megapixels" not in page.text("limits")  # which the service says
        page.open(scene)
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
    assert page.text("error-text") == ""
    assert "96 × 64 px" in page.text("image-facts")


def test_a_real_geotiff_through_the_file_input_end_to_end(page: Page, tmp_path: Path) -> None:
    """The model that ships, and an orthophoto where there is one: what the page shows is what the service answers."""
    path = real_geotiff(tmp_path)
    canvas = "document.getElementById('canvas').toDataURL()"
    with server(tmp_path / "state", Segmenter.load("compact", threads=1)) as url:
        page.driver.get(f"{url}/")
        page.open(path)
        with rasterio.open(path) as source:
            height, width, place, crs = source.height, source.width, source.transform, source.crs
        facts = page.text("image-facts")
        assert f"{width:,} × {height:,} px" in facts
        assert crs.to_string() in facts
        before = page.script(canvas)
        page.ask("the trees")
        page.slide(".layer.active [id$=threshold]", 1)  # all that the model holds possible at all
        page.slide("#opacity", 100)
        assert page.script(canvas) != before
        shown = page.script("document.querySelector('.layer.active .layer-facts').textContent")
        assert "nothing" not in shown
        page.click("[data-format=geotiff]")
        with rasterio.open(page.saved(".tif")) as saved:
            mask = saved.read(1)
            assert (saved.transform, saved.crs) == (place, crs)
        asked = {"sentences": ["the trees"], "options": {"threshold": 1 / 256}}
        answer = post(f"{url}/v1/images/{image_of(page)}/segment", asked, "image/tiff")
        with rasterio.io.MemoryFile(answer) as memory, memory.open() as answered:
            np.testing.assert_array_equal(mask, answered.read(1))
        assert (mask == 1).any()
        page.driver.get("about:blank")


def real_geotiff(folder: Path) -> Path:
    """An orthophoto of the imagery that tests read from outside; without it the scene that the package draws."""
    outside = Path(os.environ.get("RS2SAM_DATA", REPOSITORY / "../shared/data")) / "geotiff" / "naip"
    outside = outside.resolve()  # a file input takes no ".."
    found = sorted(outside.glob("*.tif"))
    if found:
        return found[0]
    result = CliRunner().invoke(main, ["demo-scene", str(folder / "scene.tif")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder / "scene.tif"


def test_downloads_hold_what_the_page_shows(page: Page, scene: Path) -> None:
    page.open(scene)
    page.ask("the red")
    page.click("[data-format=geotiff]")
    with rasterio.open(page.saved(".tif")) as saved:
        shown, place = saved.read(1), saved.transform
    whole = post(f"{page.url}/v1/images/{image_of(page)}/segment", {"sentences": ["the red"]}, "image/tiff")
    with rasterio.io.MemoryFile(whole) as memory, memory.open() as answered:
        np.testing.assert_array_equal(shown, answered.read(1))
        assert place == answered.transform
    np.testing.assert_array_equal(shown == 1, objects())

    page.press(*SMALL)
    page.click("#card .primary")
    page.click("[data-format=geojson]")
    features = json.loads(page.saved(".geojson").read_text())["features"]
    assert [feature["properties"]["area_px"] for feature in features] == [576]

    for name, suffix in (("gpkg", ".gpkg"), ("png", ".png")):
        page.click(f"[data-format={name}]")
        assert page.saved(suffix).stat().st_size > 100


def test_a_scene_runs_as_a_job_and_its_regions_can_be_removed(page: Page, tmp_path: Path) -> None:
    large = np.tile(paint(objects()), (3, 3, 1))
    page.open(write_tiff(tmp_path / "large.tif", large))
    assert page.script("!document.getElementById('map').hidden")

    page.ask("the red")
    assert page.layers()[0] == ["the red", "18 regions · 2,191 m²"]
    assert [link.text for link in page.driver.find_elements("css selector", "#downloads a")][:1] == ["GeoTIFF"]
    page.script("document.querySelector('.region').click()")
    page.click("#card .primary")
    assert page.layers()[0][1].startswith("17 regions")


def test_a_scene_that_runs_is_cancelled(page: Page, tmp_path: Path, model: SureModel) -> None:
    page.open(write_tiff(tmp_path / "large.tif", np.tile(paint(objects()), (3, 3, 1))))
    model.may_answer.clear()
    try:
        page.find("#sentence").send_keys("the red\n")
        page.until("!document.getElementById('job').hidden")
        page.until("document.getElementById('status').textContent.startsWith('Reading the scene')")
        page.click("#job-cancel")
        page.until("document.getElementById('job-text').textContent === 'Cancelling'")
    finally:
        model.may_answer.set()
    page.until("document.getElementById('status').textContent === 'Cancelled.'")
    assert page.layers() == []
    assert page.script("document.getElementById('job').hidden")


def test_a_token_in_the_address_signs_in_and_leaves_it(page: Page, tmp_path: Path) -> None:
    token, example = "a" * 32, write_tiff(tmp_path / "small.tif")
    with server(
        tmp_path / "locked", SureModel(), token=token, examples=(Example("small", "Small", example, ()),)
    ) as url:
        page.driver.get(f"{url}/")
        page.until("!document.getElementById('sign-in').hidden")
        assert page.script("document.querySelector('#examples button')") is None
        page.find("#token").send_keys("wrong" * 8 + "\n")
        page.until("!document.getElementById('error').hidden")

        page.driver.get("about:blank")
        page.driver.get(f"{url}/#token={token}")
        page.until("document.querySelector('#examples button')").click()
        page.until("document.body.dataset.state === 'image'")
        assert token not in page.driver.current_url


def test_errors_are_one_clear_line(page: Page, tmp_path: Path, scene: Path) -> None:
    (tmp_path / "notes.tif").write_text("no picture")
    page.find("#file").send_keys(str(tmp_path / "notes.tif"))
    page.until("!document.getElementById('error').hidden")
    assert page.script("document.getElementById('error').getAttribute('role')") == "alert"
    assert "notes.tif" in page.text("error-text") or "TIFF" in page.text("error-text")
    assert "\n" not in page.text("error-text")

    page.open(scene)
    assert page.script("document.getElementById('error').hidden")
    page.find("#sentence").send_keys("a wrong one\n")
    assert page.until("!document.getElementById('error').hidden")
    assert "is wrong" in page.text("error-text")


def test_everything_can_be_done_with_the_keyboard(page: Page, scene: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    page.open(scene)
    page.ask("the red")
    reached = set()
    for _ in range(40):
        ActionChains(page.driver).send_keys(Keys.TAB).perform()
        reached.add(page.script("document.activeElement.id || document.activeElement.className"))
    assert {"canvas", "find", "opacity", "layer-title", "region", "zoom-in", "box", "theme"} <= reached

    page.find(".region").send_keys(Keys.ENTER)  # shows it, with the focus on Remove
    assert page.script("document.activeElement.textContent") == "Remove"
    ActionChains(page.driver).send_keys(Keys.ENTER).perform()
    page.settle()
    assert rows(page) == 1
    ActionChains(page.driver).key_down(Keys.CONTROL).send_keys("z").key_up(Keys.CONTROL).perform()
    page.settle()
    assert rows(page) == 2


def test_history_brings_an_answer_back(page: Page, scene: Path) -> None:
    page.open(scene)
    page.ask("the red")
    page.driver.refresh()
    page.until("document.querySelector('.past')")
    page.click("#history-section summary")
    page.until("!document.getElementById('find').disabled")
    page.click(".past")
    page.until("document.querySelector('.layer-title')?.textContent === 'the red'")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("command", "rs2sam segment scene.tif 'the red' -o out/"),
        ("python", 'result = segmenter.segment("scene.tif", "the red")'),
        ("curl", "curl -F file=@scene.tif -F 'sentence=the red'"),
    ],
)
def test_what_is_shown_can_be_copied(page: Page, scene: Path, kind: str, expected: str) -> None:
    page.open(scene)
    page.ask("the red")
    page.click(f"[data-copy={kind}]")
    assert expected in page.until("document.getElementById('snippet')?.textContent")


def test_nothing_leaves_for_elsewhere_and_the_policy_is_kept(page: Page, scene: Path) -> None:
    page.open(scene)
    page.ask("the red")
    page.click("[data-view=map]")
    page.until("document.querySelector('#map canvas')")
    page.until(lambda: any("/tiles/" in name for name in page.requests()))
    assert [name for name in page.requests() if not name.startswith((page.url, "blob:", "data:"))] == []
    assert [entry for entry in page.driver.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.parametrize("width", [390, 1100])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, scene: Path, axe: str, width: int, scheme: str) -> None:
    def violations() -> Any:
        page.driver.execute_script(axe)
        return page.driver.execute_async_script(
            "const done = arguments[0]; axe.run(document).then(({violations}) => "
            "done(violations.map(({id, nodes}) => [id, nodes.map(({html}) => html)])))"
        )

    send = page.driver.execute_cdp_cmd
    send("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    send("Emulation.setDeviceMetricsOverride", {"width": width, "height": 760, "deviceScaleFactor": 1, "mobile": False})
    try:
        page.start()
        assert violations() == []
        page.open(scene)
        page.ask("the red", "no such thing")
        page.script("document.querySelectorAll('.layer-title')[1].click()")
        page.script("document.querySelector('.region').click()")
        page.script("document.querySelector('[data-copy=python]').click()")
        page.settle()
        assert violations() == []
        assert page.script("document.documentElement.scrollWidth") == width  # nothing is cut off
        assert page.script(
            "(({scrollHeight, clientHeight, lastElementChild: last}) => "
            "scrollHeight <= Math.max(clientHeight, last.offsetTop + last.offsetHeight + 1))"
            "(document.querySelector('.panel'))"
        )  # the panel ends with what is in it
    finally:
        send("Emulation.clearDeviceMetricsOverride", {})
        send("Emulation.setEmulatedMedia", {"features": []})
