"""What a run kept, read again: its `result.json` and the files of its probabilities."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.io import DatasetReader
from rasterio.windows import Window as FileWindow

from rs2sam.errors import DataNotFoundError, InvalidInputError, words_of
from rs2sam.fields import brief, checked, parse_json
from rs2sam.files import refuse_special_file
from rs2sam.processing_config import Calibration
from rs2sam.raster.georeference import Georeference
from rs2sam.raster.mask_files import BLOCK, MASK_NODATA, PROBABILITY_STEPS
from rs2sam.raster.opening import Handle, open_handle
from rs2sam.raster.place import degenerate
from rs2sam.raster.scene import SceneInfo
from rs2sam.raster.stretch import Stretch
from rs2sam.scenes.store import strip_rows
from rs2sam.views.assembly import Tally
from rs2sam.views.options import SceneOptions

_SUFFIX = "_result.json"

# What is read, by its place, and the type that it must have.
_TYPES: Mapping[str, Any] = {
    "source.path": str,
    "source.height": int,
    "source.width": int,
    "source.transform": tuple[float, ...],
    "source.crs_wkt": str | None,
    "source.num_gcps": int,
    "source.has_rpcs": bool,
    "sentences": tuple[Mapping[str, Any], ...],
    "asked": tuple[Mapping[str, Any], ...],
    "tiles.read": int,
    "warnings": tuple[str, ...],
    "model.name": str,
    "model.reads_phrases": bool,
    "model.calibration": Mapping | None,
    "options.scope": str,
    "options.choose_in_view": bool,
    "outputs.mask_png": tuple[str, ...],
    "outputs.probabilities": tuple[str, ...],
}


@dataclass(frozen=True, eq=False)
class KeptResult:
    """What a run with probabilities left.

    Args:
        path: of `STEM_result.json`.
        report: its content.
    """

    path: Path
    report: Mapping[str, Any]

    @property
    def stem(self) -> str:
        """What the names of its files begin with."""
        return self.path.name.removesuffix(_SUFFIX)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Of the scene in pixels."""
        return self._at("source.height"), self._at("source.width")

    @property
    def model(self) -> str:
        """Name of the model."""
        return str(self._at("model.name"))

    @property
    def reads_phrases(self) -> bool:
        """Whether the model was asked noun phrases."""
        return bool(self._at("model.reads_phrases"))

    @property
    def calibration(self) -> Calibration | None:
        """Of the model; None where it has none."""
        values = self._at("model.calibration")
        return None if values is None else Calibration.of(values)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the run was asked."""
        return tuple(checked("sentence", one.get("sentence"), str) for one in self._at("sentences"))

    @property
    def by_scene(self) -> bool:
        """Whether words that compare were decided among what was found."""
        options = SceneOptions(scope=self._at("options.scope"), choose_in_view=self._at("options.choose_in_view"))
        return options.chooses(self._at("tiles.read"))

    @property
    def origin(self) -> dict[str, Any]:
        """What the run said of the scene and of what it read of it."""
        return {name: self.report[name] for name in ("source", "tiles", "lost") if name in self.report}

    @property
    def files(self) -> tuple[str, ...]:
        """Names of all files of probabilities."""
        return tuple(self._at("outputs.probabilities"))

    def check_asked(self, asked: Sequence[str]) -> None:
        """Raise InvalidInputError unless there are probabilities of each of these."""
        kept = [one for one, entry in self._asked().items() if entry.get("probability") is not None]
        if not kept:
            origin = self.report.get("refined_from")
            remedy = (
                f"It was made from {brief(origin)}: refine that"
                if origin is not None
                else "Run `rs2sam segment --keep-probabilities`"
            )
            raise InvalidInputError(
                f"A result is refined by the probabilities that its run kept, but {self} has none. {remedy}."
            )
        if any(one.get("objects") is not None for one in self._at("sentences")):
            raise InvalidInputError(
                f"A result is refined by probabilities alone, but in {self} the model told objects apart, and which "
                "pixels are whose is not kept. Run `rs2sam segment` again with the other options."
            )
        missing = [one for one in asked if one not in kept]
        if missing:
            raise InvalidInputError(
                f"A sentence is decided by probabilities that the run kept ({', '.join(map(repr, kept))}), but this "
                f"one needs those of {missing[0]!r}. Run `rs2sam segment --keep-probabilities` with it."
            )

    def paths(self, asked: Sequence[str]) -> list[Path]:
        """The files of probabilities of what was asked, in the folder of the result."""
        names = [checked("probability", self._asked()[one].get("probability"), str) for one in asked]
        for name in names:
            if Path(name).name != name or not name.endswith(".tif"):
                raise InvalidInputError(
                    f"Files of probabilities lie beside their result and end in .tif, but {self} names {brief(name)}."
                )
        return [self.path.parent / name for name in names]

    def tally(self, asked: str) -> Tally:
        """What the run knew of something that it asked."""
        entry = self._asked()[asked]
        presence, score, known = (
            checked(name, entry.get(name), float | None) for name in ("presence", "score", "known")
        )
        num_scores, views = int(score is not None), checked("views", entry.get("views"), int)
        return Tally(views, presence=presence, num_scores=num_scores, score_sum=score or 0.0, known=known)

    def info(self, dataset: DatasetReader) -> SceneInfo:
        """The scene; where it lies is said by this file, and exactly by what is known of its file of probabilities."""
        wkt = self._at("source.crs_wkt")
        try:
            crs = None if wkt is None else CRS.from_wkt(wkt)
            transform = Affine(*self._at("source.transform"))
        except (CRSError, TypeError) as error:
            raise self._without_place(error) from error
        reason = degenerate(transform, self.size_hw)
        if reason is not None:
            raise self._without_place(reason)
        georeference = Georeference(
            transform,
            crs,
            tuple(dataset.gcps[0]) if self._at("source.num_gcps") else (),
            dataset.rpcs if self._at("source.has_rpcs") else None,
        )
        return SceneInfo(
            georeference=georeference,
            source=self._at("source.path"),
            is_photo=bool(self._at("outputs.mask_png")),
            # The image itself is not read again.
            bands=(),
            num_bands=0,
            dtype="",
            nodata=None,
            stretch=Stretch("none"),
            limits=(),
            warnings=tuple(self._at("warnings")),
            size_hw=self.size_hw,
        )

    def _without_place(self, reason: object) -> InvalidInputError:
        """The error for a place that is none."""
        return InvalidInputError(f"{self} does not say where its scene lies ({reason}). Run `rs2sam segment` again.")

    def __str__(self) -> str:
        return repr(str(self.path))

    def _asked(self) -> dict[str, Mapping[str, Any]]:
        """What is known of each thing asked."""
        return {checked("asked", one.get("sentence"), str): one for one in self._at("asked")}

    def _at(self, place: str) -> Any:
        """An entry, which has its type."""
        value: Any = self.report
        for name in place.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        try:
            return checked(place, value, _TYPES[place])
        except InvalidInputError as error:
            raise InvalidInputError(
                f"{self} is no whole result of `rs2sam segment` ({words_of(error)}). Name its `STEM_result.json`, or "
                "run again."
            ) from error


def read_kept_result(path: Path) -> KeptResult:
    """Read a result.

    Args:
        path: of `STEM_result.json`, or of the folder in which it is the only one.

    Raises:
        DataNotFoundError: there is none.
        InvalidInputError: it is something else.
    """
    if path.is_dir():
        found = sorted(path.glob(f"*{_SUFFIX}"))
        if len(found) != 1:
            names = ", ".join(one.name for one in found[:5]) + (", ..." if len(found) > 5 else "")
            said = f"holds {len(found)} ({names})" if found else "holds none"
            error = InvalidInputError if found else DataNotFoundError
            raise error(f"A result is a file `STEM{_SUFFIX}`, but the folder {str(path)!r} {said}. Name the file.")
        path = found[0]
    refuse_special_file("result", path)
    try:
        report = parse_json(path.read_text(encoding="utf-8"))
        json.dumps(report, ensure_ascii=False).encode()  # half a character is none
    except FileNotFoundError as error:
        raise DataNotFoundError(f"The result {str(path)!r} is not there. Check the path.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInputError(
            f"A result is the JSON file `STEM{_SUFFIX}` of `rs2sam segment`, but {str(path)!r} is none "
            f"({words_of(error)})."
        ) from error
    if not isinstance(report, Mapping):
        raise InvalidInputError(f"A result is a JSON object, but {str(path)!r} holds {brief(report)}.")
    return KeptResult(path, report)


class ProbabilityFiles:
    """Kept probabilities of a scene, read again from their files; use it as a context manager.

    Args:
        paths: a file for each thing asked.
        size_hw: of the scene.

    Raises:
        DataNotFoundError: when a file is not there.
        InvalidInputError: when one is none of this scene, or cannot be read.
    """

    def __init__(self, paths: Sequence[Path], size_hw: tuple[int, int]) -> None:
        self._paths = paths
        self._size_hw = size_hw
        self._files: list[Handle] = []

    def __enter__(self) -> ProbabilityFiles:
        with ExitStack() as stack:
            self._files = [stack.enter_context(open_handle(str(path))) for path in self._paths]
            for file in self._files:
                self._check(file)
            self._opened = stack.pop_all()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._opened.close()

    @property
    def first(self) -> Handle:
        """The first file, which lies where all of them lie."""
        return self._files[0]

    def strips(self, band: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """First row and (h, W) uint8 of each strip of what was asked, counted from 0, from top to bottom."""
        height, width = self._size_hw
        # Whole blocks of the file, as far as that keeps strips small.
        rows = min(strip_rows(width), BLOCK)
        for top in range(0, height, rows):
            window = FileWindow(0, top, width, min(rows, height - top))
            steps: NDArray[np.uint8] = self._files[band].read([1], window=window)[0]
            if ((steps > PROBABILITY_STEPS) & (steps != MASK_NODATA)).any():
                raise _not_ours(self._files[band].name, f"holds {steps[steps != MASK_NODATA].max()}")
            yield top, steps

    def _check(self, file: Handle) -> None:
        """Refuse a file that cannot hold this scene's probabilities."""
        dataset = file.dataset
        kind, size_hw = (dataset.count, dataset.dtypes[0], dataset.nodata), (dataset.height, dataset.width)
        if kind != (1, "uint8", MASK_NODATA):
            bands = "1 band" if kind[0] == 1 else f"{kind[0]} bands"
            raise _not_ours(file.name, f"has {bands} of {kind[1]} and nodata {kind[2]}")
        if size_hw != self._size_hw:
            raise InvalidInputError(
                f"Kept probabilities have the size of their result, {self._size_hw[1]} x {self._size_hw[0]} px, but "
                f"{file.name!r} has {size_hw[1]} x {size_hw[0]}. Run `rs2sam segment --keep-probabilities` again."
            )


def _not_ours(name: str, what: str) -> InvalidInputError:
    """The error for a raster that is something else."""
    return InvalidInputError(
        f"Kept probabilities are one band of uint8 with values up to {PROBABILITY_STEPS} and nodata {MASK_NODATA}, but "
        f"{name!r} {what}. Run `rs2sam segment --keep-probabilities` again."
    )
