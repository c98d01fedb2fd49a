"""One door to every format of referring data: `open_dataset(folder)` recognises it and reads it.

The parts that say what belongs to what are read at once and checked; pixels and masks stay on disk until a sample is
asked for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from rs2sam.datasets.base import Sample
from rs2sam.datasets.readers.coco import instance_files, read_coco
from rs2sam.datasets.readers.jsonl import jsonl_files, read_jsonl
from rs2sam.datasets.readers.refsegrs import phrase_files, read_refsegrs
from rs2sam.datasets.readers.rrsisd import REFS_FILE, read_rrsisd
from rs2sam.errors import DataNotFoundError, InvalidInputError
from rs2sam.fields import a_place

OnError: TypeAlias = Callable[[InvalidInputError], None]
"""Receives what is wrong with one entry of a data set."""


@dataclass(frozen=True)
class DatasetFormat:
    """A format of referring data.

    Args:
        looks_like: what a folder of it holds, for people.
        recognise: whether a path is of it.
        read: the reader.
        read_on: a reader that hands over what is wrong with an entry, and reads on; None: there is none.
    """

    looks_like: str
    recognise: Callable[[Path], bool]
    read: Callable[[Path], list[Sample]]
    read_on: Callable[[Path, OnError], list[Sample]] | None = None


FORMATS: dict[str, DatasetFormat] = {
    "rrsisd": DatasetFormat(
        "`rrsisd/refs(unc).p`, `rrsisd/instances.json` and `images/rrsisd/JPEGImages/`",
        lambda path: (path / REFS_FILE).is_file(),
        read_rrsisd,
    ),
    "refsegrs": DatasetFormat(
        "`output_phrase_train.txt` (or val, test), `images/` and `masks/`",
        lambda path: bool(phrase_files(path)),
        read_refsegrs,
    ),
    "jsonl": DatasetFormat(
        "`*.jsonl` with lines {image, sentence, mask | segmentation}, or such a file itself",
        lambda path: bool(jsonl_files(path)),
        read_jsonl,
        read_jsonl,
    ),
    "coco": DatasetFormat(
        "`instances.json` (COCO) with `sentence` in its annotations or `refs.json` beside it",
        lambda path: bool(instance_files(path)),
        read_coco,
    ),
}
"""Name -> format."""


@dataclass(frozen=True)
class ReferringData:
    """A data set of referring expressions.

    Args:
        format: name in `FORMATS`.
        root: the folder or file that was read.
        entries: every sample, in the order of the files.
    """

    format: str
    root: Path
    entries: tuple[Sample, ...] = field(repr=False)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits in use, in the order of their first sample; none where samples have no split."""
        return tuple(dict.fromkeys(sample.split for sample in self.entries if sample.split is not None))

    def samples(self, split: str | None = None) -> list[Sample]:
        """The samples of one split, or all of them.

        Raises:
            DataNotFoundError: no sample is of this split.
        """
        if split is None:
            return list(self.entries)
        chosen = [sample for sample in self.entries if sample.split == split]
        if not chosen:
            known = ", ".join(self.splits) or "none: its samples have no split, leave it out to take them all"
            raise DataNotFoundError(f"no split `{split}` in `{self.root}` ({self.format}); it has: {known}")
        return chosen

    def __len__(self) -> int:
        return len(self.entries)


def open_dataset(root: Path | str, format: str | None = None, on_error: OnError | None = None) -> ReferringData:
    """Read a data set of referring expressions.

    Args:
        root: its folder; for JSON lines also the file.
        format: a name in `FORMATS`; None: recognised.
        on_error: receives what is wrong with an entry, which is then left out, where the format's reader can go on;
            None: the first error is raised.

    Raises:
        DataNotFoundError: there is nothing at `root`, or of no known format; the message says what each looks like.
        InvalidInputError: it is of several formats, or malformed.
    """
    path = a_place("root", root).expanduser()
    if not path.exists():
        raise DataNotFoundError(f"data set not found: `{path}` does not exist. Check the path.")
    if format is None:
        format = _recognised(path)
    elif format not in FORMATS:
        raise DataNotFoundError(f"no data set format `{format}`. Known are:\n{_descriptions()}")
    chosen = FORMATS[format]
    samples = chosen.read(path) if on_error is None or chosen.read_on is None else chosen.read_on(path, on_error)
    return ReferringData(format, path, tuple(samples))


def _recognised(path: Path) -> str:
    """The one format that a path is of."""
    found = _formats_of(path)
    if len(found) > 1:
        raise InvalidInputError(
            f"`{path}` looks like several formats: {', '.join(found)}. Say which one to read (`format`), or point at a "
            "folder that holds one of them."
        )
    if found:
        return found[0]
    nearby = [path.resolve().parent, *sorted(child for child in path.glob("*") if child.is_dir())]
    hints = [f"`{place}` ({', '.join(_formats_of(place))})" for place in nearby if _formats_of(place)]
    hint = f"\nDid you mean {' or '.join(hints[:3])}?" if hints else ""
    if not hints and (path / "images").is_dir():
        hint = "\n`rs2sam data convert --source` makes a data set of annotated imagery without sentences that it knows."
    raise DataNotFoundError(f"`{path}` is of no known format. Known are:\n{_descriptions()}{hint}")


def _formats_of(path: Path) -> list[str]:
    """Names of the formats that a path looks like."""
    return [name for name, one in FORMATS.items() if one.recognise(path)]


def _descriptions() -> str:
    """What each format looks like, a line each."""
    return "\n".join(f"  {name}: {one.looks_like}" for name, one in FORMATS.items())
