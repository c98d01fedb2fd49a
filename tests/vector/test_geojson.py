from __future__ import annotations

import json
import logging
from contextlib import closing

import numpy as np
import pyogrio
import pyogrio.raw
import pytest
import shapely
from rasterio.crs import CRS
from rasterio.warp import transform as warp_points
from shapely.geometry import Polygon, box, shape

from rs2sam.errors import InvalidInputError
from rs2sam.vector.geojson import GeoJSONWriter, check_crs, to_wgs84

UTM = CRS.from_epsg(32610)
WGS84 = CRS.from_epsg(4326)
WEB = CRS.from_epsg(3857)
SHAPES = np.array(
    [box(500000, 4400000, 500002, 4400003), Polygon(box(0, 0, 9, 9).exterior, [box(1, 1, 2, 2).exterior])], dtype=object
)
COLUMNS = {"name": np.array(['a "ü" 飞', None], object), "size": np.array([np.nan, 0.5]), "count": np.array([1, 2])}


def write(path, shapes=SHAPES, crs=UTM, num_batches=1):
    with closing(GeoJSONWriter(path, crs, "polygons")) as writer:
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


def around(crs, lon, lat, half):
    """A square in a CRS with its centre at a place and sides of twice `half`."""
    (x,), (y,) = warp_points(WGS84, crs, [lon], [lat])
    return box(x - half, y - half, x + half, y + half)


def degrees_of(placed):
    """Area in square degrees of a valid result that RFC 7946 allows."""
    assert placed.is_valid
    west, south, east, north = placed.bounds
    assert (west >= -180, south >= -90, east <= 180, north <= 90) == (True,) * 4
    for part in shapely.get_parts(placed):
        assert part.exterior.is_ccw
        assert not any(ring.is_ccw for ring in part.interiors)
    return placed.area


def equal_area_m2(placed, pole):
    """Area on the ellipsoid by Lambert's projection around a pole."""
    dense = shapely.segmentize(placed, 0.5)
    to_local = CRS.from_string(f"+proj=laea +lat_0={pole} +datum=WGS84")
    places = np.column_stack(warp_points(WGS84, to_local, *shapely.get_coordinates(dense).T))
    return shapely.area(shapely.set_coordinates(dense, places))


@pytest.mark.parametrize("lat", [17, -17])
def test_both_hemispheres_are_cut_at_the_antimeridian(lat):
    crs = CRS.from_epsg(32660 if lat > 0 else 32760)
    square = around(crs, 180, lat, 100)
    whole, holed = to_wgs84(np.array([square, square - around(crs, 180, lat, 20)], dtype=object), crs)
    assert whole.geom_type == holed.geom_type == "MultiPolygon"
    assert (whole.bounds[0], whole.bounds[2]) == (-180, 180)
    assert whole.bounds[1] < lat < whole.bounds[3]
    assert degrees_of(holed) / degrees_of(whole) == pytest.approx(1 - 0.2**2, rel=1e-4)


@pytest.mark.parametrize("epsg", [4326, 4269, 4267, 4322])
@pytest.mark.parametrize("lat", [51.998, -51])
def test_geographic_systems_are_cut_at_the_antimeridian_whatever_their_datum(epsg, lat):
    crs = CRS.from_epsg(epsg)
    square = box(179.999, lat, 180.001, lat + 0.002)
    for turned in (square, shapely.transform(square, lambda xy: xy - (360, 0))):
        (found,) = to_wgs84(np.array([turned], dtype=object), crs)
        assert found.geom_type == "MultiPolygon"
        assert degrees_of(found) == pytest.approx(0.002**2, rel=1e-3)


@pytest.mark.parametrize(("epsg", "pole"), [(3413, 90), (3031, -90)])
@pytest.mark.parametrize("half", [15, 1e6, 1.2e7])
def test_what_goes_round_a_pole_reaches_up_to_it(epsg, pole, half):
    (cap,) = to_wgs84(np.array([box(-half, -half, half, half)], dtype=object), CRS.from_epsg(epsg))
    degrees_of(cap)
    assert (cap.bounds[0], cap.bounds[2]) == (-180, 180)
    assert pole in cap.bounds
    assert -pole not in cap.bounds


