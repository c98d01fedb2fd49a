"""Greenery by colour, on pixels made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rs2sam.datasets.readers.greenery import greenery, naip_greenery
from rs2sam.errors import DataNotFoundError


def fields() -> np.ndarray:
    """Columns of 16 px: grass, grey, what may be grass, and shade."""
    rgb = np.zeros((32, 64, 3), np.uint8)
    for column, colour in enumerate([(90, 120, 80), (120, 120, 120), (120, 127, 118), (22, 20, 24)]):
        rgb[:, 16 * column : 16 * column + 16] = colour
    return rgb


def test_greenery_is_what_is_certainly_green() -> None:
    is_green, is_open = greenery(fields())
    inside = [slice(16 * column + 3, 16 * column + 13) for column in range(4)]
    assert [is_green[:8, one].mean() for one in inside] == [1, 0, 0, 0]
    assert [is_open[:8, one].mean() for one in inside] == [0, 0, 1, 1]
    assert not (is_green & is_open).any()


def test_specks_of_green_are_left_open() -> None:
    rgb = np.full((32, 32, 3), 120, np.uint8)
    rgb[15, 15] = (60, 200, 60)
    is_green, is_open = greenery(rgb)
    assert not is_green.any()
    assert 1 <= is_open.sum() <= 25


def test_the_water_of_a_pool_is_no_greenery() -> None:
    rgb = np.full((32, 64, 3), (140, 130, 120), np.uint8)
    rgb[8:24, 8:24] = (70, 170, 175)  # as green in excess of the other two as grass is
    rgb[8:24, 40:56] = (90, 120, 80)
    is_green, is_open = greenery(rgb)
    assert not is_green[:, :32].any()
    assert is_green[10:22, 42:54].all()
    assert is_open[10:22, 10:22].all()


def test_photographs_teach_greenery_alone(tmp_path: Path) -> None:
    Image.fromarray(fields()).save(tmp_path / "town_1.jpg", quality=100, subsampling=0)
    (image,) = naip_greenery(tmp_path)
    assert (image.id, image.split, image.exhaustive_categories) == ("town_1", "train", {"vegetation"})
    assert image.regions["vegetation"][:8, 3:13].all()
    assert image.unknown is not None
    assert image.unknown[:8, 51:61].all()
    with pytest.raises(DataNotFoundError, match=r"holds no \.jpg"):
        naip_greenery(tmp_path / "elsewhere")
