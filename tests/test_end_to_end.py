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

SHIPPED = files("rs2sam") / "weights" / "compact" / "image.onnx"

pytestmark = pytest.mark.skipif(not SHIPPED.is_file(), reason="the compact model is not in this source tree")


def segment(*arguments):
    result = CliRunner().invoke(main, ["segment", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize("size_hw", [(64, 96), (600, 1100)], ids=["one view", "tiles"])
def test_the_shipped_model_answers_and_its_outputs_agree_with_each_other(tmp_path, size_hw):
    rgb = np.tile(SCENE, (-(-size_hw[0] // 64), -(-size_hw[1] // 96), 1))[: size_hw[0], : size_hw[1]]
    source = write_tiff(tmp_path / "a.tif", rgb)
    tiles = [] if size_hw == (64, 96) else ["--tile", 512]
    segment(source, "the red roof", "all vehicles", "-o", tmp_path / "out", "--threads", 1, *tiles)
    report = json.loads((tmp_path / "out/a_result.json").read_text())
    assert report["model"]["name"] == "compact"
    assert all(found["views"] == (1 if size_hw == (64, 96) else 6) for found in report["sentences"])
    with rasterio.open(tmp_path / "out/a_mask.tif") as mask:
        assert (mask.transform, mask.crs.to_epsg(), mask.shape) == (NORTH_UP, 26910, size_hw)
        bands = mask.read()
    assert report["outputs"]["layers"] == ["1_the_red_roof", "2_all_vehicles"]
    for number, (band, found) in enumerate(zip(bands, report["sentences"], strict=True)):
        layer = report["outputs"]["layers"][number]
        _, _, wkb, columns = pyogrio.raw.read(tmp_path / "out/a_polygons.gpkg", layer=layer)
        outlines = shapely.from_wkb(wkb)
        assert len(outlines) == found["polygons"]
        assert set(columns[1]) <= {number + 1}
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
    assert len(result.polygons()) == pyogrio.read_info(tmp_path / "chico_2020_2_polygons.gpkg", layer=0)["features"]


def test_the_shipped_model_skips_tiles_that_show_nothing_from_afar(tmp_path):
    from rs2sam import Segmenter
    from rs2sam.datasets.synthetic.showcase import showcase
    from rs2sam.processing import FirstPass
    from rs2sam.scenes.run import SceneRequest, run_scene
    from rs2sam.views import SceneOptions

    rgb = np.full((400, 1100, 3), 110, dtype=np.uint8)
    rgb[:, :580] = showcase().pixels()[120:520, :580]
    path = write_tiff(tmp_path / "a.tif", rgb)
    first_pass = FirstPass(tiles=2, threshold=0.9)
    options = SceneOptions(tile=512, min_presence=None, exhaustive=False, first_pass=first_pass)
    request = SceneRequest(str(path), ("all storage tanks",), tmp_path / "out", options=options)
    report = run_scene(request, Segmenter.load("compact", threads=1))
    # 512 px tiles begin at 0, 294, 588; the last shows nothing but grey.
    assert report["tiles"]["read"] == 3
    assert report["tiles"]["skipped_first_pass"] in (1, 2)
    with rasterio.open(tmp_path / "out/a_mask.tif") as mask:
        found = mask.read(1)
    assert found[:, :588].any()
    assert not found[:, 806:].any()
