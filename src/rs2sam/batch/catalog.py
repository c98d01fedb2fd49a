"""The results of a batch as a static STAC catalog: one item with the label extension per scene."""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import shapely
from rasterio._err import CPLE_BaseError  # what `warp.transform_geom` lets through has no public name
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform_geom
from shapely.affinity import affine_transform
from shapely.geometry import mapping, shape

from rs2sam.batch.scene_input import SceneInput, safe_key
from rs2sam.errors import InvalidInputError, require
from rs2sam.fields import parse_json

if TYPE_CHECKING:
    import pystac

_LOGGER = logging.getLogger(__name__)

CATALOG_FOLDER = "catalog"
LABEL_EXTENSION = "https://stac-extensions.github.io/label/v1.0.1/schema.json"

_MEDIA_TYPES = {
    ".tif": "image/tiff; application=geotiff",
    ".gpkg": "application/geopackage+sqlite3",
    ".geojson": "application/geo+json",
    ".fgb": "application/vnd.flatgeobuf",
    ".parquet": "application/vnd.apache.parquet",
    ".shp": "application/vnd.shp",
    ".shx": "application/vnd.shx",
    ".dbf": "application/vnd.dbf",
    ".png": "image/png",
    ".json": "application/json",
}
_SIDE_PIECES = 8
_CATALOG_ID = "rs2sam-results"

# Where the catalog lies while it is made, an absolute path everywhere: addresses in it are relative.
_ROOT = f"{Path('/').absolute().as_posix()}{CATALOG_FOLDER}"

# What ends the path of a URL. Ids become parts of addresses, and readers of catalogs cut those there.
_ENDS_A_PATH = re.compile("[?#;]")


@dataclass(frozen=True)
class FinishedScene:
    """A scene with its results.

    Args:
        scene: the input.
        folder: of its results.
        report: content of its `result.json`.
        finished: seconds since 1970.
    """

    scene: SceneInput
    folder: Path
    report: Mapping[str, Any]
    finished: float


def write_catalog(finished: Iterable[FinishedScene], folder: Path) -> Path:
    """Write the catalog `folder/catalog/catalog.json`, replacing an earlier one when it is whole.

    Addresses in it are relative, so the folder can be moved. A scene without a CRS is an item without geometry.

    Args:
        finished: the scenes.
        folder: of the batch.

    Raises:
        InvalidInputError: something else than an earlier catalog lies in that place.
        MissingDependencyError: pystac is not installed.
    """
    require("pystac", "stac", "The STAC catalog of the results")
    import pystac

    refuse_foreign_catalog(folder)
    catalog = pystac.Catalog(
        id=_CATALOG_ID,
        title="Segmented scenes",
        description="Masks and polygons of what sentences name in scenes.",
    )
    place = folder / CATALOG_FOLDER
    names: set[str] = set()
    for each in finished:
        catalog.add_item(scene_item(each, _unique(each.scene, names), folder))
    # pystac takes a path for an address, which ends at `#` and `?`: here it meets none of the folder's own.
    catalog.normalize_hrefs(_ROOT)
    with tempfile.TemporaryDirectory(prefix=".rs2sam-", dir=folder, ignore_cleanup_errors=True) as name:
        draft = Path(name) / CATALOG_FOLDER
        catalog.save(catalog_type=pystac.CatalogType.SELF_CONTAINED, stac_io=_writer_into(draft))
        if place.exists():
            os.replace(place, Path(name) / "replaced")
        shutil.move(draft, place)
    if set("?#") & set(str(place.resolve())):
        _LOGGER.warning(
            "STAC readers take a path for an address and cut %r short. The catalog is whole: move or rename the folder "
            "to read it.",
            str(place),
        )
    return place / "catalog.json"


def remove_catalog(folder: Path) -> None:
    """Remove the files of an earlier catalog, which a run without one would leave to grow old; others stay.

    Args:
        folder: of the batch.
    """
    place = folder / CATALOG_FOLDER
    if not _is_ours(place):
        return
    links = parse_json((place / "catalog.json").read_text(encoding="utf-8")).get("links")
    # A file that somebody changed may name anything.
    named = [link for link in (links if isinstance(links, list) else ()) if isinstance(link, dict)]
    hrefs = [PurePosixPath(str(link.get("href", ""))) for link in named if link.get("rel") == "item"]
    items = [place / href for href in hrefs if not href.is_absolute() and ".." not in href.parts]
    items = [item for item in items if os.path.isfile(item)]
    for item in (*items, place / "catalog.json"):
        item.unlink()
    for emptied in (*(item.parent for item in items), place):
        with suppress(OSError):  # results of scenes may lie there
            emptied.rmdir()


def _writer_into(draft: Path) -> pystac.StacIO:
    """What writes the files of a catalog at `_ROOT` into a folder."""
    from pystac.stac_io import DefaultStacIO

    class Writer(DefaultStacIO):
        def write_text_to_href(self, href: str, txt: str) -> None:
            path = draft / PurePosixPath(href).relative_to(_ROOT)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(txt, encoding="utf-8")

    return Writer()


def refuse_scenes_in_place(scenes: Sequence[SceneInput]) -> None:
    """Raise InvalidInputError where results of a scene would lie in the folder of the catalog, which is replaced."""
    # File systems that ignore case would mix them as well.
    inside = [scene for scene in scenes if scene.key.lower().startswith(f"{CATALOG_FOLDER}/")]
    if inside:
        raise InvalidInputError(
            f"The folder {CATALOG_FOLDER!r} of the results is the STAC catalog's, but results of {len(inside)} scenes "
            f"would lie there too, the first of {inside[0].source!r}. Rename its folder or item, or give --no-catalog."
        )


