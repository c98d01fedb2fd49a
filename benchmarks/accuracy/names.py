"""Measure whether a model knows which names it was taught, without any image.

    python -m benchmarks.accuracy.names compact benchmarks/results/names.json [--show dev]

`names.tsv` holds what people call things, by a writer who saw none of the lists of the project: names of taught
categories, and names of nothing taught (category `-`: things seen from above, things that no aerial image shows, other
languages, letters, words that look like taught ones). Two halves drawn at random: what is made for names may be looked
at on `dev`, `blind` only says what that is worth. A name counts as known where the model would answer it: its
probability is at least the model's own `min_known`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.files import ROOT, write_json
from rs2sam.benchmarking.machine import describe_machine
from rs2sam.segmenter import Segmenter

LIST = ROOT / "benchmarks" / "accuracy" / "names.tsv"
HALVES, UNTAUGHT = ("dev", "blind"), "-"
SIDE = 64


class Name(NamedTuple):
    """One line of the list."""

    half: str
    category: str
    name: str


def names() -> Iterator[Name]:
    """The list."""
    for line in LIST.read_text(encoding="utf-8").splitlines()[1:]:
        yield Name(*line.split("\t"))


def measured(segmenter: Segmenter, half: str) -> dict[str, Any]:
    """Shares of the taught and the untaught names of a half that the model takes for known, and those it errs on.

    Args:
        segmenter: of a model that tells known sentences from others.
        half: `dev` or `blind`.
    """
    encoded = segmenter.encode(np.full((SIDE, SIDE, 3), 127, np.uint8))
    chosen = [name for name in names() if name.half == half]
    known = [(encoded.segment(name.name).known or 0.0) >= segmenter.min_known for name in chosen]
    taught = [is_known for name, is_known in zip(chosen, known, strict=True) if name.category != UNTAUGHT]
    untaught = [is_known for name, is_known in zip(chosen, known, strict=True) if name.category == UNTAUGHT]
    return {
        "taught": len(taught),
        "taught_known": round(float(np.mean(taught)), 3),
        "untaught": len(untaught),
        "untaught_known": round(float(np.mean(untaught)), 3),
        "wrong": [n.name for n, is_known in zip(chosen, known, strict=True) if is_known == (n.category == UNTAUGHT)],
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure both halves, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="name or folder")
    parser.add_argument("output", type=Path, help="JSON file to write")
    parser.add_argument("--show", choices=HALVES[:1], help="print the names of this half that it errs on")
    given = parser.parse_args(arguments)
    segmenter = Segmenter.load(given.model)
    found = {half: measured(segmenter, half) for half in HALVES}
    if given.show:
        print("\n".join(found[given.show]["wrong"]))
    for half, figures in found.items():
        del figures["wrong"]
        print(f"{half}: {figures}")
    told = {"model": given.model, "min_known": segmenter.min_known, "machine": describe_machine()}
    write_json({**told, **found}, given.output)


if __name__ == "__main__":
    main()
