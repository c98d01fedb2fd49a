"""The forms an answer takes: what `Accept` asks for, and files."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rs2sam.datasets.readers.run_lengths import encode_runs
from rs2sam.drawing import COLOURS
from rs2sam.errors import words_of
from rs2sam.processing_config import Calibration
from rs2sam.raster.mask_files import MASK_NODATA, mask_file
from rs2sam.raster.scene import Scene
from rs2sam.segmenter import Segmentation
from rs2sam.serve.asking.answers import as_bytes
from rs2sam.serve.asking.pngs import png_of
from rs2sam.serve.problems import ProblemError
from rs2sam.vector.polygon_files import PolygonFormat, PolygonWriter, RegionLabels, layers_of
from rs2sam.vector.vectorize import pixel_regions

Form = Literal["answer", "mask", "probability", "geojson", "rle", "geotiff", "gpkg"]
FileFormat = Literal["geotiff", "gpkg", "geojson", "png", "json"]

MEDIA_TYPES: dict[Form, str] = {
    "answer": "application/json",
    "mask": "image/png",
    "probability": "image/png;values=probability",
    "geojson": "application/geo+json",
    "rle": "application/vnd.coco.rle+json",
    "geotiff": "image/tiff",
    "gpkg": "application/geopackage+sqlite3",
}
FILES: dict[FileFormat, tuple[str, str]] = {
    "geotiff": ("image/tiff", "mask.tif"),
    "gpkg": ("application/geopackage+sqlite3", "polygons.gpkg"),
    "geojson": ("application/geo+json", "polygons.geojson"),
    "png": ("image/png", "mask.png"),
    "json": ("application/json", "rle.json"),
}
_MOST_RANGES = 50


@dataclass(frozen=True)
class Layer:
    """One sentence's mask as it goes into a file.

    Args:
        sentence: what it shows.
        mask: (H, W) bool.
        probability: (H, W) float32 in [0, 1].
        score: predicted IoU; None where nobody said.
        calibration: how often what the model finds is right; None where that was not measured.
    """

    sentence: str
    mask: NDArray[np.bool_]
    probability: NDArray[np.float32]
    score: float | None = None
    calibration: Calibration | None = None

    @classmethod
    def of(cls, found: Segmentation) -> Layer:
        """From what a sentence found."""
        return cls(found.sentence, found.mask, found.probability, found.score, found.calibration)


def form_for(accept: str | None) -> Form:
    """The form that an `Accept` header likes best.

    Raises:
        ProblemError: it likes none that there is.
    """
    best: tuple[float, int, Form] | None = None
    for text in (accept or "*/*").split(",")[:_MOST_RANGES]:
        media, *parameters = (part.strip().lower() for part in text.split(";"))
        said = dict(part.partition("=")[::2] for part in parameters)
        try:
            quality = float(said.get("q", "1"))
        except ValueError:
            continue
        form = _form_of(media, said.get("values", "").strip('"'))
        if form is None or not 0 < quality <= 1:
            continue
        # What is named goes before what `*` admits.
        rank = quality, 2 - media.count("*")
        if best is None or rank > best[:2]:
            best = (*rank, form)
    if best is None:
        raise ProblemError(
            "not-acceptable", f"Answers exist as {', '.join(MEDIA_TYPES.values())}; `Accept` was {accept!a:.200}."
        )
    return best[2]


def _form_of(media: str, values: str) -> Form | None:
    """The form of a media range."""
    if media in ("*/*", "application/*"):
        return "answer"
    if media in ("image/png", "image/*"):
        return "probability" if values == "probability" else "mask" if values in ("", "mask") else None
    return next((form for form, name in MEDIA_TYPES.items() if name == media), None)


def content_of(form: Form, image_id: str, scene: Scene, layers: Sequence[Layer], threshold: float, model: str) -> bytes:
    """Layers in a form other than the page's.

    Args:
        form: which.
        image_id: of the image.
        scene: the image.
        layers: one a sentence.
        threshold: at which the masks were made.
        model: name of the model, for the records.

    Raises:
        ProblemError: there is no such form of several sentences.
    """
    if form in ("mask", "probability"):
        if len(layers) != 1:
            raise ProblemError(
                "not-acceptable",
                f"A PNG holds one sentence, but {len(layers)} were asked. Ask each by itself, or accept another form.",
            )
        layer = layers[0]
        if form == "mask":
            return png_of(layer.mask.astype(np.uint8) * 255)
        return png_of(as_bytes(layer.probability, layer.mask if threshold == 0.5 else None))
    if form == "rle":
        return run_lengths(image_id, layers)
    kind: FileFormat = "geotiff" if form == "geotiff" else "gpkg" if form == "gpkg" else "geojson"
    return file_of(kind, image_id, scene, layers, model)


def run_lengths(image_id: str, layers: Sequence[Layer]) -> bytes:
    """COCO's run lengths as JSON."""
    results = [{"sentence": one.sentence, **encode_runs(one.mask), "score": one.score} for one in layers]
    return json.dumps({"image": image_id, "results": results}).encode()


