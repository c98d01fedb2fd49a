"""A result on a map that can be moved and zoomed, for notebooks (folium)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.warp import Resampling, reproject, transform_bounds

from rs2sam.errors import InvalidInputError, require, words_of
from rs2sam.vector.geojson import to_wgs84
from rs2sam.vector.vectorize import mask_polygons

if TYPE_CHECKING:
    from folium import Map

    from rs2sam.views.segmentation import Segmentation

_MERCATOR = CRS.from_epsg(3857)
_WGS84 = CRS.from_epsg(4326)
_COLOUR = "#e69f00"
_FIELDS = {"sentence": "Sentence", "area": "Area", "confidence": "Confidence"}


def explore(result: Segmentation, tiles: str | None, attribution: str) -> Map:
    """A map of the image and the polygons.

    Args:
        result: what a sentence found.
        tiles: what lies under the image: a name that folium knows or a URL with {z}, {x}, {y}; None: nothing.
        attribution: what the owner of the tiles at a URL wants to be said.

    Returns:
        A folium map; in longitude and latitude where the image has a place on Earth, else in pixels.

    Raises:
        MissingDependencyError: folium is not installed.
        InvalidInputError: the tiles are not known to folium, or are asked for an image without a place.
    """
    require("folium", "explore", "`Segmentation.explore`")
    import folium

    is_placed = result.crs is not None
    if tiles is not None and not is_placed:
        raise InvalidInputError(
            f"`tiles` need an image with a place on Earth, and this one has none: tiles={tiles!r}. Leave them out."
        )
    try:
        shown = folium.Map(tiles=tiles, attr=attribution or None, crs="EPSG3857" if is_placed else "Simple")
    except ValueError as error:
        raise InvalidInputError(
            f"`tiles` must be a name that folium knows, or a URL with its `attribution`; received {tiles!r} "
            f"({words_of(error)})."
        ) from error
    picture, bounds = _picture(result)
    if picture is not None:
        folium.raster_layers.ImageOverlay(picture, bounds, name="Image").add_to(shown)
    features = _features(result)
    if features:
        folium.GeoJson(
            {"type": "FeatureCollection", "features": features},
            name=result.sentence,
            style_function=lambda _: {"color": _COLOUR, "weight": 1.5, "fillOpacity": 0.45},
            highlight_function=lambda _: {"weight": 3},
            popup=folium.GeoJsonPopup(list(_FIELDS), aliases=list(_FIELDS.values())),
        ).add_to(shown)
    folium.LayerControl(collapsed=False).add_to(shown)
    shown.fit_bounds(bounds)
    return shown


def _picture(result: Segmentation) -> tuple[NDArray[np.uint8] | None, list[list[float]]]:
    """The thumbnail as (h, w, 4) uint8 on a web Mercator grid, and its south-west and north-east (latitude, longitude).

    Without a place on Earth: as it is, in pixels that count downwards from 0. None where the result holds no
    thumbnail, or is placed by ground control points.
    """
    height, width = result.mask.shape
    thumbnail, place = result.thumbnail, result.georeference
    if place is None or place.crs is None:
        picture = None if thumbnail is None else _opaque(thumbnail)
        return picture, [[-float(height), 0.0], [0.0, float(width)]]
    outline = place.place([shapely.box(0, 0, width, height)])
    if thumbnail is None or place.gcps:
        west, south, east, north = shapely.bounds(to_wgs84(outline, place.crs))[0].tolist()
        return None, [[south, west], [north, east]]
    pixels = _opaque(thumbnail)
    small_hw = pixels.shape[0], pixels.shape[1]
    small = place.resampled((height, width), small_hw).transform
    left, bottom, right, top = transform_bounds(place.crs, _MERCATOR, *shapely.bounds(outline)[0].tolist())
    # Pixels are square on the map where its longer side has as many as the thumbnail's.
    step = max(right - left, top - bottom) / max(small_hw)
    columns, rows = max(1, round((right - left) / step)), max(1, round((top - bottom) / step))
    grid = Affine((right - left) / columns, 0.0, left, 0.0, (bottom - top) / rows, top)
    turned = np.zeros((4, rows, columns), np.uint8)
    reproject(
        pixels.transpose(2, 0, 1),
        turned,
        src_transform=small,
        src_crs=place.crs,
        dst_transform=grid,
        dst_crs=_MERCATOR,
        resampling=Resampling.bilinear,
    )
    west, south, east, north = transform_bounds(_MERCATOR, _WGS84, left, bottom, right, top)
    return turned.transpose(1, 2, 0), [[south, west], [north, east]]


def _opaque(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(h, w, 3) as (h, w, 4), visible everywhere."""
    return np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])


def _features(result: Segmentation) -> list[dict[str, Any]]:
    """The regions as GeoJSON features with text for people."""
    regions = result.regions()
    if not regions:
        return []
    if result.crs is None:
        outlines = np.array(mask_polygons(result.mask), dtype=object)
        placed = shapely.transform(outlines, lambda points: points * [1, -1])
    else:
        placed = to_wgs84(np.array([region.geometry for region in regions], dtype=object), result.crs)
    features = []
    for region, outline in zip(regions, placed, strict=True):
        if outline is None:
            continue
        area = f"{region.num_pixels:,} px" if region.area_m2 is None else f"{region.area_m2:,.0f} m²"
        measured = result.confidence_of(region.mean_probability)
        sure = region.mean_probability if measured is None else measured
        values = {"sentence": result.sentence, "area": area, "confidence": f"{sure:.0%}"}
        features.append({"type": "Feature", "properties": values, "geometry": json.loads(shapely.to_geojson(outline))})
    return features
