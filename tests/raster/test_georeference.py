from __future__ import annotations

import math

import numpy as np
import pytest
from rasterio import Affine
from rasterio.crs import CRS
from shapely.geometry import box

from rs2sam.raster.georeference import Georeference, crs_name
from tests.make_rasters import NORTH_UP, ROTATED, apply, ground_control_points

WGS84 = CRS.from_epsg(4326)


def zone_area_m2(south: float, north: float, width_deg: float) -> float:
    """Area of an ellipsoidal quadrangle in closed form: integral of the radii of curvature over the latitude."""
    a, f = 6378137.0, 1 / 298.257223563
    e = math.sqrt(f * (2 - f))

    def below(latitude: float) -> float:
        s = math.sin(math.radians(latitude))
        return s / (1 - (e * s) ** 2) + math.log((1 + e * s) / (1 - e * s)) / (2 * e)

    return math.radians(width_deg) * (a * a * (1 - e * e) / 2) * (below(north) - below(south))


@pytest.mark.parametrize("north", [1.0, 50.0, -33.0, 80.0])
def test_area_on_the_ellipsoid_is_that_of_the_closed_form(north):
    place = Georeference(Affine(0.001, 0, 10, 0, -0.001, north), WGS84)
    (area,) = place.areas_m2([box(0, 0, 1000, 1000)])
    assert area == pytest.approx(zone_area_m2(north - 1, north, 1.0), rel=1e-6)


def test_area_does_not_depend_on_the_projection_it_is_drawn_in():
    mercator = Georeference(Affine(1, 0, 1113194.9, 0, -1, 6446275.8), CRS.from_epsg(3857))
    (area,) = mercator.areas_m2([box(0, 0, 100, 100)])
    # Web Mercator shows one metre at 50 degrees north as 1 / cos(50) = 1.56 metres.
    assert area == pytest.approx(10_000 * math.cos(math.radians(50)) ** 2, rel=0.005)


def test_area_of_a_projected_scene_undoes_the_scale_of_the_projection():
    (area,) = Georeference(Affine(1, 0, 500000, 0, -1, 4400000), CRS.from_epsg(32610)).areas_m2([box(0, 0, 10, 10)])
    assert area == pytest.approx(100 / 0.9996**2, rel=1e-6)


def test_area_in_feet_is_in_square_metres():
    (area,) = Georeference(Affine(1, 0, 6561666, 0, -1, 1640416), CRS.from_epsg(2229)).areas_m2([box(0, 0, 10, 10)])
    assert area == pytest.approx(100 * (1200 / 3937) ** 2, rel=1e-3)


@pytest.mark.parametrize(
    "place",
    [
        Georeference(Affine.identity()),
        Georeference(NORTH_UP),
        Georeference(Affine(1, 0, 0, 0, -1, 0), CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')),
        Georeference(Affine(1, 0, 0, 0, -1, 500), WGS84),
        Georeference(Affine(1, 0, 0, 0, -1, 0), CRS.from_string("+proj=eqc +R=1737400 +units=m")),
    ],
    ids=["none", "no CRS", "site grid", "latitude 500", "the Moon"],
)
def test_area_is_unknown_where_the_crs_says_no_place(place):
    assert place.areas_m2([box(0, 0, 1, 1)]) == [None]
    assert place.pixel_size_m((10, 10)) is None


def test_pixel_size_is_in_metres():
    assert Georeference(NORTH_UP, CRS.from_epsg(26910)).pixel_size_m((100, 100)) == pytest.approx((0.6, 0.6), rel=1e-3)
    assert Georeference(ROTATED, CRS.from_epsg(26910)).pixel_size_m((100, 100)) == pytest.approx((0.6, 0.6), rel=1e-3)
    width, height = Georeference(Affine(1e-4, 0, 10, 0, -1e-4, 60), WGS84).pixel_size_m((2, 2))
    assert width == pytest.approx(height / 2, rel=0.01)


@pytest.mark.parametrize("transform", [NORTH_UP, ROTATED])
def test_ground_control_points_map_pixels_as_their_transform_does(transform):
    points = tuple(ground_control_points(transform, 64, 96))
    place = Georeference(Affine.identity(), CRS.from_epsg(26910), points)
    pixels = np.array([[0.0, 0.0], [96.0, 64.0], [13.0, 41.0]])
    expected = [apply(transform, *pixel) for pixel in pixels]
    np.testing.assert_allclose(place.to_crs(pixels), expected, atol=1e-3)
    assert place.is_located


def test_no_points_map_to_no_points():
    place = Georeference(Affine.identity(), WGS84, tuple(ground_control_points(NORTH_UP, 4, 4)))
    assert place.to_crs(np.empty((0, 2))).shape == (0, 2)
    assert place.areas_m2([]) == []


def test_crs_is_named_by_the_code_it_carries_and_never_by_a_guess():
    assert crs_name(CRS.from_epsg(26910)) == "EPSG:26910"
    own = 'PROJCS["my grid",' + CRS.from_epsg(26910).to_wkt().partition(",")[2].rpartition(",AUTHORITY")[0] + "]"
    own = own.replace('"central_meridian",-123', '"central_meridian",-122.5')
    assert crs_name(CRS.from_wkt(own)) == "my grid"


@pytest.mark.parametrize("latitude", [0.0, 45.0, -70.0])
def test_a_narrow_polygon_has_the_area_that_its_corners_have_on_the_ellipsoid(latitude):
    # 2 km wide: measured by the ground area of a pixel. The same as part of a closed form.
    side = math.degrees(2000 / 6_371_000) / 100
    place = Georeference(Affine(side, 0, 10, 0, -side, latitude), WGS84)
    (area,) = place.areas_m2([box(0, 0, 100, 100)])
    assert area == pytest.approx(zone_area_m2(latitude - 100 * side, latitude, 100 * side), rel=1e-6)


def test_wide_and_narrow_polygons_are_measured_alike():
    place = Georeference(Affine(1, 0, 300000, 0, -1, 6400000), CRS.from_epsg(32610))
    narrow = [box(x, y, x + 2500, y + 2500) for x in (0, 2500, 5000) for y in (0, 2500, 5000)]
    (wide,) = place.areas_m2([box(0, 0, 7500, 7500)])
    assert sum(place.areas_m2(narrow)) == pytest.approx(wide, rel=1e-7)


def test_an_area_does_not_depend_on_the_other_polygons():
    place = Georeference(NORTH_UP, CRS.from_epsg(26910))
    polygons = [box(x, 3, x + 5, 9) for x in (0, 4090, 5000, 20000)]
    assert place.areas_m2(polygons) == [place.areas_m2([polygon])[0] for polygon in polygons]


def test_polygons_are_placed_in_the_crs():
    placed = Georeference(Affine(2, 0, 100, 0, -3, 50), WGS84).place([box(0, 0, 1, 1), box(1, 1, 2, 3)])
    assert [polygon.bounds for polygon in placed] == [(100, 47, 102, 50), (102, 41, 104, 47)]
    assert len(Georeference(Affine.identity()).place([])) == 0


def test_pixels_too_small_to_be_told_apart_have_no_size():
    assert Georeference(Affine(1e-320, 0, 0, 0, -1e-320, 0), CRS.from_epsg(32631)).pixel_size_m((64, 64)) is None
