"""A `result.json` of an earlier run, read again by a run that relies on it: whole, or not at all.

Files in the folder of results may be cut short, edited, or come from elsewhere. What is read of a report, by a batch
and by `rs2sam segment --resume`, has its type here, so that a damaged one is no result, where it would end the run
later with an error that nobody understands.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rs2sam.fields import checked, parse_json, require_within

_MOST_PIXELS = 2**31 - 1  # along a side, as GDAL counts them

# What is read, by its place, and the type that it must have.
_TYPES: Mapping[str, Any] = {
    "source.path": str,
    "source.height": int,
    "source.width": int,
    "source.transform": tuple[float, float, float, float, float, float],
    "source.crs": str | None,
    "source.crs_wkt": str | None,
    "source.num_gcps": int,
    "model.name": str,
    "lost": tuple[tuple[int, ...], ...],
    "tiles.read": int,
    "tiles.run": int,
    "tiles.skipped_empty": int,
    "tiles.skipped_first_pass": int,
    "options.first_pass": Mapping | None,
    "outputs.folder": str,
    "outputs.mask": str,
    "outputs.classes": str | None,
    "outputs.polygons": str,
    "outputs.preview": str,
    "outputs.result": str,
    "outputs.mask_png": tuple[str, ...],
    "outputs.probabilities": tuple[str, ...],
    "outputs.sidecars": tuple[str, ...],
    "sentences": tuple[Mapping[str, Any], ...],
}
_OF_A_SENTENCE: Mapping[str, Any] = {
    "sentence": str,
    "found": bool,
    "pixels": int,
    "area_m2": float | None,
    "polygons": int,
    "objects": int | None,
    "mean_probability": float | None,
    "presence": float | None,
    "words.model": tuple[str, ...],
    "words.scene": tuple[str, ...],
}
_OF_A_FIRST_PASS: Mapping[str, Any] = {"threshold": float, "recall_loss": float | None}


def whole_report(path: Path) -> dict[str, Any] | None:
    """What a run said of a scene.

    Args:
        path: of its `result.json`.

    Returns:
        The content of the file; None where it is not there or damaged, an entry that is read has another type, or a
        file that it names does not lie beside it.
    """
    try:
        report = parse_json(path.read_text(encoding="utf-8"))
        json.dumps(report, ensure_ascii=False).encode()  # half a character is none, and ends whatever would write it
        _check(report)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    is_there = all(Path(name).name == name and os.path.isfile(path.parent / name) for name in _names(report["outputs"]))
    return dict(report) if is_there else None


def _names(outputs: Mapping[str, Any]) -> Iterator[str]:
    """Names of the files that a report lists."""
    for kind in ("mask", "classes", "polygons", "preview", "result"):
        if outputs[kind] is not None:
            yield outputs[kind]
    for kind in ("mask_png", "probabilities", "sidecars"):
        yield from outputs[kind]


def _check(report: Any) -> None:
    """Raise an error unless everything that is read is there and has its type."""
    _check_types(report, _TYPES)
    for side in ("height", "width"):
        require_within(side, report["source"][side], 1, _MOST_PIXELS)
    for found in report["sentences"]:
        _check_types(found, _OF_A_SENTENCE)
        if found["found"]:
            checked("mean_probability", found["mean_probability"], float)
    if report["options"]["first_pass"] is not None:
        _check_types(report["options"]["first_pass"], _OF_A_FIRST_PASS)


def _check_types(values: Any, types: Mapping[str, Any]) -> None:
    """Raise InvalidInputError, KeyError or TypeError unless every entry is there and has its type."""
    for place, hint in types.items():
        value = values
        for name in place.split("."):
            value = value[name]
        checked(place, value, hint)