def file_of(kind: FileFormat, image_id: str, scene: Scene, layers: Sequence[Layer], model: str) -> bytes:
    """Layers as the content of a file; arguments as of `content_of`."""
    if kind == "json":
        return run_lengths(image_id, layers)
    if kind == "png":
        return _picture(layers)
    if kind == "geotiff":
        return _written(".tif", lambda path: _write_tiff(path, scene, layers, model))
    polygons: PolygonFormat = "gpkg" if kind == "gpkg" else "geojson"
    return _written(f".{polygons}", lambda path: _write_polygons(path, polygons, scene, layers, model))


def _written(suffix: str, write: Callable[[Path], Any]) -> bytes:
    """The content of a file that GDAL or SQLite writes."""
    with tempfile.TemporaryDirectory(prefix="rs2sam-serve-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / f"file{suffix}"
        write(path)
        return path.read_bytes()


def _write_tiff(path: Path, scene: Scene, layers: Sequence[Layer], model: str) -> None:
    """One band a sentence: 1 found, 0 not, 255 no data."""
    tags = {"RS2SAM_MODEL": model, "RS2SAM_SOURCE": Path(scene.source).name}
    with mask_file(path, scene.georeference, scene.size_hw, [one.sentence for one in layers], tags) as dataset:
        for band, one in enumerate(layers, start=1):
            values = one.mask.astype(np.uint8)
            values[~scene.valid] = MASK_NODATA
            dataset.write(values, band)


def _write_polygons(path: Path, kind: PolygonFormat, scene: Scene, layers: Sequence[Layer], model: str) -> None:
    """Regions of all sentences, as `rs2sam segment` writes them."""
    names = layers_of([one.sentence for one in layers], kind)
    with PolygonWriter(path, kind, scene.georeference, scene.size_hw) as writer:
        for number, (one, name) in enumerate(zip(layers, names, strict=True), start=1):
            labels = RegionLabels(one.sentence, number, model, Path(scene.source).name, name, one.calibration)
            writer.write(pixel_regions(one.mask, one.probability, scene.georeference), labels)


def _picture(layers: Sequence[Layer]) -> bytes:
    """One mask in black and white, or several in colours over nothing."""
    if len(layers) == 1:
        return png_of(layers[0].mask.astype(np.uint8) * 255)
    drawn = np.zeros((*layers[0].mask.shape, 4), np.uint8)
    for number, one in enumerate(layers):
        drawn[one.mask] = (*COLOURS[number % len(COLOURS)], 255)
    return png_of(drawn)


def decoded_mask(content: bytes, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask of a PNG that a page sends: what is neither black nor transparent.

    Raises:
        ProblemError: it is no PNG, or not of the image's size.
    """
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            if (picture.height, picture.width) != size_hw:
                raise ProblemError(
                    "invalid-request",
                    f"A mask has the image's size, {size_hw[1]} x {size_hw[0]} px, but this one has "
                    f"{picture.width} x {picture.height}.",
                )
            pixels = np.array(picture.convert("RGBA"))
    except ProblemError:
        raise
    except Exception as error:  # broken pictures raise whatever they happen to say
        raise ProblemError(
            "invalid-request", f"A mask must be a whole PNG, but this one cannot be read ({words_of(error)})."
        ) from error
    shown: NDArray[np.bool_] = (pixels[..., :3] != 0).any(axis=2) & (pixels[..., 3] != 0)
    return shown
