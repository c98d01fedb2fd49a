"""What a run leaves on disk: mask GeoTIFF, polygons, preview, `result.json`.

All files are written into a hidden folder beside their place and moved there when every one of them is whole, the JSON
last, so an interrupted run leaves nothing half-written.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyogrio
import pyogrio.raw
import rasterio
import shapely
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning

from rs2sam.drawing import COLOURS
from rs2sam.errors import InvalidInputError
from rs2sam.raster.preview import draw_preview
from rs2sam.raster.scene import Scene, SentenceResult

PolygonFormat = Literal["gpkg", "geojson"]

MASK_NODATA = 255
"""Value of invalid pixels in the mask GeoTIFF; foreground is 1, background 0."""

LAYER = "polygons"
"""Layer of the GeoPackage."""

_DRIVERS: dict[str, str] = {"gpkg": "GPKG", "geojson": "GeoJSON"}


@dataclass(frozen=True)
class OutputPaths:
    """The files of one scene: `<stem>_mask.tif` and so on, in one folder.

    Args:
        folder: where they go; made when needed.
        stem: of the source's file name.
        polygon_format: `gpkg` or `geojson`.
    """

    folder: Path
    stem: str
    polygon_format: PolygonFormat = "gpkg"

    @property
    def mask(self) -> str:
        """Name of the mask GeoTIFF."""
        return f"{self.stem}_mask.tif"

    @property
    def polygons(self) -> str:
        """Name of the polygon file."""
        return f"{self.stem}_polygons.{self.polygon_format}"

    @property
    def preview(self) -> str:
        """Name of the preview picture."""
        return f"{self.stem}_preview.png"

    @property
    def result(self) -> str:
        """Name of the machine-readable result."""
        return f"{self.stem}_result.json"

    def mask_pngs(self, num_sentences: int) -> list[str]:
        """Names of the mask pictures of a photo: `_mask.png`, or `_mask_1.png` ... for several sentences."""
        if num_sentences == 1:
            return [f"{self.stem}_mask.png"]
        return [f"{self.stem}_mask_{number}.png" for number in range(1, num_sentences + 1)]

    def existing(self) -> list[Path]:
        """Files of an earlier run on this scene, in any polygon format and for any number of sentences."""
        ours = re.compile(
            re.escape(self.stem) + r"_(mask\.tif|mask(_\d+)?\.png|polygons\.(gpkg|geojson)|preview\.png|result\.json)"
        )
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if ours.fullmatch(path.name))

    def prepare(self, *, overwrite: bool) -> None:
        """Make the folder, and refuse now what would fail after the work is done.

        Raises:
            InvalidInputError: when the folder cannot be written, or holds results of this scene and `overwrite` is
                not set.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise InvalidInputError(
                f"The output folder must be writable, but {str(self.folder)!r} is not ({error.strerror or error}). "
                "Choose another with -o."
            ) from error
        existing = self.existing()
        if existing and not overwrite:
            names = ", ".join(path.name for path in existing)
            raise InvalidInputError(
                f"{str(self.folder)!r} already holds results of {self.stem!r} ({names}). Replace them with "
                "--overwrite, or choose another folder with -o."
            )


def write_outputs(
    scene: Scene,
    results: Sequence[SentenceResult],
    paths: OutputPaths,
    *,
    model: str,
    details: Mapping[str, Any],
) -> dict[str, Any]:
    """Write every output of a scene, all or none, replacing those of an earlier run.

    Args:
        scene: the image.
        results: one per sentence.
        paths: where to; `OutputPaths.prepare` decides about overwriting.
        model: name of the model, for the attributes of the polygons.
        details: further entries of `result.json` (versions, options, timings).

    Returns:
        The content of `result.json`.
    """
    pngs = paths.mask_pngs(len(results)) if scene.is_photo else []
    report = {
        "source": describe_scene(scene),
        "sentences": [describe_result(result) for result in results],
        **details,
        "outputs": {
            "folder": str(paths.folder.resolve()),
            "mask": paths.mask,
            "mask_png": pngs,
            "polygons": paths.polygons,
            "preview": paths.preview,
            "result": paths.result,
        },
    }
    try:
        with tempfile.TemporaryDirectory(prefix=".rs2sam-", dir=paths.folder, ignore_cleanup_errors=True) as name:
            folder = Path(name)
            write_mask(folder / paths.mask, scene, results, model=model)
            for png, result in zip(pngs, results, strict=bool(pngs)):
                Image.fromarray(result.mask.astype(np.uint8) * 255).save(folder / png)
            write_polygons(folder / paths.polygons, scene, results, model=model, polygon_format=paths.polygon_format)
            draw_preview(scene, results).save(folder / paths.preview)
            (folder / paths.result).write_text(
                json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
            )
            written = [paths.mask, *pngs, paths.polygons, paths.preview, paths.result]
            for stale in paths.existing():
                if stale.name not in written:
                    stale.unlink()
            for file in written:
                os.replace(folder / file, paths.folder / file)
    except OSError as error:
        raise InvalidInputError(
            f"The results could not be written to {str(paths.folder)!r} ({error}). Nothing was left behind; free space "
            "or choose another folder with -o."
        ) from error
    return report


