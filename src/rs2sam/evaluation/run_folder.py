"""Finished samples on disk, so that a run that was killed goes on where it was.

run.json         what is evaluated: model, weights, samples, protocol
samples.jsonl    a line a sample, written after each batch; at the end all of them in the order of the dataset
samples.K.jsonl  the same of process K > 0, while it runs
masks/           with `--save-masks`: the predictions, 0 and 255
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rs2sam.datasets.base import Mask
from rs2sam.errors import DataNotFoundError, InvalidInputError, words_of
from rs2sam.evaluation.results import SampleResult
from rs2sam.fields import parse_json
from rs2sam.metrics import Protocol

RUN_FILE, SAMPLES_FILE, MASK_FOLDER = "run.json", "samples.jsonl", "masks"
REPORT_FILES = ("report.json", "report.md", "report.html")
_PART, _OTHER_PARTS = "samples.{}.jsonl", "samples.*.jsonl"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME = 80


class RunFolder:
    """The folder of one evaluation, seen from one process.

    Args:
        path: the folder.
        process: number of this process; 0 writes what is common to all.
    """

    def __init__(self, path: Path, process: int = 0) -> None:
        self.path = path
        self._part = path / (SAMPLES_FILE if process == 0 else _PART.format(process))

    def open(self, identity: Mapping[str, Any], *, resume: bool, overwrite: bool) -> list[SampleResult]:
        """Look what is there; called by process 0 before any other touches the folder. Nothing of it is changed.

        Args:
            identity: what is evaluated; a run goes on only where all of it is equal.
            resume: go on with what is there.
            overwrite: what is there will be discarded.

        Returns:
            Results that are there already, of any of its processes.

        Raises:
            InvalidInputError: the folder holds an evaluation and neither is asked for, or one of something else, or
                masks that no evaluation has written.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InvalidInputError(f"The output must be a folder, but {self.path} is a file. Choose another name.")
        there = [name for name in (RUN_FILE, SAMPLES_FILE, *REPORT_FILES) if (self.path / name).exists()]
        if not there and (self.path / MASK_FOLDER).exists():
            raise InvalidInputError(
                f"A report has a folder `{MASK_FOLDER}` of its own, but {self.path} has one that no evaluation wrote. "
                "Choose another folder."
            )
        if there and not resume and not overwrite:
            raise InvalidInputError(
                f"{self.path} holds an evaluation already ({', '.join(there)}). Go on with it by --resume, replace it "
                "by --overwrite, or choose another folder."
            )
        if not there or overwrite:
            return []
        self._check(identity)
        return self._finished()

    def start(
        self, identity: Mapping[str, Any], kept: Sequence[SampleResult], protocol: Protocol, *, overwrite: bool
    ) -> None:
        """Make the folder ready, after `open`: what is kept is in one file, whatever number of processes wrote it.

        Args:
            identity: what is evaluated.
            kept: results that count.
            protocol: rule for empty unions.
            overwrite: discard what is there.
        """
        with _writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            if overwrite:
                self._clear()
        write_whole(self.path / RUN_FILE, json.dumps(identity, indent=2, ensure_ascii=False) + "\n")
        self.finish(kept, protocol)

    def append(self, results: Sequence[SampleResult], protocol: Protocol) -> None:
        """Write a batch to the disk before the next one starts."""
        with _writing(self._part), self._part.open("a", encoding="utf-8") as file:
            file.writelines(_line(result, protocol) for result in results)
            file.flush()

    def finish(self, results: Iterable[SampleResult], protocol: Protocol) -> None:
        """Process 0: replace all parts, those of a killed run too, by one file in the order of the dataset."""
        write_whole(self.path / SAMPLES_FILE, "".join(_line(result, protocol) for result in results))
        for part in self.path.glob(_OTHER_PARTS):
            part.unlink(missing_ok=True)

    def drop_part(self) -> None:
        """Any other process: remove its part, after `finish`, from a disk that process 0 does not see."""
        self._part.unlink(missing_ok=True)

    def mask_path(self, sample_id: str) -> Path:
        """Where a prediction is saved."""
        return self.path / MASK_FOLDER / f"{safe_name(sample_id)}.png"

    def save_mask(self, sample_id: str, mask: Mask) -> None:
        """Save a prediction as PNG: 255 found, 0 not."""
        path = self.mask_path(sample_id)
        temporary = path.with_name(f".{path.name}")
        with _writing(path):
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(mask.astype(np.uint8) * 255).save(temporary, format="PNG")
            temporary.replace(path)

    def _check(self, identity: Mapping[str, Any]) -> None:
        """Whether the folder holds an evaluation of the same thing."""
        before = read_object(self.path / RUN_FILE, "an evaluation writes it at its start")
        # As JSON has it: tuples are lists there.
        now = json.loads(json.dumps(identity))
        names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
        if names:
            what = "; ".join(f"{name}: {_short(before.get(name))} there, {_short(now.get(name))} now" for name in names)
            raise InvalidInputError(
                f"{self.path} can only go on with the evaluation that it holds, but this one differs ({what}). "
                "Choose another folder, or start afresh by --overwrite."
            )

    def _finished(self) -> list[SampleResult]:
        """Results in all parts; a sample that two parts hold counts once."""
        results: dict[str, SampleResult] = {}
        parts = [self.path / SAMPLES_FILE, *sorted(self.path.glob(_OTHER_PARTS))]
        for part in parts:
            for result in read_results(part, cut_short=True) if part.exists() else ():
                results.setdefault(result.id, result)
        return list(results.values())

    def _clear(self) -> None:
        """Remove what an evaluation writes, and nothing else."""
        for file in (
            *(self.path / name for name in (RUN_FILE, SAMPLES_FILE, *REPORT_FILES)),
            *self.path.glob(_OTHER_PARTS),
        ):
            file.unlink(missing_ok=True)
        if (self.path / MASK_FOLDER).is_dir():
            shutil.rmtree(self.path / MASK_FOLDER)


