"""The whole path with the model that ships: a file and a sentence in, files that a GIS reads out."""

from __future__ import annotations

import json
from importlib.resources import files

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from click.testing import CliRunner
from rasterio.features import rasterize

from rs2sam.cli import main
from tests.make_rasters import NORTH_UP, SCENE, write_tiff

SHIPPED = files("rs2sam") / "weights" / "compact" / "model.onnx"

pytestmark = pytest.mark.skipif(not SHIPPED.is_file(), reason="the compact model is not in this source tree")


def segment(*arguments):
    result = CliRunner().invoke(main, ["segment", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize("size_hw", [(64, 96), (600, 1100)], ids=["one view", "tiles"])
def test_the_shipped_model_answers_and_its_outputs_agree_with_each_other(tmp_path, size_hw):
    rgb = np.tile(SCENE, (-(-size_hw[0] // 64), -(-size_hw[1] // 96), 1))[: size_hw[0], : size_hw[1]]
    source = write_tiff(tmp_path / "a.tif", rgb)
    segment(source, "the red roof", "all vehicles", "-o", tmp_path / "out", "--threads", 1)
    report = json.loads((tmp_path / "out/a_result.json").read_text())
    assert report["model"]["name"] == "compact"
    assert all(found["views"] == (1 if size_hw == (64, 96) else 6) for found in report["sentences"])
    with rasterio.open(tmp_path / "out/a_mask.tif") as mask:
        assert (mask.transform, mask.crs.to_epsg(), mask.shape) == (NORTH_UP, 26910, size_hw)
        bands = mask.read()
    _, _, wkb, columns = pyogrio.raw.read(tmp_path / "out/a_polygons.gpkg")
    geometries, numbers = shapely.from_wkb(wkb), columns[1]
    for number, (band, found) in enumerate(zip(bands, report["sentences"], strict=True), start=1):
        outlines = geometries[numbers == number]
        assert len(outlines) == found["polygons"]
        drawn = rasterize(outlines, band.shape, transform=NORTH_UP) if len(outlines) else np.zeros_like(band)
        np.testing.assert_array_equal(drawn, band)
        assert found["pixels"] == band.sum()


def test_the_command_line_and_python_give_the_same_mask(tmp_path, data_dir):
    from rs2sam import Segmenter

    image = data_dir / "geotiff/naip/chico_2020_2.tif"
    segment(image, "the swimming pools", "-o", tmp_path, "--threads", 1)
    result = Segmenter.load("compact", threads=1).segment(image, "the swimming pools")
    with rasterio.open(tmp_path / "chico_2020_2_mask.tif") as mask:
        np.testing.assert_array_equal(mask.read(1) == 1, result.mask)
        assert mask.crs == result.crs
    assert len(result.polygons()) == pyogrio.read_info(tmp_path / "chico_2020_2_polygons.gpkg")["features"]