def write_mask(path: Path, scene: Scene, results: Sequence[SentenceResult], *, model: str) -> None:
    """Write the masks as a GeoTIFF with one band per sentence.

    uint8, deflate: 1 foreground, 0 background, 255 = nodata where the source is invalid. Transform, CRS or ground
    control points are the source's own; a band's description is its sentence; a single band has a colour table.
    """
    height, width = scene.size_hw
    place = scene.georeference
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": len(results),
        "height": height,
        "width": width,
        "nodata": MASK_NODATA,
        "compress": "deflate",
        "interleave": "band",
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "bigtiff": "if_safer",
    }
    if place.gcps:
        profile.update(gcps=list(place.gcps), crs=place.crs)
    elif place.is_located:
        profile.update(transform=place.transform, crs=place.crs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **profile) as dataset:
            if len(results) == 1:
                dataset.write_colormap(1, {0: (0, 0, 0), 1: COLOURS[0], MASK_NODATA: (128, 128, 128)})
            for band, result in enumerate(results, start=1):
                values = np.where(scene.valid, result.mask, MASK_NODATA).astype(np.uint8)
                dataset.write(values, band)
                dataset.set_band_description(band, result.sentence)
            dataset.update_tags(RS2SAM_MODEL=model, RS2SAM_SOURCE=Path(scene.source).name)


def write_polygons(
    path: Path,
    scene: Scene,
    results: Sequence[SentenceResult],
    *,
    model: str,
    polygon_format: PolygonFormat,
) -> None:
    """Write one polygon per region with its attributes, an empty layer with the same schema where there is none.

    A GeoPackage keeps the scene's CRS. GeoJSON is RFC 7946: longitude and latitude on WGS 84, outer rings
    counter-clockwise. Without a CRS both hold the transform's coordinates, or pixel coordinates (x = column, y = row
    from the upper left corner) where there is no transform either.
    """
    rows = [(number, result, region) for number, result in enumerate(results, 1) for region in result.regions]
    areas = [region.area_m2 for _, _, region in rows]
    unknown = np.array([area is None for area in areas], dtype=np.bool_)
    columns: dict[str, Any] = {
        "sentence": np.array([result.sentence for _, result, _ in rows], dtype=object),
        "sentence_id": np.array([number for number, _, _ in rows], dtype=np.int32),
        "area_m2": np.array([np.nan if area is None else round(area, 3) for area in areas], dtype=np.float64),
        "area_px": np.array([region.num_pixels for _, _, region in rows], dtype=np.int64),
        "mean_probability": np.array([round(region.mean_probability, 4) for _, _, region in rows], dtype=np.float64),
        "model": np.array([model] * len(rows), dtype=object),
        "source": np.array([Path(scene.source).name] * len(rows), dtype=object),
    }
    geometries = np.array([region.geometry for _, _, region in rows], dtype=object)
    crs = scene.georeference.crs
    layer_options: dict[str, str] = {}
    if polygon_format == "geojson" and crs is not None:
        layer_options = {"RFC7946": "YES"}
    with warnings.catch_warnings():
        # A scene without a CRS has polygons without one; pyogrio warns each time.
        warnings.filterwarnings("ignore", message="'crs' was not provided", category=UserWarning)
        pyogrio.raw.write(
            path,
            geometry=shapely.to_wkb(geometries),
            field_data=list(columns.values()),
            fields=np.array(list(columns), dtype=object),
            field_mask=[unknown if name == "area_m2" else None for name in columns],
            geometry_type="Polygon",
            crs=None if crs is None else crs.to_wkt(),
            driver=_DRIVERS[polygon_format],
            layer=LAYER,
            layer_options=layer_options,
        )


def describe_scene(scene: Scene) -> dict[str, Any]:
    """The source as plain values for `result.json`."""
    metres = scene.georeference.pixel_size_m(scene.size_hw)
    return {
        "path": scene.source,
        "height": scene.size_hw[0],
        "width": scene.size_hw[1],
        **scene.georeference.describe(),
        "pixel_size_m": None if metres is None else [round(side, 6) for side in metres],
        "dtype": scene.dtype,
        "num_bands": scene.num_bands,
        "bands": list(scene.bands),
        # JSON has no not-a-number.
        "nodata": "nan" if scene.nodata is not None and np.isnan(scene.nodata) else scene.nodata,
        "valid_pixels": int(scene.valid.sum()),
        "stretch": {"kind": scene.stretch.kind, "limits": [list(pair) for pair in scene.limits]},
    }


def describe_result(result: SentenceResult) -> dict[str, Any]:
    """One sentence's result as plain values for `result.json`."""
    num_pixels = int(result.mask.sum())
    weighted = sum(region.mean_probability * region.num_pixels for region in result.regions)
    return {
        "sentence": result.sentence,
        "found": bool(result.regions),
        "pixels": num_pixels,
        "area_m2": None if result.area_m2 is None else round(result.area_m2, 3),
        "polygons": len(result.regions),
        "mean_probability": round(weighted / num_pixels, 4) if num_pixels else None,
        "presence": None if result.presence is None else round(result.presence, 4),
        "score": None if result.score is None else round(result.score, 4),
        "views": result.num_views,
        "seconds": round(result.seconds, 3),
    }
