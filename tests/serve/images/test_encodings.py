"""What a model has made of an image outlives the image's place in memory, and the process."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rs2sam import Segmenter
from rs2sam.backends import BackendOutput
from rs2sam.client import Client
from rs2sam.serve.images.encodings import EncodingShelf, mark_of
from tests.serve.live import client, send
from tests.small_once import once_processor

SHIPPED = files("rs2sam") / "weights" / "compact" / "image.onnx"
needs_shipped = pytest.mark.skipif(not SHIPPED.is_file(), reason="the compact model is not in this source tree")


class PlainBackend:
    """Keeps a quarter of the pixels as its encoding, and finds what is light; `gain` makes it another model."""

    name, batch_size = "plain", 1
    has_presence = has_score = False

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = np.float32(gain)
        self.sizes: list[tuple[int, int]] = []

    def encode(self, pixel_values):
        self.sizes += [one.shape[1:] for one in pixel_values]
        return [{"light": self.gain * one[None, :, ::4, ::4].mean(axis=1)} for one in pixel_values]

    def answer(self, encodings, input_ids, attention_mask):
        per_picture = len(input_ids) // len(encodings)
        return BackendOutput(np.concatenate([np.repeat(one["light"], per_picture, axis=0) for one in encodings]))

    @property
    def num_pictures(self) -> int:
        """Pictures that were encoded; the probe that tells models apart is smaller than any."""
        return sum(size > (64, 64) for size in self.sizes)


def test_an_encoding_is_read_as_it_was_written(tmp_path):
    shelf = EncodingShelf(lambda: "one")
    encoding = {name: np.random.default_rng(1).random((1, 3, 4), dtype=np.float32) for name in ("fine", "cells")}
    assert shelf.write(tmp_path, encoding)
    found = shelf.read(tmp_path)
    assert list(found) == list(encoding)
    for name, values in encoding.items():
        np.testing.assert_array_equal(found[name], values)
    assert [path.name for path in tmp_path.iterdir()] == [".encoding.npz"]


def test_an_encoding_of_another_model_is_removed(tmp_path):
    EncodingShelf(lambda: "one").write(tmp_path, {"fine": np.ones((2, 3), np.float32)})
    assert EncodingShelf(lambda: "another").read(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_models_are_told_apart_by_what_they_make_of_a_picture():
    config = once_processor().config
    marks = [mark_of(backend, config) for backend in (PlainBackend(), PlainBackend(), PlainBackend(1.5))]
    assert marks[0] == marks[1] != marks[2]
    assert mark_of(PlainBackend(), once_processor(256).config) != marks[0]


@pytest.mark.parametrize("damage", [lambda whole: whole[:50], lambda whole: b"", lambda whole: b"x" * 500])
def test_what_cannot_be_read_is_made_again(tmp_path, damage):
    shelf = EncodingShelf(lambda: "one")
    shelf.write(tmp_path, {"fine": np.ones((2, 3), np.float32)})
    path = tmp_path / ".encoding.npz"
    path.write_bytes(damage(path.read_bytes()))
    assert shelf.read(tmp_path) is None


def test_other_forms_and_folders_that_are_gone_keep_nothing(tmp_path):
    shelf = EncodingShelf(lambda: "one")
    assert not shelf.write(tmp_path, None)
    assert not shelf.write(tmp_path, [np.ones(3)])
    assert list(tmp_path.iterdir()) == []
    shelf.write(tmp_path / "gone", {"fine": np.ones(3)})
    assert shelf.read(tmp_path / "gone") is None


def noise(folder: Path, count: int = 2) -> list[Path]:
    """Pictures that differ."""
    paths = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        rgb = np.random.default_rng(number).integers(0, 256, (90, 100, 3), dtype=np.uint8)
        Image.fromarray(rgb).save(path)
    return paths


def values(service, image):
    """Probabilities of one sentence about an image, as bytes."""
    asked = {"sentences": ["the water"], "options": {"threshold": 0.4, "min_presence": 0}}
    answer = service.post(image["links"]["segment"], json=asked, headers={"Accept": "image/png;values=probability"})
    assert answer.status_code == 200, answer.text
    return answer.content


def test_an_image_that_left_memory_is_not_encoded_again_nor_after_the_end_of_the_process(tmp_path):
    once = Segmenter(once_processor(), PlainBackend())
    state, room_for_one = tmp_path / "state", {"cache_bytes": 1}
    with client(state, once, limits=room_for_one) as service:
        images = [send(service, path) for path in noise(tmp_path)]
        first = [values(service, image) for image in images]
        assert [values(service, image) for image in images] == first
        assert 'rs2sam_images_prepared_total{from="disk"}' in service.get("/metrics").text
    assert first[0] != first[1]
    assert once._backend.num_pictures == 2
    assert len(list(state.glob("images/*/.encoding.npz"))) == 2  # the one in memory was put away at the end
    again = Segmenter(once_processor(), PlainBackend())
    with client(state, again, limits=room_for_one) as service:
        assert [values(service, image) for image in images] == first
    assert again._backend.num_pictures == 0
    another = Segmenter(once_processor(), PlainBackend(1.5))
    with client(state, another, limits=room_for_one) as service:
        assert [values(service, image) for image in images] != first
    assert another._backend.num_pictures == 2


@needs_shipped
def test_the_shipped_model_answers_alike_from_memory_and_from_disk(tmp_path):
    shipped = Segmenter.load("compact", threads=1)
    encoded: list[tuple[int, ...]] = []
    backend = shipped._backend
    encode = backend.encode
    backend.encode = lambda pixels: encoded.extend(one.shape for one in pixels) or encode(pixels)
    with client(tmp_path / "state", shipped, limits={"cache_bytes": 1}) as service:
        images = [send(service, path) for path in noise(tmp_path)]
        library, last = service.service.library, images[1]["id"]
        from_memory, made = values(service, images[1]), library.cache.get(last).shown.picture.encoding
        num_encoded = len(encoded)
        values(service, images[0])  # which puts the other on disk
        assert library.cache.get(last) is None
        assert values(service, images[1]) == from_memory
        read = library.cache.get(last).shown.picture.encoding
    assert read is not made
    np.testing.assert_equal(read, made)
    # One picture of the probe's size may have come between.
    assert [shape for shape in encoded[num_encoded:] if shape != (3, 64, 64)] == []


@contextmanager
def serving(state: Path) -> Iterator[Client]:
    """A client of `rs2sam serve` in a process of its own, which ends when it is told to."""
    command = [sys.executable, "-m", "rs2sam", "serve", "--port", "0", "--data", str(state), "--threads", "1"]
    process = subprocess.Popen([*command, "--cache", "1KB"], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        url = re.search(r"http://\S+:\d+", process.stderr.readline())
        assert url is not None, process.stderr.read()
        yield Client(url.group())
    finally:
        process.terminate()
        process.communicate(timeout=60)


@needs_shipped
@pytest.mark.slow
def test_another_process_with_the_shipped_model_answers_without_encoding_again(tmp_path):
    def asked(server: Client, image_id: str) -> tuple[np.ndarray, np.ndarray]:
        (found,) = server.image(image_id).segment(["the water"], threshold=0.4, min_presence=0)
        return found.mask, found.values

    def num_read(server: Client) -> float:
        with server._open("GET", "/metrics") as answer:
            text = answer.read().decode()
        return float(re.search(r"^rs2sam_encodings_read_total (\S+)", text, re.MULTILINE).group(1))

    with serving(tmp_path / "state") as server:
        ids = [server.send(path).id for path in noise(tmp_path)]
        first = [asked(server, one) for one in ids]
    with serving(tmp_path / "state") as server:
        again = [asked(server, one) for one in ids]
        assert num_read(server) == 2
    np.testing.assert_equal(again, first)
