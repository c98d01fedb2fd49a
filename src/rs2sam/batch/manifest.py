"""The manifest of a batch: a journal of what happened to each scene, from which its state is read.

One JSON object a line, appended and flushed to the disk before anything else happens, so that a batch which is killed
at any moment knows afterwards what was finished. A line that was cut short by a kill is dropped. The first line holds
the settings: results of other sentences or another model never mix in one folder.

| event | state of the scene afterwards |
|---|---|
| none | `pending` |
| `running` | `running`; found so by the next run: the process ended while it worked on it |
| `done` | `done` |
| `failed` | `pending` if it will be tried again, else `failed` |
| `interrupted`, `again` | `pending`, with no attempt counted |
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal

from rs2sam.batch.inputs import Shard
from rs2sam.errors import InvalidInputError, words_of
from rs2sam.fields import brief, checked, parse_json, require_within
from rs2sam.scenes.job import make_folder, remove_empty

State = Literal["pending", "running", "done", "failed"]

VERSION = 1

# What events say of a scene beside their time, and the type of each: a journal may be damaged, or edited.
_EVENTS: Mapping[str, Mapping[str, Any]] = {
    "running": {"signature": str | None},
    "done": {"result": str, "num_lost": int},
    "failed": {"error": str, "is_final": bool},
    "interrupted": {},
    "again": {},
}
_LATEST = 253_402_300_799  # seconds since 1970 at the end of the year 9999, the last that dates have
_MOST_DIFFERENCES = 8  # of settings, in a message


@dataclass(frozen=True)
class SceneRecord:
    """What is known of a scene.

    Args:
        state: where it stands.
        attempts: how often it was begun and not interrupted by the user.
        error: why the last attempt failed.
        result: its `result.json`, relative to the folder of the batch.
        signature: of the file when it was read; None where files have none.
        num_lost: blocks of the source that could not be read and are nodata in the result.
        time: of the last event, seconds since 1970; 0 where there was none.
    """

    state: State = "pending"
    attempts: int = 0
    error: str | None = None
    result: str | None = None
    signature: str | None = None
    num_lost: int = 0
    time: float = 0.0


class Manifest:
    """The journal of one run, open for appending; `open_manifest` makes it.

    Args:
        file: at the end of whole lines; None for a manifest that is only read.
        records: what earlier runs left.
    """

    def __init__(self, file: IO[bytes] | None, records: dict[str, SceneRecord]) -> None:
        self._file = file
        self._records = records

    def __getitem__(self, key: str) -> SceneRecord:
        return self._records.get(key, SceneRecord())

    def running(self, key: str, signature: str | None) -> None:
        """A scene is begun."""
        self._append({"event": "running", "scene": key, "signature": signature})

    def done(self, key: str, result: str, seconds: float, num_lost: int = 0) -> None:
        """A scene is finished: its results lie in their place."""
        self._append(
            {"event": "done", "scene": key, "result": result, "seconds": round(seconds, 3), "num_lost": num_lost}
        )

    def failed(self, key: str, error: str, *, is_final: bool) -> None:
        """An attempt failed; `is_final` when it is the last one."""
        self._append({"event": "failed", "scene": key, "error": error, "is_final": is_final})

    def interrupted(self, key: str) -> None:
        """The user stopped the run while it worked on a scene."""
        self._append({"event": "interrupted", "scene": key})

    def again(self, keys: Iterable[str]) -> None:
        """Scenes are to be run anew, whatever was known of them."""
        self._append(*({"event": "again", "scene": key} for key in keys))

    def _append(self, *events: dict[str, Any]) -> None:
        """Write events so that they outlive a kill, then take them into account."""
        now = round(time.time(), 3)
        entries = [{**event, "time": now} for event in events]
        assert self._file is not None, "a manifest that is only read"
        write_lines(self._file, entries)
        for entry in entries:
            self._records[entry["scene"]] = after(self[entry["scene"]], entry)


def after(record: SceneRecord, entry: Mapping[str, Any]) -> SceneRecord:
    """What is known of a scene after an event.

    Raises:
        ValueError: it is none of ours: an unknown event, or values of other types.
        KeyError: it has no event, or lacks one of its values.
    """
    event = entry["event"]
    if not isinstance(event, str) or event not in _EVENTS:
        raise ValueError(f"unknown event {brief(event)}")
    said = {name: checked(name, entry[name], hint) for name, hint in {"time": float, **_EVENTS[event]}.items()}
    require_within("time", said["time"], 0, _LATEST)
    now = said["time"]
    if event == "running":
        return SceneRecord("running", record.attempts + 1, record.error, signature=said["signature"], time=now)
    if event == "done":
        return replace(record, state="done", error=None, result=said["result"], num_lost=said["num_lost"], time=now)
    if event == "failed":
        said["error"].encode()  # half a character is none, and ends whatever would write it
        return replace(record, state="failed" if said["is_final"] else "pending", error=said["error"], time=now)
    if event == "interrupted":
        return replace(record, state="pending", attempts=max(0, record.attempts - 1), time=now)
    return SceneRecord(time=now)  # again


def manifest_path(folder: Path, shard: Shard | None) -> Path:
    """`manifest.jsonl`, or `manifest-1-of-4.jsonl` for a shard."""
    name = "manifest" if shard is None else f"manifest-{shard.number}-of-{shard.count}"
    return folder / f"{name}.jsonl"


@contextmanager
def open_manifest(path: Path, settings: Mapping[str, Any]) -> Iterator[Manifest]:
    """The manifest of a folder, made when there is none; no other process can open it meanwhile.

    Where an error comes before the first scene (a model that is not there), a new manifest is removed again, and with
    it a new folder: its settings would be held against the next run.

    What other manifests of the folder (of shards) know is known here as well; of two records the newer one counts.

    Args:
        path: of the manifest.
        settings: what decides about results, as plain values.

    Raises:
        InvalidInputError: when the folder's batch has other settings, the manifest is damaged, or another process
            works on it.
    """
    try:
        made = make_folder(path.parent)
        file = path.open("a+b")
    except OSError as error:
        reason = "it is a file" if path.parent.is_file() else error.strerror or error
        raise InvalidInputError(
            f"The output folder must be writable, but {str(path.parent)!r} is not ({reason}). Choose another with -o."
        ) from error
    with file:
        _lock(file, path)
        _drop_cut_line(file)
        is_new = file.tell() == 0
        if is_new:
            write_lines(file, [{"event": "batch", "version": VERSION, "settings": dict(settings)}])
        length = file.tell()
        try:
            yield Manifest(file, read_all(path, settings))
        except BaseException:
            if is_new and file.tell() == length:
                path.unlink()
                remove_empty(made)
            raise


def read_all(path: Path, settings: Mapping[str, Any]) -> dict[str, SceneRecord]:
    """The newest record of each scene in the manifests of a folder.

    Other manifests count for what they finished only: what runs there may be running still. A scene that they did not
    finish is pending here, yet known: results that a killed run left of it are the batch's own.
    """
    records = read_manifest(path, settings) if path.exists() else {}
    for other in _others(path):
        for key, record in read_manifest(other, settings).items():
            if record.time <= records.get(key, SceneRecord()).time:
                continue
            if record.state == "done":
                records[key] = record
            elif key not in records:
                records[key] = SceneRecord(time=record.time)
    return records


def refuse_other_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Check that a manifest can begin anew beside those of other shards, which hold their settings.

    Args:
        path: of the manifest that would begin anew.
        settings: those it would begin with.

    Raises:
        InvalidInputError: when another manifest of the folder has other settings, or none that can be read.
    """
    for other in _others(path):
        try:
            differing = _differing(_settings_of(other), settings)
        except (ValueError, KeyError, TypeError) as error:
            differing = [f"unreadable: {_fault(error)}"]
        if differing:
            raise InvalidInputError(
                f"--overwrite with --shard begins one shard anew, and a folder holds the results of one batch, but "
                f"{str(other)!r} has other settings ({'; '.join(differing)}). Run --overwrite without --shard, or "
                "choose another folder with -o."
            )