def refuse_foreign_catalog(folder: Path) -> None:
    """Raise InvalidInputError where something lies in the place of the catalog that was not written as one.

    Args:
        folder: of the batch.
    """
    place = folder / CATALOG_FOLDER
    if not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return
    if not _is_ours(place):
        raise InvalidInputError(
            f"The STAC catalog replaces an earlier one only, but {str(place)!r} is none that rs2sam wrote. Move it "
            "away, choose another folder with -o, or give --no-catalog."
        )


def _is_ours(place: Path) -> bool:
    """Whether a catalog that rs2sam wrote lies in a folder."""
    try:
        return bool(parse_json((place / "catalog.json").read_text(encoding="utf-8"))["id"] == _CATALOG_ID)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def scene_item(finished: FinishedScene, item_id: str, folder: Path) -> pystac.Item:
    """The item of a scene: footprint, mask, polygons, and what was labelled.

    Args:
        finished: the scene.
        item_id: of the item, whose file lies in `catalog/<item_id>/`.
        folder: of the batch.
    """
    import pystac

    report, origin = finished.report, finished.scene.origin
    geometry = footprint(report["source"])
    made = datetime.fromtimestamp(finished.finished, tz=timezone.utc)
    acquired = None if origin is None or origin.datetime is None else datetime.fromisoformat(origin.datetime)
    item = pystac.Item(
        id=item_id,
        geometry=geometry,
        bbox=None if geometry is None else list(shape(geometry).bounds),
        datetime=acquired or made,
        properties={
            "created": made.isoformat().replace("+00:00", "Z"),
            "rs2sam:model": report["model"]["name"],
            "rs2sam:source": finished.scene.source,
            "rs2sam:datetime_of": "acquisition" if acquired else "processing",
            **label_properties(report),
        },
        stac_extensions=[LABEL_EXTENSION],
    )
    for key, name, roles in _assets(report["outputs"]):
        href = _from_item((finished.folder / name).relative_to(folder))
        item.add_asset(key, pystac.Asset(href, media_type=_MEDIA_TYPES.get(Path(name).suffix), roles=roles))
    if origin is not None and origin.href is not None:
        item.add_link(pystac.Link("source", origin.href, media_type="application/geo+json"))
    return item


def footprint(source: Mapping[str, Any]) -> dict[str, Any] | None:
    """Outline of a scene in longitude and latitude as GeoJSON.

    None with ground control points, without a CRS, and with one that does not place the scene on Earth.
    """
    if source["crs_wkt"] is None or source["num_gcps"]:
        return None
    a, b, c, d, e, f = source["transform"]
    height, width = source["height"], source["width"]
    # Points along the sides, which are curves in longitude and latitude.
    pixels = shapely.segmentize(shapely.box(0, 0, width, height), max(width, height) / _SIDE_PIECES)
    outline = affine_transform(pixels, [a, b, d, e, c, f])
    try:
        moved = transform_geom(CRS.from_wkt(source["crs_wkt"]), CRS.from_epsg(4326), mapping(outline), precision=8)
    except (RasterioError, CRSError, CPLE_BaseError):
        return None
    return dict(moved) if np.isfinite(shapely.get_coordinates(shape(moved))).all() else None


def label_properties(report: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of the label extension, version 1.0.1.

    Source:
        https://github.com/stac-extensions/label; pystac's own class for it is deprecated.
    """
    found = [(each["sentence"], each["polygons"]) for each in report["sentences"]]
    counts = [{"name": sentence, "count": number} for sentence, number in found]
    return {
        "label:description": f"Regions that {report['model']['name']} finds for {len(found)} sentences",
        "label:type": "vector",
        "label:properties": ["sentence"],
        "label:classes": [{"name": "sentence", "classes": [sentence for sentence, _ in found]}],
        "label:tasks": ["segmentation"],
        "label:methods": ["automated"],
        "label:overviews": [{"property_key": "sentence", "counts": counts}],
    }


def _assets(outputs: Mapping[str, Any]) -> list[tuple[str, str, list[str]]]:
    """Key, file name and roles of each result."""
    named = [
        ("polygons", outputs.get("polygons"), ["data", "labels"]),
        ("mask", outputs.get("mask"), ["data", "labels-raster"]),
        ("preview", outputs.get("preview"), ["overview"]),
        ("result", outputs.get("result"), ["metadata"]),
    ]
    for number, name in enumerate(outputs.get("probabilities", ()), start=1):
        named.append((f"probability_{number}", name, ["data"]))
    for name in outputs.get("sidecars", ()):
        named.append((f"polygons{Path(name).suffix.replace('.', '_')}", name, ["data", "labels"]))
    return [(key, name, roles) for key, name, roles in named if name is not None]


def _from_item(path: Path) -> str:
    """Address of a result, given by its path in the folder of the batch, relative to the file of an item."""
    # The percent sign and all else stays as it is: readers take relative addresses for paths.
    return "../../" + _ENDS_A_PATH.sub(lambda found: quote(found[0]), path.as_posix())


def _unique(scene: SceneInput, taken: set[str]) -> str:
    """An id for a scene: that of its STAC item, else its key without suffix, with `_` between folders."""
    named = PurePosixPath(scene.key).with_suffix("").as_posix() if scene.origin is None else scene.origin.item_id
    plain = _ENDS_A_PATH.sub("_", safe_key(named.replace("/", "_")))
    name, number = plain, 2
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    taken.add(name)
    return name
