"""How QGIS draws a layer of polygons by itself: QML, the form in which it keeps styles in a GeoPackage.

A layer of one sentence is shaded by the mean probability of each region, in the sentence's colour; one of several has a
colour for each. Colours are those of class maps.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

from rs2sam.drawing import COLOURS, Colour

TABLE = "layer_styles"
"""Table in which QGIS looks for the style of a layer."""

_SCHEMA = f"""
CREATE TABLE {TABLE} (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
    f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
    useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
    update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now'))
)
"""

# Lower and upper mean probability of a shade, and the opacity of its fill in [0, 255].
_SHADES = ((0.0, 0.6, 30), (0.6, 0.7, 75), (0.7, 0.8, 120), (0.8, 0.9, 165), (0.9, 1.0, 210))
_FILL_OF_MANY = 110
_LINE_MM = 0.46
_POLYGONS = 2  # QGIS's number of the kind of geometry
_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
# XML has no way to write these.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def add_styles(database: sqlite3.Connection, styles: Mapping[str, str], geometry: str, date: str) -> None:
    """Add the table of styles to a GeoPackage, registered as QGIS does it.

    Args:
        database: the GeoPackage.
        styles: QML by the layer whose default it is.
        geometry: column of all layers.
        date: of the change.
    """
    database.execute(_SCHEMA)
    database.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, last_change, srs_id) "
        "VALUES (?, 'attributes', ?, ?, 0)",
        (TABLE, TABLE, date),
    )
    database.executemany(
        f"INSERT INTO {TABLE} (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, styleQML, "
        "styleSLD, useAsDefault, description, owner, update_time) VALUES ('', '', ?, ?, 'rs2sam', ?, '', 1, ?, '', ?)",
        [(layer, geometry, qml, "Regions by rs2sam", date) for layer, qml in styles.items()],
    )


def layer_style(sentences: Mapping[int, str]) -> str:
    """The style of a layer as QML.

    Args:
        sentences: of its polygons, by `sentence_id`.
    """
    if len(sentences) == 1:
        return _by_probability(COLOURS[(next(iter(sentences)) - 1) % len(COLOURS)])
    return _by_sentence(sentences)


def _by_probability(colour: Colour) -> str:
    """One colour, the more opaque the more probable a region is."""
    renderer = _renderer("graduatedSymbol", "mean_probability", graduatedMethod="GraduatedColor")
    ranges = ET.SubElement(renderer, "ranges")
    for number, (lower, upper, _) in enumerate(_SHADES):
        label = f"{lower:.0%} to {upper:.0%}" if number else f"up to {upper:.0%}"
        attributes = {"lower": f"{lower:.6f}", "upper": f"{upper:.6f}", "symbol": str(number), "label": label}
        ET.SubElement(ranges, "range", {**attributes, "render": "true"})
    _add_symbols(renderer, [(colour, opacity) for _, _, opacity in _SHADES])
    return _document(renderer)


def _by_sentence(sentences: Mapping[int, str]) -> str:
    """A colour for each sentence."""
    renderer = _renderer("categorizedSymbol", "sentence_id")
    categories = ET.SubElement(renderer, "categories")
    for place, (number, sentence) in enumerate(sentences.items()):
        attributes = {"value": str(number), "type": "integer", "symbol": str(place)}
        ET.SubElement(categories, "category", {**attributes, "label": _NOT_XML.sub(" ", sentence), "render": "true"})
    colours = [COLOURS[(number - 1) % len(COLOURS)] for number in sentences]
    _add_symbols(renderer, [(colour, _FILL_OF_MANY) for colour in colours])
    return _document(renderer)


def _renderer(kind: str, attribute: str, **others: str) -> ET.Element:
    """What decides how a polygon is drawn."""
    plain = {"symbollevels": "0", "enableorderby": "0", "forceraster": "0"}
    return ET.Element("renderer-v2", {"type": kind, "attr": attribute, **plain, **others})


def _add_symbols(renderer: ET.Element, fills: Sequence[tuple[Colour, int]]) -> None:
    """Add a fill with an outline for each colour and opacity."""
    symbols = ET.SubElement(renderer, "symbols")
    for number, (colour, opacity) in enumerate(fills):
        symbol = ET.SubElement(symbols, "symbol", {"type": "fill", "name": str(number), "alpha": "1"})
        layer = ET.SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1", "pass": "0", "locked": "0"})
        rgb = ",".join(map(str, colour))
        properties = {
            "color": f"{rgb},{opacity}",
            "style": "solid",
            "outline_color": f"{rgb},255",
            "outline_style": "solid",
            "outline_width": str(_LINE_MM),
            "outline_width_unit": "MM",
            "joinstyle": "miter",
        }
        # QGIS reads one form from 3.20 on, the other before.
        options = ET.SubElement(layer, "Option", {"type": "Map"})
        for name, value in properties.items():
            ET.SubElement(options, "Option", {"type": "QString", "name": name, "value": value})
        for name, value in properties.items():
            ET.SubElement(layer, "prop", {"k": name, "v": value})


def _document(renderer: ET.Element) -> str:
    """A renderer as a style."""
    root = ET.Element("qgis", {"version": "3.22.0", "styleCategories": "Symbology"})
    root.append(renderer)
    ET.SubElement(root, "layerGeometryType").text = str(_POLYGONS)
    ET.indent(root, " ")
    return _DOCTYPE + ET.tostring(root, encoding="unicode") + "\n"