def read_manifest(path: Path, settings: Mapping[str, Any] | None = None) -> dict[str, SceneRecord]:
    """The records of a manifest by the scenes' keys.

    Args:
        path: of the manifest; one that a process is writing to may be read.
        settings: when given, those of the manifest must be equal.

    Raises:
        InvalidInputError: when they differ, or the manifest is damaged.
    """
    records: dict[str, SceneRecord] = {}
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        try:
            if number == 1:
                theirs = _settings_in(line)
            else:
                entry = parse_json(line)
                key = checked("scene", entry["scene"], str)
                records[key] = after(records.get(key, SceneRecord()), entry)
        except (ValueError, KeyError, TypeError) as error:
            remedy = "Give --overwrite to begin anew"
            if number > 1:
                remedy = "Remove the line to have its scene run again, or give --overwrite to begin anew"
            raise InvalidInputError(
                f"Line {number} of the manifest {str(path)!r} is damaged ({_fault(error)}). {remedy}."
            ) from error
        if number == 1:
            _check_settings(path, theirs, settings)
    return records


def forget(folder: Path, shard: Shard | None) -> None:
    """Remove the manifest of a run that begins anew; without a shard those of all shards too.

    Raises:
        InvalidInputError: when another process works on one of them.
    """
    paths = folder.glob("manifest*.jsonl") if shard is None else [manifest_path(folder, shard)]
    for path in sorted(paths):
        if path.exists():
            with path.open("a+b") as file:
                _lock(file, path)
                path.unlink()


