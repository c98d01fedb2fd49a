from __future__ import annotations

import sqlite3
from contextlib import closing
from xml.etree import ElementTree as ET

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rs2sam.drawing import COLOURS
from rs2sam.vector.polygon_files import PolygonWriter, RegionLabels
from rs2sam.vector.styles import layer_style
from tests.vector.test_regions import UTM, collect

MASK = np.ones((4, 4), np.bool_)


def fills(root):
    return [option.get("value") for option in root.iter("Option") if option.get("name") == "color"]


def test_a_layer_of_one_sentence_is_shaded_by_probability_in_its_colour():
    root = ET.fromstring(layer_style({2: "all ships"}))
    renderer = root.find("renderer-v2")
    assert (renderer.get("type"), renderer.get("attr")) == ("graduatedSymbol", "mean_probability")
    ranges = [(float(one.get("lower")), float(one.get("upper"))) for one in root.iter("range")]
    assert (ranges[0][0], ranges[-1][1]) == (0, 1)
    assert [upper for _, upper in ranges[:-1]] == [lower for lower, _ in ranges[1:]]
    opacities = [int(fill.split(",")[3]) for fill in fills(root)]
    assert opacities == sorted(set(opacities))
    assert {tuple(map(int, fill.split(",")[:3])) for fill in fills(root)} == {COLOURS[1]}


@given(st.dictionaries(st.integers(1, 300), st.text(), min_size=2, max_size=9))
def test_a_layer_of_several_sentences_has_a_category_for_each_whatever_they_hold(sentences):
    root = ET.fromstring(layer_style(sentences))
    assert root.find("renderer-v2").get("attr") == "sentence_id"
    assert [int(one.get("value")) for one in root.iter("category")] == list(sentences)
    names = [one.get("name") for one in root.iter("symbol")]
    assert [one.get("symbol") for one in root.iter("category")] == names


def test_each_layer_of_a_geopackage_has_one_style_by_default(tmp_path):
    regions = collect(MASK, georeference=UTM)
    with PolygonWriter(tmp_path / "a.gpkg", "gpkg", UTM, MASK.shape) as writer:
        for number, layer in enumerate(("1_a", "2_b"), start=1):
            writer.write(regions, RegionLabels(f'the "{layer}" <&>', number, "red", "a.tif", layer))
            writer.write([], RegionLabels(f'the "{layer}" <&>', number, "red", "a.tif", layer))
    with closing(sqlite3.connect(tmp_path / "a.gpkg")) as database:
        rows = database.execute(
            "SELECT f_table_name, f_geometry_column, useAsDefault, styleQML, update_time FROM layer_styles"
        ).fetchall()
        kinds = dict(database.execute("SELECT table_name, data_type FROM gpkg_contents").fetchall())
        columns = [row[1] for row in database.execute("PRAGMA table_info('1_a')")]
    assert [(row[0], row[1], row[2]) for row in rows] == [("1_a", "geom", 1), ("2_b", "geom", 1)]
    assert kinds["layer_styles"] == "attributes"
    assert {row[4] for row in rows} == {"1970-01-01T00:00:00.000Z"}
    for row in rows:
        assert ET.fromstring(row[3]).find("renderer-v2").get("attr") in columns
