from __future__ import annotations

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from rs2sam.cli import main
from rs2sam.cli.demo import write_demo_scene
from rs2sam.datasets.synthetic.showcase import GSD_M, SIZE_HW, showcase
from rs2sam.errors import InvalidInputError


def test_demo_scene_is_a_georeferenced_rgb_image(tmp_path):
    path = tmp_path / "new" / "scene.tif"
    result = CliRunner().invoke(main, ["demo-scene", str(path)])

    assert result.exit_code == 0
    assert "EPSG:32632" in result.stderr
    assert result.stdout == ""
    with rasterio.open(path) as file:
        assert (file.height, file.width) == SIZE_HW
        assert file.crs.to_epsg() == 32632
        assert file.res == (GSD_M, GSD_M)
        assert [c.name for c in file.colorinterp] == ["red", "green", "blue"]
        assert np.array_equal(np.moveaxis(file.read(), 0, 2), showcase().pixels())


def test_demo_scene_is_not_replaced_unasked(tmp_path):
    path = tmp_path / "scene.tif"
    path.write_bytes(b"mine")

    with pytest.raises(InvalidInputError, match="Add --overwrite"):
        write_demo_scene(path)
    assert path.read_bytes() == b"mine"
    assert CliRunner().invoke(main, ["demo-scene", str(path), "--overwrite"]).exit_code == 0
    assert path.stat().st_size > 100_000


def test_demo_scene_says_when_it_cannot_be_written(tmp_path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(InvalidInputError, match="writable place"):
        write_demo_scene(tmp_path / "file" / "scene.tif")


def test_showcase_holds_what_the_demonstration_asks_for():
    image = showcase()

    assert len(image.of("storage_tank")) == 18
    assert len(image.of("ship")) == 3
    assert len(image.of("bridge")) == 1
    assert len(image.of("building")) > 20
    assert min(t.area for t in image.of("storage_tank")) > 300


def test_showcase_keeps_its_composition_when_the_seed_changes():
    first, second = showcase(1), showcase(2)

    assert not np.array_equal(first.pixels(), second.pixels())
    a, b = (image.category_mask("storage_tank") for image in (first, second))
    assert (a & b).sum() > 0.9 * (a | b).sum()
