from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from numpy.typing import NDArray

from rs2sam.errors import InvalidImageError
from rs2sam.raster.source import ReadOptions, Source, open_source
from rs2sam.raster.tiling import TileGrid, Window
from rs2sam.scenes.run import SceneRequest, run_scene
from rs2sam.views.options import SceneOptions
from tests.make_rasters import NORTH_UP, SCENE, RedSegmenter, damaged_tiff, ground_control_points, write_tiff
from tests.range_server import RangeServer

SIDE = 1024
PIXEL_M = 0.6


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(height + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def read_whole(source: Source) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    return source.read(Window(0, 0, *source.info.size_hw))


# --- a coarser ground resolution -------------------------------------------------------------------------------------


def test_a_coarser_resolution_reads_means_of_pixels(tmp_path):
    rgb = noise(64, 96)
    with open_source(write_tiff(tmp_path / "a.tif", rgb), ReadOptions(gsd_m=4 * PIXEL_M)) as source:
        found, valid = read_whole(source)
        assert source.info.size_hw == (16, 24)
        assert source.info.georeference.pixel_size_m((16, 24)) == pytest.approx((2.4, 2.4), rel=1e-3)
    assert valid.all()
    means = rgb.reshape(16, 4, 24, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(found, means, atol=0.5 + 1e-6)


def test_corners_lie_where_they_did(tmp_path):
    path = write_tiff(tmp_path / "a.tif", noise(60, 90))
    with open_source(path) as fine, open_source(path, ReadOptions(gsd_m=7 * PIXEL_M)) as coarse:
        assert coarse.info.size_hw == (9, 13)
        corners = [
            source.info.georeference.to_crs(np.array([[0.0, 0.0], source.info.size_hw[::-1]]))
            for source in (fine, coarse)
        ]
    np.testing.assert_allclose(corners[0], corners[1], rtol=0, atol=1e-6)


def test_ground_control_points_move_with_the_pixels(tmp_path):
    points = ground_control_points(NORTH_UP, *SCENE.shape[:2])
    path = write_tiff(tmp_path / "a.tif", SCENE, transform=None, gcps=points)
    with open_source(path, ReadOptions(gsd_m=2 * PIXEL_M)) as source:
        shrink = 64 / source.info.size_hw[0]
        found = source.info.georeference.gcps
    assert shrink == 2
    assert [(p.row, p.col) for p in found] == [(p.row / 2, p.col / 2) for p in points]


@pytest.mark.parametrize("gsd_m", [None, 0.1, PIXEL_M])
def test_a_file_is_never_enlarged(tmp_path, gsd_m):
    rgb = noise(30, 40)
    with open_source(write_tiff(tmp_path / "a.tif", rgb), ReadOptions(gsd_m=gsd_m)) as source:
        np.testing.assert_array_equal(read_whole(source)[0], rgb)


@pytest.mark.parametrize("gsd_m", [1.5, 1.8])
def test_a_pixel_does_not_depend_on_the_window_it_is_read_in(tmp_path, gsd_m):
    path = write_tiff(tmp_path / "a.tif", noise(150, 190))
    with open_source(path, ReadOptions(gsd_m=gsd_m)) as source:
        whole, _ = read_whole(source)
        for window in TileGrid(source.info.size_hw, 32, 8).windows():
            np.testing.assert_allclose(source.read(window)[0].astype(int), whole[window.slices], atol=1)


def test_a_coarse_pixel_is_valid_where_any_of_its_pixels_is_and_is_their_mean(tmp_path):
    rgb = np.full((8, 8, 3), 100, dtype=np.uint8)
    rgb[:4] = 7
    rgb[0, 0] = 100
    path = write_tiff(tmp_path / "a.tif", rgb, nodata=7)
    with open_source(path, ReadOptions(gsd_m=4 * PIXEL_M)) as source:
        found, valid = read_whole(source)
    assert valid.tolist() == [[True, False], [True, True]]
    assert found[..., 0].tolist() == [[100, 0], [100, 100]]


def test_values_named_as_nodata_are_not_mixed_with_others(tmp_path):
    rgb = np.tile(np.array([[0, 200], [200, 0]], dtype=np.uint8), (8, 8))[..., None].repeat(3, axis=2)
    with open_source(write_tiff(tmp_path / "a.tif", rgb), ReadOptions(gsd_m=4 * PIXEL_M, nodata=0)) as source:
        found, valid = read_whole(source)
    assert set(np.unique(found[valid])) <= {200}


def test_lost_blocks_of_a_coarser_reading_are_told_in_its_pixels(tmp_path):
    path = damaged_tiff(tmp_path / "a.tif", noise(128, 192), row=1, col=2)
    with open_source(path, ReadOptions(gsd_m=2 * PIXEL_M)) as source:
        _, valid, lost = source.read_what_can_be(Window(0, 0, 64, 96))
    # Means at the edge of a block touch the next one, which may then be lost with it.
    assert Window(32, 64, 32, 32) in lost
    assert not valid[32:, 64:].any()
    assert valid[:, :32].all()


# --- a file on a server ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cog(tmp_path_factory) -> Path:
    """A cloud-optimised GeoTIFF of noise with overviews, about 4 MB."""
    folder = tmp_path_factory.mktemp("cog")
    path = write_tiff(folder / "plain.tif", noise(SIDE, SIDE))
    rasterio.shutil.copy(path, folder / "cog.tif", driver="COG", BLOCKSIZE="128", COMPRESS="DEFLATE", LEVEL="1")
    return folder / "cog.tif"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_a_window_of_a_remote_file_costs_the_blocks_it_touches(cog):
    with RangeServer(cog) as server, open_source(server.url) as source:
        assert source.info.size_hw == (SIDE, SIDE)
        found, _ = source.read(Window(256, 384, 128, 128))
        np.testing.assert_array_equal(found, noise(SIDE, SIDE)[256:384, 384:512])
        num_sent = server.num_sent
    assert num_sent < cog.stat().st_size / 10


def test_a_coarse_run_on_a_remote_file_reads_its_overviews(cog, tmp_path):
    options = SceneOptions(gsd_m=8 * PIXEL_M)
    with RangeServer(cog) as server:
        request = SceneRequest(server.url, ("red",), tmp_path / "out", options=options)
        report = run_scene(request, RedSegmenter())
        num_sent = server.num_sent
    assert (report["source"]["height"], report["source"]["width"]) == (SIDE // 8, SIDE // 8)
    assert num_sent < cog.stat().st_size / 10
    with rasterio.open(tmp_path / "out" / "cog_mask.tif") as mask:
        assert mask.shape == (SIDE // 8, SIDE // 8)
        assert tuple(mask.bounds) == pytest.approx(
            (NORTH_UP.c, NORTH_UP.f - SIDE * 0.6, NORTH_UP.c + SIDE * 0.6, NORTH_UP.f)
        )


# --- what GDAL keeps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [31, 32, 33])
def test_the_cache_holds_the_blocks_of_a_row_of_tiles_wherever_it_begins(tmp_path, rows):
    path = write_tiff(tmp_path / "a.tif", noise(160, 64), blockysize=16)
    with open_source(path) as source:
        most_touched = max(-(-(first + rows) // 16) - first // 16 for first in range(16))
        what_gdal_notes = 200  # bytes, for each block of each band
        assert source.cache_bytes(rows) >= most_touched * 3 * (16 * 64 + what_gdal_notes)


def test_what_is_known_of_a_source_outlives_its_file(tmp_path):
    with open_source(write_tiff(tmp_path / "a.tif", noise(16, 24))) as source:
        source.close()
        assert source.info.size_hw == (16, 24)
        with pytest.raises(InvalidImageError, match="closed"):
            source.read(Window(0, 0, 4, 4))
