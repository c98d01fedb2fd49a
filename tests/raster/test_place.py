from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

from rs2sam.raster import read_scene
from rs2sam.raster.place import degenerate
from tests.make_rasters import NORTH_UP, SCENE, UTM, apply, ground_control_points, write_tiff

SIZE = (64, 96)
RPCS = RPC(
    height_off=0,
    height_scale=100,
    lat_off=48,
    lat_scale=0.1,
    line_off=32,
    line_scale=32,
    long_off=11,
    long_scale=0.1,
    samp_off=48,
    samp_scale=48,
    line_num_coeff=[0, 0, -1] + [0] * 17,
    line_den_coeff=[1] + [0] * 19,
    samp_num_coeff=[0, 1] + [0] * 18,
    samp_den_coeff=[1] + [0] * 19,
)


def is_nowhere(scene) -> bool:
    place = scene.georeference
    return place.crs is None and place.transform == Affine.identity() and not place.gcps


@pytest.mark.parametrize(
    ("transform", "reason"),
    [
        (Affine(0.5, 0, math.nan, 0, -0.5, 5e6), "no finite numbers"),
        (Affine(0.5, 0, math.inf, 0, -0.5, 5e6), "no finite numbers"),
        (Affine(0.5, 0, -math.inf, 0, -0.5, 5e6), "no finite numbers"),
        (Affine(1e300, 0, 1e308, 0, -1e300, 5e6), "coordinates of up to 1e"),
        (Affine(0, 0, 5e5, 0, -0.5, 5e6), "no area"),
        (Affine(0.5, 0.5, 5e5, 0.5, 0.5, 5e6), "no area"),
        (Affine(1e-9, 0, 5e5, 0, -1e-9, 5e6), "precision"),
    ],
)
def test_a_transform_that_places_no_pixels_is_told_by_its_reason(transform, reason):
    assert reason in (degenerate(transform, SIZE) or "")


@pytest.mark.parametrize("transform", [NORTH_UP, Affine(1e-9, 0, 11, 0, -1e-9, 48), Affine(0, 0.5, 5e5, 0.5, 0, 5e6)])
def test_ordinary_transforms_are_believed(transform):
    assert degenerate(transform, SIZE) is None


@pytest.mark.parametrize("transform", [Affine(0.5, 0, math.nan, 0, -0.5, 5e6), Affine(1e300, 0, 1e308, 0, -1e300, 0)])
def test_a_file_with_a_degenerate_transform_is_read_in_pixels_and_says_so(tmp_path, transform):
    scene = read_scene(write_tiff(tmp_path / "a.tif", transform=transform))
    assert is_nowhere(scene)
    (line,) = scene.warnings
    assert "transform places no pixels" in line
    assert "results are in pixels" in line


@pytest.mark.parametrize(("crs", "reason"), [("EPSG:4978", "geocentric"), (UTM, "")])
def test_a_crs_without_a_plane_places_nothing(tmp_path, crs, reason):
    scene = read_scene(write_tiff(tmp_path / "a.tif", crs=crs))
    assert is_nowhere(scene) == bool(reason)
    assert all(reason in line for line in scene.warnings)
    assert len(scene.warnings) == bool(reason)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_crs_without_a_transform_places_nothing(tmp_path):
    scene = read_scene(write_tiff(tmp_path / "a.tif", transform=None))
    assert is_nowhere(scene)
    assert scene.warnings == ("it names a CRS and no transform: results are in pixels",)


@pytest.mark.parametrize(("count", "is_enough"), [(1, False), (2, False), (3, True), (5, True)])
def test_three_control_points_place_a_scene(tmp_path, count, is_enough):
    points = ground_control_points(NORTH_UP, *SIZE)[:count]
    scene = read_scene(write_tiff(tmp_path / "a.tif", transform=None, gcps=points))
    assert is_nowhere(scene) != is_enough
    assert ("place no pixels" in " ".join(scene.warnings)) != is_enough
    if is_enough:
        corner = scene.georeference.to_crs(np.array([[96.0, 64.0]]))
        np.testing.assert_allclose(corner, [apply(NORTH_UP, 96, 64)], atol=1e-3)


def test_control_points_on_one_line_place_nothing(tmp_path):
    points = [GroundControlPoint(n, n, 5e5 + n, 5e6 + n) for n in range(4)]
    scene = read_scene(write_tiff(tmp_path / "a.tif", transform=None, gcps=points))
    assert is_nowhere(scene)
    assert "not on one line" in scene.warnings[0]


def test_control_points_without_a_crs_place_nothing(tmp_path):
    write_tiff(tmp_path / "a.tif")
    points = "".join(
        f'<GCP Id="{n}" Pixel="{point.col}" Line="{point.row}" X="{point.x}" Y="{point.y}"/>'
        for n, point in enumerate(ground_control_points(NORTH_UP, *SIZE))
    )
    source = '<SimpleSource><SourceFilename relativeToVRT="1">a.tif</SourceFilename></SimpleSource>'
    (tmp_path / "a.vrt").write_text(
        f'<VRTDataset rasterXSize="96" rasterYSize="64"><GCPList>{points}</GCPList>'
        f'<VRTRasterBand dataType="Byte" band="1">{source}</VRTRasterBand></VRTDataset>'
    )
    scene = read_scene(tmp_path / "a.vrt")
    assert is_nowhere(scene)
    assert "no CRS says where they are" in scene.warnings[0]


def test_control_points_that_are_no_numbers_are_left_out(tmp_path):
    points = [*ground_control_points(NORTH_UP, *SIZE), GroundControlPoint(5, 5, math.nan, 3)]
    scene = read_scene(write_tiff(tmp_path / "a.tif", transform=None, gcps=points))
    assert len(scene.georeference.gcps) == 5
    assert "1 of its 6 ground control points are no finite numbers" in scene.warnings[0]


def test_rational_polynomials_are_kept_and_results_are_in_pixels(tmp_path):
    scene = read_scene(write_tiff(tmp_path / "a.tif", transform=None, crs=None, rpcs=RPCS))
    assert is_nowhere(scene)
    assert scene.georeference.rpcs.line_off == 32
    assert not scene.is_photo
    assert "polygons" not in scene.warnings[0]
    assert "rational polynomials (RPCs) only: results are in pixels, and masks carry" in scene.warnings[0]


def test_a_transform_without_a_crs_is_said(tmp_path):
    scene = read_scene(write_tiff(tmp_path / "a.tif", SCENE, crs=None))
    assert scene.georeference.transform == NORTH_UP
    assert scene.georeference.crs is None
    (line,) = scene.warnings
    assert "no CRS that can be read" in line


def test_geokeys_that_cannot_be_read_leave_the_transform_and_are_said(tmp_path):
    path = write_tiff(tmp_path / "a.tif", SCENE)
    content = bytearray(path.read_bytes())
    (directory,) = struct.unpack_from("<I", content, 4)
    for entry in range(directory + 2, directory + 2 + 12 * struct.unpack_from("<H", content, directory)[0], 12):
        found, _, count, at = struct.unpack_from("<HHII", content, entry)
        if found == 34735:
            keys = slice(at + 8, at + 2 * count)
            content[keys] = bytes(0xFF ^ value for value in content[keys])
    path.write_bytes(content)
    scene = read_scene(path)
    assert scene.georeference.crs is None
    assert scene.georeference.transform == NORTH_UP
    assert any("no CRS that can be read" in line for line in scene.warnings)
    np.testing.assert_array_equal(scene.rgb, SCENE)
