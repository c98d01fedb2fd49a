"""Clicks and boxes with models that take them."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from rs2sam import Segmenter
from rs2sam.segmenter import Segmentation
from rs2sam.serve.asking.prompts import found_by_prompts, object_at, object_in
from rs2sam.serve.problems import ProblemError
from rs2sam.vector.vectorize import pixel_regions
from tests.make_rasters import objects, paint, write_tiff
from tests.serve.live import RedModel, client, send


class Taking(RedModel):
    """Takes prompts: finds the pixels of `mask` wherever it is asked."""

    takes_prompts = True

    def __init__(self, mask):
        super().__init__()
        self.mask, self.prompts = mask, []

    def segment_prompt(self, picture, points_xy=(), labels=None, box_xyxy=None):
        self.prompts.append((list(points_xy), box_xyxy))
        return Segmentation("", self.mask, self.mask.astype(np.float32), score=0.8)


def rectangle(top, bottom, left, right):
    mask = np.zeros((64, 96), bool)
    mask[top:bottom, left:right] = True
    return mask


def image(mask):
    return Taking(mask).encode(paint(objects()))


def areas(found):
    return [one.num_pixels for one in found.regions]


def test_a_click_adds_the_object_that_the_model_sees_there():
    mask = rectangle(10, 20, 10, 30) | rectangle(10, 20, 32, 40)
    mask[40, 40] = True  # a speck beside it
    found = object_at((12, 15), image(mask))
    assert (found.source, found.why, areas(found)) == ("model", None, [200, 80])


def test_an_object_elsewhere_is_not_what_was_clicked():
    assert object_at((60, 30), image(rectangle(0, 9, 0, 9))).why == "The model sees no object here."


def test_an_object_that_is_half_of_the_image_is_not_what_was_clicked():
    found = object_at((5, 5), image(rectangle(0, 64, 0, 48)))
    assert (areas(found), found.why) == (
        [],
        "What lies here covers 50% of the image, and a click adds up to 25%. Draw a box around the part that is meant.",
    )


def test_a_box_holds_what_it_adds_but_for_a_rim():
    # Drawn from the lower right, beyond the image; the model finds a rectangle that reaches out of it.
    asked = image(rectangle(20, 64, 50, 96))
    found = object_in((130.0, 64.0, 75.6, 44.2), asked)
    assert asked.segmenter.prompts == [([], (75, 44, 96, 64))]
    assert (found.source, found.regions[0].bounds) == ("model", (72, 42, 96, 64))
    assert object_in((0, 0, 20, 10), asked).why == "The model sees no object in the box."
    assert object_in((-9, -9, 0, 0), asked).why == "The box lies outside the image."


def test_nobody_is_asked_about_what_nobody_waits_for():
    given_up = threading.Event()
    asked = image(rectangle(0, 9, 0, 9))
    answer = asked.segmenter.segment_prompt
    asked.segmenter.segment_prompt = lambda *values, **named: (given_up.set(), answer(*values, **named))[1]
    with pytest.raises(ProblemError, match="given up"):
        found_by_prompts(asked, [(3, 3)] * 9, [], None, 0.5, given_up)
    assert len(asked.segmenter.prompts) == 1


@pytest.fixture(scope="module")
def sam3(sam3_folder):
    return Segmenter.load(sam3_folder, device="cpu")


@pytest.fixture
def picture(tmp_path):
    """Noise of 50 x 80 pixels, in which the tiny model sees things."""
    rgb = np.random.default_rng(6).integers(0, 256, (50, 80, 3), dtype=np.uint8)
    return write_tiff(tmp_path / "noise.tif", rgb)


def expected(sam3, path, **prompt):
    """What Python's own door says."""
    seen = sam3.encode(path).segment_prompt(**prompt)
    return seen.mask, [one.num_pixels for one in pixel_regions(seen.mask, seen.probability, seen.georeference)]


def seen_place(sam3, path):
    """A point at which the model sees an object of a size that a click adds."""
    encoded = sam3.encode(path)
    height, width = encoded.scene.size_hw
    for x, y in np.random.default_rng(5).integers(0, (width, height), (60, 2)).tolist():
        mask = encoded.segment_prompt([(x, y)]).mask
        if mask[y, x] and mask.mean() <= 0.25:
            return x, y
    raise AssertionError("the model sees nothing")


def test_the_service_asks_sam3_in_the_encoding_that_its_sentences_share(tmp_path, sam3, picture, monkeypatch):
    place = seen_place(sam3, picture)
    mask, sizes = expected(sam3, picture, points_xy=[place])
    sizes = [size for size in sizes if size * 20 >= sizes[0]]
    counts = []
    encode = sam3._backend.encode
    monkeypatch.setattr(sam3._backend, "encode", lambda pixels: counts.append(len(pixels)) or encode(pixels))
    with client(tmp_path / "state", sam3) as service:
        assert service.get("/v1/service").json()["prompts"] == {"points": "model", "boxes": "model"}
        assert service.get("/v1/models").json()["models"][0]["takes_prompts"]
        sent = send(service, picture)
        answer = service.post(sent["links"]["segment"], json={"sentences": ["the tanks"]}).json()
        asked = {"points": [place, [500, 5]], "boxes": [[10, 10, 60, 40]], "answer": answer["id"], "index": 0}
        found = service.post(sent["links"]["regions"], json=asked).json()
        in_memory = service.service.library.cache.num_bytes
    assert counts == [1]  # once, for the sentence, the click and the box
    assert found["source"][:2] == ["model", "nothing"]
    assert found["why"][:2] == [None, "The click lies outside the image."]
    regions = found["regions"]["features"]
    assert [one["properties"]["area_px"] for one in regions[: len(sizes)]] == sizes
    assert regions[0]["properties"]["geographic"] is not None
    # What the model keeps of a picture is counted: tensors, too.
    assert in_memory > 50 * 80 * 4 + 100_000
    assert mask.any()


def test_the_service_asks_sam3_around_a_click_in_a_large_image(tmp_path, sam3):
    rgb = np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    path = write_tiff(tmp_path / "large.tif", rgb)
    place = seen_place(sam3, path)
    _, sizes = expected(sam3, path, points_xy=[place])
    with client(tmp_path / "state", sam3) as service:
        service.service.library.is_interactive = lambda record: True  # more views than are answered at once
        sent = send(service, path)
        assert sent["num_views"] > 16
        found = service.post(sent["links"]["regions"], json={"points": [place]}).json()
    kept = [size for size in sizes if size * 20 >= sizes[0]]
    assert (found["source"], found["why"]) == (["model"], [None])
    assert [one["properties"]["area_px"] for one in found["regions"]["features"]] == kept


def test_a_model_of_words_alone_says_so(tmp_path, scene):
    with client(tmp_path / "state") as service:
        assert service.get("/v1/service").json()["prompts"] == {"points": "regions", "boxes": "regions"}
        sent = send(service, scene)
        found = service.post(sent["links"]["regions"], json={"points": [[25, 15], [60, 30]]}).json()
    assert (found["source"], found["why"][0]) == (["colour", "nothing"], None)
    assert "Draw a box" in found["why"][1]
