"""Images: files of any kind, mutated, and arrays, through the command, Python and data sets alike."""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fuzz.areas import rasters
from fuzz.contract import Box, Try, WrongResultError, command, known, require, strict_json
from fuzz.mutations import NUMBERS, mutate_bytes
from fuzz.standin import RED

MOST_PIXELS = 4_000_000
"""Larger scenes are opened and planned, not run: to look at every pixel honestly takes longer than a case may."""

_OPTIONS: tuple[tuple[str, ...], ...] = (
    ("--bands", "3,2,1"), ("--bands", "1"), ("--bands", "9,1,1"), ("--stretch", "percentile"), ("--stretch", "none"),
    ("--stretch", "fixed:0,3000"), ("--nodata", "0"), ("--nodata", "nan"), ("--nodata-tolerance", "8"),
    ("--alpha", "ignore"), ("--format", "geojson"), ("--format", "parquet"), ("--tile", "40"), ("--gsd", "2"),
    ("--min-area", "25m2"), ("--simplify", "1"), ("--orthogonal",), ("--class-map",), ("--cog",), ("--scope", "tile"),
    ("--mirror",), ("--threshold", "0.2"),
)  # fmt: skip


def make(rng: random.Random, box: Box) -> Try:
    """An image and what is done with it."""
    if rng.random() < 0.15:
        return _array(rng, box)
    path = _file(rng, box.inputs)
    kind = rng.random()
    if kind < 0.5:
        options = [word for option in rng.sample(_OPTIONS, rng.choice((0, 0, 1, 2, 3))) for word in option]
        sentence = rng.choice(
            ("the red roofs", "the largest roof", "the roof at the upper left", "the northernmost roof")
        )
        return lambda: _by_command(box, path, sentence, options)
    if kind < 0.75:
        return lambda: _by_both(box, path)
    if kind < 0.85:
        return lambda: _as_data(box, path)
    content = path.read_bytes() if path.is_file() else b""
    return lambda: _in_python(box, content)


