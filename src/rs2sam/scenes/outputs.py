"""What a run leaves on disk: mask GeoTIFF, polygons, preview, `result.json`.

All files are written into a hidden folder beside their place and moved there when every one of them is whole, the JSON
last, so an interrupted run leaves nothing half-written.
"""

from __future__ import annotations

import json
import math
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rs2sam.errors import InvalidInputError, RS2SAMError, words_of
from rs2sam.raster.faults import GDAL_FAULTS
from rs2sam.raster.scene import SceneInfo
from rs2sam.vector.copied_formats import SIDECARS
from rs2sam.vector.polygon_files import PolygonFormat, check_format

_NAME_BYTES, _PATH_BYTES = 255, 512  # of one name in common file systems, of a database for SQLite
_MOST_CLASSES = 254
_DEEPER_BYTES = 70  # of names below the hidden folder


@dataclass(frozen=True)
class OutputOptions:
    """Which files are written, and how.

    Args:
        polygon_format: of the polygons.
        overwrite: whether results of an earlier run may be replaced.
        resume: go on with what an interrupted run of the same left, and leave it when this one is interrupted.
        cog: write masks as cloud-optimised GeoTIFFs with overviews.
        class_map: write the number of the most probable sentence per pixel, too.
        simplify_m: outlines may move by this much [m, or the unit of a scene without metres]; 0: exact pixel edges.
        orthogonal: square up the outlines, as buildings are.
        keep_probabilities: write the probability of every pixel too, and decide on what is written, so that `rs2sam
            refine` decides alike.
    """

    polygon_format: PolygonFormat = "gpkg"
    overwrite: bool = False
    resume: bool = False
    cog: bool = False
    class_map: bool = False
    simplify_m: float = 0.0
    orthogonal: bool = False
    keep_probabilities: bool = False

    def __post_init__(self) -> None:
        if not self.simplify_m >= 0:
            raise InvalidInputError(f"`simplify_m` is a length of at least 0, but it is {self.simplify_m:g}.")

    def check(self, num_sentences: int) -> None:
        """Refuse now what cannot be written of so many sentences.

        Raises:
            InvalidInputError: there is no such format, or a class map does not hold them.
            MissingDependencyError: the format of the polygons needs a library that is not installed.
        """
        check_format(self.polygon_format)
        if self.class_map and num_sentences > _MOST_CLASSES:
            raise InvalidInputError(
                f"A class map holds up to {_MOST_CLASSES} sentences, but there are {num_sentences}. Leave the map out."
            )