def write_lines(file: IO[bytes], entries: Iterable[Mapping[str, Any]]) -> None:
    """Append objects, one a line, and wait until they are on the disk."""
    file.write(b"".join(json.dumps(entry, ensure_ascii=False).encode("utf-8") + b"\n" for entry in entries))
    file.flush()
    os.fsync(file.fileno())


def _check_settings(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any] | None) -> None:
    """Raise InvalidInputError when settings differ."""
    if ours is None:
        return
    differing = _differing(theirs, ours)
    if differing:
        raise InvalidInputError(
            f"A folder holds the results of one batch, but the settings of that in {str(path.parent)!r} are others "
            f"({'; '.join(differing)}). Give the same, choose another folder with -o, or begin anew with --overwrite."
        )


def _differing(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """What is not the same, in words."""
    # As they look after a round trip through JSON, where tuples are lists.
    ours = json.loads(json.dumps(ours))
    names = [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]
    found = [f"{brief(name)[1:-1]}: {brief(theirs.get(name))} there, {brief(ours.get(name))} now" for name in names]
    return found if len(found) <= _MOST_DIFFERENCES else [*found[:_MOST_DIFFERENCES], "..."]


def _settings_in(line: bytes) -> Mapping[str, Any]:
    """The settings in the first line of a manifest.

    Raises:
        ValueError: it holds none.
        KeyError: likewise.
        TypeError: likewise.
    """
    settings: Mapping[str, Any] = checked("settings", parse_json(line)["settings"], Mapping)
    return settings


def _settings_of(path: Path) -> Mapping[str, Any]:
    """The settings of a manifest; errors are those of `_settings_in`."""
    with path.open("rb") as file:
        return _settings_in(file.readline())


def _fault(error: Exception) -> str:
    """What is wrong with a line."""
    return f"it has no {words_of(error)}" if isinstance(error, KeyError) else words_of(error)


def _others(path: Path) -> list[Path]:
    """The other manifests of a folder."""
    return [other for other in sorted(path.parent.glob("manifest*.jsonl")) if other != path]


def _lock(file: IO[bytes], path: Path) -> None:
    """Keep other processes from the manifest until it is closed, also by a kill."""
    try:
        import fcntl
    except ImportError:  # Windows has no such lock: two runs on one folder are not told apart there
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InvalidInputError(
            f"Another process works on the batch of {str(path)!r}. Wait for it, or choose another folder or --shard."
        ) from error


def _drop_cut_line(file: IO[bytes]) -> None:
    """Cut off what follows the last whole line: a kill came while it was written."""
    file.seek(0)
    content = file.read()
    file.truncate(content.rfind(b"\n") + 1)
    file.seek(0, os.SEEK_END)