def read_results(path: Path, *, cut_short: bool = False) -> list[SampleResult]:
    """Read a file of results.

    Args:
        path: `samples.jsonl` of a report folder.
        cut_short: leave out a last line that was not written to its end.

    Raises:
        DataNotFoundError: there is no such file.
        InvalidInputError: a line is no result; the message has its number.
    """
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataNotFoundError(
            f"{path} is not there: a report folder holds {SAMPLES_FILE}. Write it with `rs2sam evaluate`."
        ) from error
    if cut_short:
        content = content[: content.rfind(b"\n") + 1]
    results = []
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            results.append(SampleResult.from_record(parse_json(line)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidInputError(
                f"{path}:{number} is no result of a sample ({error!r}). Evaluate again with --overwrite."
            ) from error
    return results


def read_object(path: Path, origin: str) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: the file.
        origin: where it comes from, for the message.

    Raises:
        DataNotFoundError: there is no such file.
        InvalidInputError: it is no JSON object.
    """
    try:
        values = parse_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataNotFoundError(f"{path} is not there; {origin}. Check the folder's name.") from error
    except ValueError as error:
        raise InvalidInputError(
            f"{path} is no JSON ({words_of(error)}); {origin}. Evaluate again with --overwrite."
        ) from error
    if not isinstance(values, dict):
        raise InvalidInputError(f"{path} must hold a JSON object, received {type(values).__name__}; {origin}.")
    return values


def write_whole(path: Path, content: str) -> None:
    """Write a text file under a temporary name and rename it: it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with _writing(path):
        temporary.write_text(content, encoding="utf-8")
        temporary.replace(path)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """A full disk or a closed folder is said in words."""
    try:
        yield
    except OSError as error:
        raise InvalidInputError(
            f"{path} cannot be written ({error.strerror or words_of(error)}). Make room or choose another folder; an "
            "evaluation goes on by --resume."
        ) from error


def safe_name(sample_id: str) -> str:
    """A file name for any id; ids that would share a name, on any system, get different ones."""
    plain = _UNSAFE.sub("_", sample_id).strip("._")[:_LONGEST_NAME]
    # Some file systems do not tell upper from lower case.
    if plain == sample_id and plain == plain.lower():
        return plain
    return f"{plain or 'sample'}-{hashlib.sha256(sample_id.encode()).hexdigest()[:8]}"


def _line(result: SampleResult, protocol: Protocol) -> str:
    """One line of the samples' file."""
    return json.dumps(result.as_record(protocol), ensure_ascii=False) + "\n"


def _short(value: object) -> str:
    """A value for a message, hashes cut."""
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:12]}..."
