from __future__ import annotations

import json

import numpy as np
import pyogrio
import pyogrio.raw
import pytest
import shapely
from rasterio.crs import CRS
from rasterio.warp import transform as warp_points
from shapely.geometry import Polygon, box, shape

from rs2sam.errors import InvalidInputError
from rs2sam.raster.geojson import GeoJSONWriter, to_wgs84

UTM = CRS.from_epsg(32610)
WGS84 = CRS.from_epsg(4326)
WEB = CRS.from_epsg(3857)
SHAPES = np.array(
    [box(500000, 4400000, 500002, 4400003), Polygon(box(0, 0, 9, 9).exterior, [box(1, 1, 2, 2).exterior])], dtype=object
)
COLUMNS = {"name": np.array(['a "ü" 飞', None], object), "size": np.array([np.nan, 0.5]), "count": np.array([1, 2])}


def write(path, shapes=SHAPES, crs=UTM, num_batches=1):
    with GeoJSONWriter(path, crs, "polygons") as writer:
        for _ in range(num_batches):
            writer.write(shapes, COLUMNS)
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_collection_holds_features_with_properties_and_nulls(tmp_path):
    content = write(tmp_path / "a.geojson", num_batches=2)
    assert list(content) == ["type", "name", "features"]
    assert (content["type"], content["name"], len(content["features"])) == ("FeatureCollection", "polygons", 4)
    assert content["features"][0]["properties"] == {"name": 'a "ü" 飞', "size": None, "count": 1}
    assert content["features"][3]["properties"] == {"name": None, "size": 0.5, "count": 2}


def test_gdal_reads_equal_geometries_and_values(tmp_path):
    content = write(tmp_path / "a.geojson")
    meta, _, wkb, values = pyogrio.raw.read(tmp_path / "a.geojson")
    assert meta["crs"] == "EPSG:4326"
    expected = [shape(feature["geometry"]) for feature in content["features"]]
    assert shapely.equals_exact(shapely.from_wkb(wkb), expected).all()
    assert meta["fields"].tolist() == list(COLUMNS)
    assert values[0].tolist() == COLUMNS["name"].tolist()


def test_corners_are_longitude_and_latitude_to_a_tenth_of_a_millimetre(tmp_path):
    first = shape(write(tmp_path / "a.geojson")["features"][0]["geometry"])
    # The left side is the central meridian of zone 10.
    assert first.bounds[0] == -123
    back = np.column_stack(warp_points(WGS84, UTM, *np.array(first.exterior.coords).T))
    assert shapely.hausdorff_distance(Polygon(back), SHAPES[0]) < 1e-4
    assert all(len(repr(value).partition(".")[2]) <= 9 for value in np.ravel(first.exterior.coords).tolist())


@pytest.mark.parametrize("crs", [UTM, None])
def test_outer_rings_are_counter_clockwise_and_holes_clockwise(crs):
    for polygon in to_wgs84(np.concatenate([SHAPES, shapely.reverse(SHAPES)]), crs):
        assert polygon.exterior.is_ccw
        assert not any(ring.is_ccw for ring in polygon.interiors)


def test_without_a_crs_coordinates_are_exact():
    third = np.array([box(0, 0, 1 / 3, 1)], dtype=object)
    assert to_wgs84(third, None)[0].bounds == (0, 0, 1 / 3, 1)


def test_an_empty_collection_is_valid(tmp_path):
    assert write(tmp_path / "a.geojson", num_batches=0)["features"] == []
    assert pyogrio.read_info(tmp_path / "a.geojson")["features"] == 0


def test_what_crosses_the_antimeridian_is_cut_there():
    # Zone 60 ends at 180 degrees, 333 km east of its central meridian at the equator: 834 km of easting.
    crossing = np.array([box(800000, 0, 900000, 100000)], dtype=object)
    (parts,) = to_wgs84(crossing, CRS.from_epsg(32660))
    assert parts.geom_type == "MultiPolygon"
    west, east = sorted(parts.geoms, key=lambda part: part.bounds[0])
    assert west.bounds[0] == -180
    assert -180 < west.bounds[2] < -179
    assert east.bounds[2] == 180
    assert 179 < east.bounds[0] < 180
    assert all(part.exterior.is_ccw for part in parts.geoms)


def test_longitudes_beyond_180_come_back_into_range():
    inside, crossing = to_wgs84(np.array([box(190, 0, 200, 5), box(170, 0, 190, 5)], dtype=object), WGS84)
    assert inside.equals(box(-170, 0, -160, 5))
    assert crossing.equals(shapely.MultiPolygon([box(170, 0, 180, 5), box(-180, 0, -170, 5)]))


@pytest.mark.parametrize("crs", [WGS84, WEB])
def test_what_is_wide_in_truth_stays_whole(crs):
    (left, right), (bottom, top) = warp_points(WGS84, crs, [-170, 170], [-10, 10])
    (polygon,) = to_wgs84(np.array([box(left, bottom, right, top)], dtype=object), crs)
    assert polygon.bounds == pytest.approx((-170, -10, 170, 10))


def test_a_crs_without_a_place_on_earth_is_refused():
    local = CRS.from_wkt('LOCAL_CS["a building site",UNIT["metre",1]]')
    with pytest.raises(InvalidInputError, match="--format gpkg"):
        to_wgs84(SHAPES, local)


def test_corners_outside_of_the_crs_are_refused():
    with pytest.raises(InvalidInputError, match="--format gpkg"):
        to_wgs84(np.array([box(1e9, 0, 2e9, 1)], dtype=object), CRS.from_string("+proj=laea +lat_0=45 +lon_0=7"))


def test_a_folder_that_is_not_there_is_an_error_of_ours(tmp_path):
    with pytest.raises(InvalidInputError, match="could not be written"):
        GeoJSONWriter(tmp_path / "nowhere" / "a.geojson", UTM, "polygons")