@pytest.mark.parametrize(("epsg", "pole"), [(3413, 90), (3031, -90)])
def test_a_ring_round_a_pole_keeps_its_hole(epsg, pole):
    crs = CRS.from_epsg(epsg)
    square = box(-1e6, -9e5, 1.1e6, 1.3e6)
    round_pole, beside = box(-3e5, -2e5, 4e5, 5e5), box(-6e5, 6e5, -4e5, 8e5)
    shapes = [square, square - round_pole, square - round_pole - beside]
    whole, ring, holed = to_wgs84(np.array(shapes, dtype=object), crs)
    assert [pole in found.bounds for found in (whole, ring, holed)] == [True, False, False]
    areas = [equal_area_m2(found, pole) for found in (whole, ring, holed)]
    # The scale of both projections is 1 at 70 degrees and 0.97 at the pole.
    expected = [shape.area / 0.97**2 for shape in shapes]
    assert areas == pytest.approx(expected, rel=0.03)
    assert all(map(degrees_of, (whole, ring, holed)))


@pytest.mark.parametrize("west", [0, -0.125, -180.0])
@pytest.mark.parametrize("epsg", [4326, 4322])
def test_the_whole_earth_is_one_valid_polygon_wherever_it_is_cut_open(west, epsg):
    earth = box(west, -90, west + 360, 90)
    whole, holed = to_wgs84(
        np.array([earth, earth - box(west + 170, 0, west + 190, 5)], dtype=object), CRS.from_epsg(epsg)
    )
    assert whole.geom_type == "Polygon"
    assert degrees_of(whole) == pytest.approx(360 * 180)
    assert degrees_of(holed) == pytest.approx(360 * 180 - 20 * 5, rel=1e-6)


def test_longitudes_beyond_180_come_back_into_range():
    inside, crossing = to_wgs84(np.array([box(190, 0, 200, 5), box(170, 0, 190, 5)], dtype=object), WGS84)
    assert inside.equals(box(-170, 0, -160, 5))
    assert crossing.equals(shapely.MultiPolygon([box(170, 0, 180, 5), box(-180, 0, -170, 5)]))


@pytest.mark.parametrize("crs", [WGS84, WEB])
def test_what_is_wide_in_truth_stays_whole(crs):
    (left, right), (bottom, top) = warp_points(WGS84, crs, [-170, 170], [-10, 10])
    (polygon,) = to_wgs84(np.array([box(left, bottom, right, top)], dtype=object), crs)
    assert polygon.bounds == pytest.approx((-170, -10, 170, 10))


@pytest.mark.parametrize("definition", ['LOCAL_CS["a building site",UNIT["metre",1]]', "+proj=longlat +R=1737400"])
def test_a_crs_without_a_place_on_earth_is_refused_in_one_line(tmp_path, definition):
    crs = CRS.from_user_input(definition)
    with pytest.raises(InvalidInputError, match="--format gpkg") as caught:
        check_crs(crs)
    assert len(str(caught.value)) < 200
    with pytest.raises(InvalidInputError, match="--format gpkg"):
        GeoJSONWriter(tmp_path / "a.geojson", crs, "polygons")


@pytest.mark.parametrize("crs", [None, UTM, WGS84, WEB, CRS.from_string("+proj=geos +h=35785831 +lon_0=0")])
def test_a_crs_of_the_earth_is_accepted(crs):
    check_crs(crs)


def test_polygons_with_a_corner_in_space_are_left_out_and_counted(tmp_path, caplog):
    geostationary = CRS.from_string("+proj=geos +h=35785831 +lon_0=0")
    shapes = np.array([box(0, 0, 1e5, 1e5), box(5e6, 5e6, 5.1e6, 5.1e6), box(-1e5, 0, 0, 1e5)], dtype=object)
    columns = {"count": np.array([1, 2, 3])}
    path = tmp_path / "a.geojson"
    with caplog.at_level(logging.WARNING), closing(GeoJSONWriter(path, geostationary, "polygons")) as writer:
        writer.write(shapes, columns)
        writer.write(shapes[:1], {"count": np.array([4])})
    features = json.loads(path.read_text())["features"]
    assert [feature["properties"]["count"] for feature in features] == [1, 3, 4]
    assert "not on Earth: 1." in caplog.text


def test_what_lies_beyond_the_poles_is_not_on_earth():
    assert to_wgs84(np.array([box(200, 90.1, 201, 90.2)], dtype=object), WGS84).tolist() == [None]


def test_a_folder_that_is_not_there_is_an_error_of_ours(tmp_path):
    with pytest.raises(InvalidInputError, match="could not be written"):
        GeoJSONWriter(tmp_path / "nowhere" / "a.geojson", UTM, "polygons")
