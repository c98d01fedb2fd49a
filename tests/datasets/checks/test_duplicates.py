from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from rs2sam.datasets.checks.duplicates import MAX_DIFFERENCE, file_digest, near_pairs, pixel_digest, thumbnail
from rs2sam.datasets.synthetic import generate_scene


@pytest.fixture(scope="module")
def scenes():
    """Pictures of different places."""
    return [generate_scene(np.random.default_rng(seed), side=160).pixels() for seed in range(6)]


def worn(rgb, quality=40, scale=0.6, brightness=1.2):
    """The same picture, resized, brighter, compressed again."""
    picture = Image.fromarray(rgb)
    picture = picture.resize((int(picture.width * scale), int(picture.height * scale)))
    picture = ImageEnhance.Brightness(picture).enhance(brightness)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def pairs(first, second):
    found = near_pairs([thumbnail(rgb) for rgb in first], [thumbnail(rgb) for rgb in second])
    return {(pair.first, pair.second): pair.difference for pair in found}


def test_equal_bytes_have_one_digest_whatever_the_file_is_called(tmp_path):
    (tmp_path / "a.png").write_bytes(b"1234")
    (tmp_path / "b.jpg").write_bytes(b"1234")
    (tmp_path / "c.jpg").write_bytes(b"1235")

    digests = [file_digest(tmp_path / name) for name in ("a.png", "b.jpg", "c.jpg")]
    assert digests[0] == digests[1] != digests[2]


def test_pixels_of_another_shape_have_another_digest():
    flat = np.zeros((4, 6, 3), np.uint8)
    assert pixel_digest(flat) == pixel_digest(flat.copy())
    assert pixel_digest(flat) != pixel_digest(flat.reshape(6, 4, 3))


def test_a_picture_is_found_again_after_wear(scenes):
    assert set(pairs(scenes, [worn(rgb) for rgb in scenes])) == {(i, i) for i in range(len(scenes))}


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_turned_and_mirrored_pictures_are_found_again(scenes, turns, mirrored):
    turned = [np.ascontiguousarray(np.rot90(rgb, turns)[:, :: -1 if mirrored else 1]) for rgb in scenes]
    assert set(pairs(scenes, turned)) == {(i, i) for i in range(len(scenes))}


def test_equal_pictures_do_not_differ(scenes):
    assert pairs(scenes[:1], scenes[:1]) == {(0, 0): 0.0}


def test_plain_pictures_are_not_compared():
    water = np.full((50, 50, 3), 80, np.uint8)
    assert pairs([water], [water]) == {}


def test_nothing_to_compare_with_is_no_pair(scenes):
    assert pairs(scenes, []) == {}


@given(st.integers(0, 2**32 - 1))
def test_noise_is_not_like_other_noise(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    assert pairs([first], [second]) == {}


def test_the_limit_is_between_copies_and_strangers(scenes):
    # Measured on 1,940 real images: worn and turned copies up to 0.13, strangers from 0.28 on.
    assert 0.13 < MAX_DIFFERENCE < 0.28
