from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from rs2sam.datasets.base import AnnotatedImage
from rs2sam.datasets.english.vocabulary import CATEGORIES, COLOURS
from rs2sam.datasets.synthetic import THEMES, generate_scene
from rs2sam.errors import InvalidInputError

REGIONS = {"road", "water", "vegetation", "land"}


def scene(theme: str, seed: int = 3, side: int = 160) -> AnnotatedImage:
    return generate_scene(np.random.default_rng(seed), side, None, theme)


@pytest.mark.parametrize("theme", THEMES)
def test_scene_is_repeatable_byte_for_byte(theme: str) -> None:
    first, second = scene(theme), scene(theme)

    assert first.pixels().tobytes() == second.pixels().tobytes()
    assert first.id == second.id
    assert [i.category for i in first.instances] == [i.category for i in second.instances]
    for a, b in zip(first.instances, second.instances, strict=True):
        assert a.origin_xy == b.origin_xy
        assert np.array_equal(a.mask, b.mask)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_masks_are_nonempty_and_inside_the_image(theme: str, seed: int) -> None:
    image = scene(theme, seed)

    assert image.pixels().shape == (160, 160, 3)
    assert image.pixels().dtype == np.uint8
    for instance in image.instances:
        x0, y0, x1, y1 = instance.box_xyxy
        assert 0 <= x0 < x1 <= 160
        assert 0 <= y0 < y1 <= 160
        assert instance.area >= 8
        assert instance.category in CATEGORIES
        assert instance.attributes.get("colour", "white") in COLOURS
    assert set(image.regions) == REGIONS
    assert all(mask.shape == (160, 160) and mask.dtype == bool for mask in image.regions.values())


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("seed", [0, 4])
def test_objects_of_one_category_are_disjoint(theme: str, seed: int) -> None:
    image = scene(theme, seed)

    for category in {i.category for i in image.instances}:
        objects = image.of(category)
        assert image.union(objects).sum() == sum(o.area for o in objects)


@pytest.mark.parametrize("theme", THEMES)
def test_regions_and_ground_objects_are_disjoint(theme: str) -> None:
    image = scene(theme, 5)
    regions = np.stack(list(image.regions.values()))

    assert regions.sum(axis=0).max() <= 1
    for category in ("building", "storage_tank", "tennis_court", "field", "swimming_pool"):
        assert not (image.category_mask(category) & regions.any(axis=0)).any()


@pytest.mark.parametrize("theme", THEMES)
def test_exhaustive_categories_are_known_and_include_the_rare_ones(theme: str) -> None:
    image = scene(theme)

    assert image.exhaustive_categories <= set(CATEGORIES)
    assert {"airplane", "storage_tank", "building", "vehicle"} <= image.exhaustive_categories


@pytest.mark.parametrize(
    ("theme", "category"),
    [
        ("airport", "airplane"),
        ("industrial", "storage_tank"),
        ("residential", "building"),
        ("farmland", "field"),
        ("river", "bridge"),
        ("car_park", "vehicle"),
    ],
)
def test_theme_shows_what_it_is_named_after(theme: str, category: str) -> None:
    found = [len(generate_scene(np.random.default_rng(s), 256, None, theme).of(category)) for s in range(4)]

    assert sum(n > 0 for n in found) >= 3


def test_a_larger_ground_distance_shows_more_and_smaller_houses() -> None:
    near, far = (generate_scene(np.random.default_rng(8), 256, g, "residential") for g in (0.2, 0.8))

    assert len(far.of("building")) > 3 * len(near.of("building"))
    assert np.median([i.area for i in far.of("building")]) < np.median([i.area for i in near.of("building")]) / 4


def test_themes_are_drawn_at_random_when_none_is_given() -> None:
    names = {generate_scene(np.random.default_rng(s), 64).id.split("-")[0] for s in range(16)}

    assert len(names) >= 4
    assert names <= set(THEMES)


def test_unknown_theme_and_bad_sizes_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidInputError, match=r"A theme is one of .*; got 'moon'"):
        generate_scene(rng, theme="moon")
    with pytest.raises(InvalidInputError, match=r"at least 64 pixels wide; got 10"):
        generate_scene(rng, side=10)
    with pytest.raises(InvalidInputError, match=r"above 0; got -1"):
        generate_scene(rng, gsd_m=-1)


def test_generator_needs_neither_torch_nor_scipy() -> None:
    code = (
        "import sys, numpy as np; from rs2sam.datasets.synthetic import generate_scene; "
        "generate_scene(np.random.default_rng(0), 64); "
        "assert not {'torch', 'scipy', 'rasterio'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