@dataclass(frozen=True)
class OutputPaths:
    """The files of one scene: `<stem>_mask.tif` and so on, in one folder.

    Args:
        folder: where they go; made when needed.
        stem: of the source's file name.
        polygon_format: of the polygons, the suffix of their file.
    """

    folder: Path
    stem: str
    polygon_format: PolygonFormat = "gpkg"

    @property
    def mask(self) -> str:
        """Name of the mask GeoTIFF."""
        return f"{self.stem}_mask.tif"

    @property
    def classes(self) -> str:
        """Name of the class map."""
        return f"{self.stem}_classes.tif"

    @property
    def polygons(self) -> str:
        """Name of the polygon file."""
        return f"{self.stem}_polygons.{self.polygon_format}"

    def sidecars(self, made: Path) -> list[str]:
        """Names of the files beside the polygon file that belong to it, of those in the folder where all are made."""
        if self.polygon_format != "shp":
            return []
        names = (f"{self.stem}_polygons{suffix}" for suffix in SIDECARS)
        return [name for name in names if (made / name).exists()]

    @property
    def preview(self) -> str:
        """Name of the preview picture."""
        return f"{self.stem}_preview.png"

    @property
    def result(self) -> str:
        """Name of the machine-readable result."""
        return f"{self.stem}_result.json"

    def probabilities(self, num_asked: int) -> list[str]:
        """Names of the probability GeoTIFFs: `_probability.tif`, or `_probability_1.tif` ... for several."""
        return self._numbered("probability", ".tif", num_asked)

    def mask_pngs(self, num_sentences: int) -> list[str]:
        """Names of the mask pictures of a photo: `_mask.png`, or `_mask_1.png` ... for several sentences."""
        return self._numbered("mask", ".png", num_sentences)

    def _numbered(self, kind: str, suffix: str, count: int) -> list[str]:
        """Names of files of a kind; of several they have numbers."""
        if count == 1:
            return [f"{self.stem}_{kind}{suffix}"]
        return [f"{self.stem}_{kind}_{number}{suffix}" for number in range(1, count + 1)]

    def existing(self) -> list[Path]:
        """Files of an earlier run on this scene, in any polygon format and for any number of sentences."""
        ours = re.compile(
            re.escape(self.stem) + r"_(mask\.tif|mask(_\d+)?\.png|classes\.tif|probability(_\d+)?\.tif|"
            r"polygons\.(gpkg|geojson|fgb|parquet|shp|shx|dbf|prj|cpg)|preview\.png|result\.json)"
        )
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if ours.fullmatch(path.name))

    def prepare(self, *, overwrite: bool) -> None:
        """Refuse now what would fail after the work is done; a folder that is not there is made when the work begins.

        Raises:
            InvalidInputError: when the folder cannot be written or made, or holds results of this scene and
                `overwrite` is not set.
        """
        folders = self.folder, *self.folder.absolute().parents
        try:
            # A link to nothing is neither a folder nor a place for one.
            nearest = next(folder for folder in folders if folder.exists() or folder.is_symlink())
            with tempfile.TemporaryFile(dir=nearest):
                pass
        except OSError as error:
            raise InvalidInputError(
                f"The output folder must be writable, but {str(self.folder)!r} is not "
                f"({error.strerror or words_of(error)}). Choose another with -o."
            ) from error
        hidden = f".rs2sam-{self.stem}-123456789012"
        length = len(os.fsencode(hidden))
        if length > _NAME_BYTES:
            raise InvalidInputError(
                f"Names of results begin with that of the image and have up to {_NAME_BYTES} bytes, but for "
                f"{self.stem[:40]!r}... they would have {length}. Rename the image, or link to it by a shorter name."
            )
        length = len(os.fsencode(self.folder.absolute() / hidden)) + _DEEPER_BYTES
        if length > _PATH_BYTES:
            raise InvalidInputError(
                f"Paths of results have up to {_PATH_BYTES} bytes, as SQLite takes them, but in "
                f"{str(self.folder)[:80]!r}... they would have {length}. Choose a folder nearer to the root with -o, "
                "or rename the image."
            )
        existing = self.existing()
        if existing and not overwrite:
            names = ", ".join(path.name for path in existing)
            raise InvalidInputError(
                f"{str(self.folder)!r} already holds results of {self.stem!r} ({names}). Replace them with "
                "--overwrite, or choose another folder with -o."
            )


@contextmanager
def writing_results(folder: Path) -> Iterator[None]:
    """What goes wrong on the disk, in SQLite or in GDAL while results are written to a folder is an error of ours."""
    try:
        yield
    except (OSError, sqlite3.Error, *GDAL_FAULTS) as error:
        if isinstance(error, RS2SAMError):
            raise
        raise InvalidInputError(
            f"The results could not be written to {str(folder)!r} ({words_of(error)}). Nothing was left behind; free "
            "space or choose another folder with -o."
        ) from error


def publish(made: Path, paths: OutputPaths, names: Sequence[str], kept: Sequence[str] = ()) -> None:
    """Move whole files to their places, the last name last, and remove those of an earlier run that have no successor.

    Args:
        made: folder in which they were made, on the same file system.
        paths: where they go.
        names: of the files.
        kept: names of files of the earlier run that stay.
    """
    for stale in paths.existing():
        if stale.name not in (*names, *kept):
            stale.unlink()
    for name in names:
        os.replace(made / name, paths.folder / name)


def json_text(content: Any) -> str:
    """JSON that every reader takes: what is no finite number is written as text, `"nan"`, `"inf"` or `"-inf"`."""
    return json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def plain(content: Any) -> Any:
    """The same content with text in place of numbers that JSON does not have."""
    if isinstance(content, Mapping):
        return {key: plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [plain(value) for value in content]
    return str(float(content)) if isinstance(content, float) and not math.isfinite(content) else content


def describe_scene(info: SceneInfo, num_valid: int) -> dict[str, Any]:
    """The source as plain values for `result.json`."""
    metres = info.georeference.pixel_size_m(info.size_hw)
    return {
        "path": info.source,
        "height": info.size_hw[0],
        "width": info.size_hw[1],
        **info.georeference.describe(),
        "pixel_size_m": None if metres is None else [round(side, 6) for side in metres],
        "dtype": info.dtype,
        "num_bands": info.num_bands,
        "bands": list(info.bands),
        "nodata": info.nodata,
        "valid_pixels": num_valid,
        "stretch": {"kind": info.stretch.kind, "limits": [list(pair) for pair in info.limits]},
    }
