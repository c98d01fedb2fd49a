"""Checkpoints that are whole or not there, whatever stops the process that writes them.

Trainer writes a checkpoint file by file into the folder where it is later looked for. Here it is written under another
name, brought to the disk, and renamed in one step; a list of its files and their sizes goes in last. What a kill leaves
under the other name is swept away when the run continues.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from pathlib import Path
from typing import Any

from rs2sam.fields import parse_json

logger = logging.getLogger(__name__)

STAGING = "tmp-checkpoint"
"""Start of the names of folders that are being written or deleted."""
MANIFEST = "complete.json"
_NAME = re.compile(r"checkpoint-(\d+)")
# What Trainer writes itself, the state last: checkpoints from before there was a manifest.
_STATE = "trainer_state.json"
_PARTS = ("optimizer.pt", "scheduler.pt", _STATE)


def checkpoint_step(folder: Path) -> int:
    """The step that a checkpoint's name tells."""
    match = _NAME.fullmatch(folder.name)
    assert match is not None
    return int(match.group(1))


def complete_checkpoints(output_dir: Path) -> list[Path]:
    """The checkpoints of a run of which every file is there, oldest first."""
    return [folder for folder in _all_checkpoints(output_dir) if is_complete(folder)]


def last_complete_checkpoint(output_dir: Path) -> Path | None:
    """The newest checkpoint of a run of which every file is there, or None."""
    return next(reversed(complete_checkpoints(output_dir)), None)


def is_complete(folder: Path) -> bool:
    """Whether every file of a checkpoint is there in its full size."""
    manifest = read_manifest(folder)
    if manifest is not None:
        return _sizes(folder) == manifest["files"]
    return all((folder / name).is_file() for name in _PARTS) and _read_json(folder / _STATE) is not None


def num_processes_of(folder: Path) -> int | None:
    """How many processes wrote a checkpoint; None where it does not say."""
    manifest = read_manifest(folder)
    return None if manifest is None else int(manifest["processes"])


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """What was written last into a checkpoint; None where it is not there or damaged."""
    values = _read_json(folder / MANIFEST)
    return values if values is not None and {"files", "processes"} <= set(values) else None


def publish(staged: Path, final: Path, num_processes: int) -> None:
    """Give a checkpoint its manifest, bring it to the disk, and rename it to what it is looked for as.

    Args:
        staged: folder with all files, on the file system of `final`.
        final: `OUTPUT/checkpoint-STEP`; an incomplete one of that name makes room.
        num_processes: that took part in the run.
    """
    manifest = {"processes": num_processes, "files": _sizes(staged)}
    (staged / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    sync_tree(staged)
    if final.exists():
        delete_checkpoint(final)
    os.replace(staged, final)
    _sync(final.parent)


def delete_checkpoint(folder: Path) -> None:
    """Delete a checkpoint; a kill on the way leaves none that looks whole."""
    aside = folder.with_name(f"{STAGING}-old-{checkpoint_step(folder)}")
    shutil.rmtree(aside, ignore_errors=True)
    os.replace(folder, aside)
    shutil.rmtree(aside, ignore_errors=True)


def keep_newest(output_dir: Path, count: int) -> None:
    """Delete all but the newest complete checkpoints."""
    for folder in complete_checkpoints(output_dir)[:-count]:
        delete_checkpoint(folder)


def sweep(output_dir: Path) -> None:
    """Delete the folders that a killed process left half written or half deleted; say which checkpoints lack files."""
    for leftover in output_dir.glob(f"{STAGING}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    for folder in _all_checkpoints(output_dir):
        if not is_complete(folder):
            logger.warning("`%s` lacks files, so no run can continue from it; delete it", folder)


def write_text(path: Path, text: str) -> None:
    """Write a file that is whole or not there."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    _sync(temporary)
    os.replace(temporary, path)


def sync_tree(folder: Path) -> None:
    """Wait until all files of a folder are on the disk, so that a power cut does not undo what a rename promises."""
    for path in (*folder.rglob("*"), folder):
        _sync(path)


def _all_checkpoints(output_dir: Path) -> list[Path]:
    """Folders named as checkpoints, by step."""
    found = [path for path in output_dir.glob("checkpoint-*") if path.is_dir() and _NAME.fullmatch(path.name)]
    return sorted(found, key=checkpoint_step)


def _sizes(folder: Path) -> dict[str, int]:
    """Size of every file of a checkpoint [bytes], the manifest excepted."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MANIFEST]
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object; None where the file is missing or damaged."""
    try:
        values = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def _sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    if os.name == "nt":  # no handle of a folder, and none for reading that could be waited for
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