def _file(rng: random.Random, folder: Path) -> Path:
    """A file of any kind, in part mutated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind = rng.random()
        if kind < 0.15:
            return rasters.write_vrt(rng, folder)
        if kind < 0.2:
            return rasters.write_grid(rng, folder)
        if kind < 0.35:
            suffix, content = rasters.picture(rng)
            path = folder / f"picture.{suffix}"
            path.write_bytes(mutate_bytes(rng, content) if rng.random() < 0.6 else content)
        else:
            path = folder / "scene.tif"
            rasters.write_tiff(rng, path)
            how = rng.random()
            if how < 0.45:
                path.write_bytes(rasters.mutate_tiff(rng, path.read_bytes()))
            elif how < 0.65:
                path.write_bytes(mutate_bytes(rng, path.read_bytes()))
        if rng.random() < 0.1:
            rasters.write_beside(rng, path)
        return path


def _too_large(path: Path) -> bool:
    """Whether a scene is only opened and planned; done here, with all that rs2sam checks by then."""
    from rs2sam.raster.source import open_source
    from rs2sam.scenes.run import SceneRequest, memory_of, plan_tiles

    request = SceneRequest(str(path), ("the roofs",), path.parent / "none")
    size: list[int] = []

    def plan(source: Any) -> None:
        height, width = source.info.size_hw
        size.append(height * width)
        if height * width > MOST_PIXELS:
            memory_of(request, source, plan_tiles(request, source.info, 64))
            raise _PlannedError

    try:
        with open_source(path, request.reading, before_sampling=plan):
            return False
    except _PlannedError:
        return True


class _PlannedError(Exception):
    """Leaves the opening of a scene that is too large to be run."""


def _by_command(box: Box, path: Path, sentence: str, options: list[str]) -> None:
    """`rs2sam segment`, and a look at what it wrote."""
    if _too_large(path):
        return
    lost = False
    try:
        command(
            "segment",
            str(path),
            sentence,
            "-o",
            str(box.out),
            "--model",
            str(box.models / RED),
            "--threads",
            "1",
            *options,
        )
    except Exception as error:
        lost = known(error) and "have no data in the results" in str(error)
        if not lost:
            raise
    check_results(box.out, lost=lost)


def check_results(out: Path, *, lost: bool = False) -> dict[str, Any]:
    """Read the results of one scene back; returns the report.

    Raises:
        WrongResultError: something in them does not agree.
    """
    import rasterio

    (report_file,) = out.rglob("*_result.json")
    report: dict[str, Any] = strict_json(report_file.read_text(encoding="utf-8"))
    require(bool(report["lost"]) == lost, "lost blocks and the exit code differ")
    source, outputs = report["source"], report["outputs"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(report_file.parent / outputs["mask"]) as mask:
            bands = mask.read()
    require(bands.shape[1:] == (source["height"], source["width"]), "the mask is not of the image's size")
    require(set(np.unique(bands)) <= {0, 1, 255}, "the mask has other values than 0, 1 and 255")
    for number, found in enumerate(report["sentences"]):
        require(int((bands[number] == 1).sum()) == found["pixels"], "mask and report count differently")
        require(found["found"] == (found["pixels"] > 0), "found, and not found")
        area = found["area_m2"]
        require(area is None or 0 <= area < 1e15, f"an area of {area} m2")
    require((report_file.parent / outputs["preview"]).stat().st_size > 0, "an empty preview")
    if outputs["polygons"].endswith(".geojson"):
        strict_json((report_file.parent / outputs["polygons"]).read_text(encoding="utf-8"))
    return report


def _by_both(box: Box, path: Path) -> None:
    """The command and Python have to agree: one reader."""
    if _too_large(path):
        return
    from rs2sam import Segmenter
    from rs2sam.errors import RS2SAMError

    segmenter = Segmenter.load(box.models / RED, threads=1)
    refused: Exception | None = None
    found = -1
    try:
        result = segmenter.segment(path, "the roofs")
        found = int(result.mask.sum())
    except RS2SAMError as error:
        known(error)
        refused = error
    _check_written(box, path, found, refused)


def _check_written(box: Box, path: Path, found: int, refused: Exception | None) -> None:
    """Compare what Python found with what the command writes."""
    try:
        _by_command(box, path, "the roofs", [])
    except WrongResultError:
        raise
    except Exception as error:
        if known(error) and refused is None:
            raise WrongResultError(f"Python found {found} px where the command said: {error}") from error
        raise
    if list(box.out.rglob("*_result.json")):
        report = strict_json(next(box.out.rglob("*_result.json")).read_text(encoding="utf-8"))
        if refused is not None:
            raise WrongResultError(
                f"the command found {report['sentences'][0]['pixels']} px where Python said: {refused}"
            )
        require(report["sentences"][0]["pixels"] == found, "command and Python find different pixels")


def _as_data(box: Box, path: Path) -> None:
    """The image as one of a data set, and as its mask."""
    from rs2sam.datasets.images import load_image
    from rs2sam.datasets.readers.mask_files import read_target

    if _too_large(path):
        return
    loaded = load_image(path)
    require(loaded.rgb.dtype == np.uint8 and loaded.rgb.shape[2] == 3, "no RGB")
    require(loaded.valid is None or loaded.valid.shape == loaded.size_hw, "validity of another size")
    mask, unknown = read_target(path)
    require(mask.ndim == 2 and mask.dtype == np.bool_, "no mask")
    require(unknown is None or not (mask & unknown).any(), "foreground of which nothing is known")


def _in_python(box: Box, content: bytes) -> None:
    """The content of a file."""
    if len(content) and _too_large_bytes(box, content):
        return
    _check_segmentation(box, content)


def _too_large_bytes(box: Box, content: bytes) -> bool:
    """As `_too_large`, of content."""
    path = box.inputs.parent / "content"
    path.write_bytes(content)
    try:
        return _too_large(path)
    finally:
        path.unlink()


def _array(rng: random.Random, box: Box) -> Try:
    """An array or PIL image of any shape and type, with any options."""
    from rasterio import Affine

    shape = rng.choice(
        ((40, 50, 3), (40, 50), (1, 1), (1, 1, 1), (70, 3, 4), (3, 40, 50), (40, 50, 2), (0, 5, 3), (5,), (), (8, 8, 9))
    )
    dtype = rng.choice(("u1", "u1", "u2", "i2", "f4", "f8", "f2", "?", "i8", "u8", "c8", "O", "S3", "M8[s]"))
    values = np.random.default_rng(rng.randrange(2**32)).random(shape) * rng.choice((1, 255, 1e4, 1e300))
    with np.errstate(all="ignore"):
        array: Any = values.astype(dtype) if dtype not in ("O", "M8[s]") else np.zeros(shape, dtype)
        if array.dtype.kind in "fiu" and array.size and rng.random() < 0.3:
            array.flat[rng.randrange(array.size)] = np.array(rng.choice(NUMBERS), np.float64).astype(array.dtype)
    if rng.random() < 0.2:
        array = np.ma.masked_array(array, mask=rng.choice((False, True, array == array)))
    if rng.random() < 0.1 and array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3 and array.size:
        array = Image.fromarray(array)
    if rng.random() < 0.05:
        array = rng.choice(
            ([[1, 2]], None, 5, b"", b"abc", "", "\0", array.tolist() if isinstance(array, np.ndarray) else 1)
        )
    options: dict[str, Any] = {}
    for name, values_of in {
        "tile": (16, 64, 0, -1, 1.5, "a", 10**9), "overlap": (0, 8, 16, -1, 10**9, None),
        "threshold": (0.1, 0, 1, 2, float("nan"), "x"),
        "bands": ([1], [3, 2, 1], [0], [1, 2], "321", [1.5] * 3, [True], 5),
        "stretch": ("none", "percentile", "fixed:5,1", "", 5, "fixed:nan,1"),
        "gsd": (0.5, 5.0, 0, -1, 1e300, float("nan"), "a"), "scope": ("tile", "scene", "x", None),
        "min_presence": (0, 0.5, 2, float("nan"), "x"),
        "georeference": ((Affine(0.6, 0, 5e5, 0, -0.6, 4e6), "EPSG:32631"), (Affine(0, 0, 0, 0, 0, 0), None), 5,
                         (1, 2), ("a", "EPSG:0"), (Affine(1e300, 0, 0, 0, 1e300, 0), "EPSG:4326"),
                         (Affine.identity(), "nonsense")),
    }.items():  # fmt: skip
        if rng.random() < 0.12:
            options[name] = rng.choice(values_of)
    return lambda: _check_segmentation(box, array, **options)


def _check_segmentation(box: Box, image: Any, **options: Any) -> None:
    """`Segmenter.segment`, and whether its answer holds together."""
    from rs2sam import Segmenter

    result = Segmenter.load(box.models / RED, threads=1).segment(image, "the largest roof", **options)
    require(
        result.mask.dtype == np.bool_ and result.mask.shape == result.probability.shape, "mask and probability differ"
    )
    probability = result.probability
    require(
        bool(np.isfinite(probability).all()) and probability.min() >= 0 and probability.max() <= 1, "no probability"
    )
    for polygon in result.polygons():
        require(polygon.is_valid and polygon.area > 0, "a polygon that is none")
