"""The folder in which cases run, and what they leave in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from fuzz.contract import Box, WrongResultError

_FOREIGN = {".ses"}
"""Files that libraries make for themselves: ONNX Runtime's, in the folder of temporary files."""
_FOREIGN_FOLDER = "torchinductor_"
"""How the name of torch's folder in that of temporary files begins; it stays empty."""
_UNFINISHED = (".part", ".partial", ".tmp", ".lock", ".journal")


class Sandbox:
    """A folder with places for input, results, temporary files, the home and the current folder of a process.

    Args:
        root: the folder.
        models: those of `standin`.
        writes_here: whether the current folder may be where results go.
    """

    def __init__(self, root: Path, models: Path, *, writes_here: bool) -> None:
        self._root = root
        self._models = models
        self._writes_here = writes_here
        for name in ("tmp", "home", "cwd"):
            (root / name).mkdir(parents=True, exist_ok=True)

    @property
    def cwd(self) -> Path:
        """The current folder of the process."""
        return self._root / "cwd"

    def fresh(self) -> Box:
        """Empty folders for a case; results lie deep, so that `..` stays in here."""
        case = self._root / "case"
        shutil.rmtree(case, ignore_errors=True)
        box = Box(case / "a" / "b" / "in", case / "a" / "b" / "out", self._models)
        box.inputs.mkdir(parents=True)
        for name in ("tmp", "cwd", "home"):
            _empty(self._root / name)
        return box

    def remember(self) -> None:
        """Note what there is before rs2sam is at work."""
        self._before = dict(_files(self._root))

    def check(self, box: Box, *, has_result: bool) -> None:
        """Raise WrongResultError for whatever a case left or changed that is no result of it."""
        after = dict(_files(self._root))
        inside = f"{box.out}{os.sep}"
        places = (inside, f"{self.cwd}{os.sep}") if self._writes_here else (inside,)
        results = {path for path in after if path.startswith(places) or path == str(box.out)}
        results.discard(f"{self.cwd}{os.sep}")  # the folder itself is there for every case
        home = f"{self._root / 'home'}{os.sep}"
        others = {path for path in after if path not in results and not path.startswith(home)}
        before = {path for path in self._before if not path.startswith((home, inside))}
        changed = [path for path in others & before if after[path] != self._before[path]]
        problems = {
            "left behind": others - before,
            "removed": before - others,
            "changed": changed,
            "unfinished": [path for path in results if _is_unfinished(os.path.relpath(path, self._root))],
            "results of a refusal": () if has_result else {path for path in results if path not in self._before},
        }
        for what, paths in problems.items():
            if paths:
                raise WrongResultError(
                    f"{what}: {', '.join(sorted(os.path.relpath(p, self._root) for p in paths)[:5])}"
                )


def _is_unfinished(name: str) -> bool:
    """Whether a path among results is of a file that was not finished."""
    return any(part.startswith(".") or part.endswith(_UNFINISHED) for part in name.split(os.sep))


def _files(root: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Path, size and time of change of every file; path of every folder, with a separator at its end."""
    for folder, folders, names in os.walk(root):
        yield from (
            (os.path.join(folder, name, ""), (0, 0)) for name in folders if not name.startswith(_FOREIGN_FOLDER)
        )
        for name in set(names) - _FOREIGN:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            yield path, (status.st_size, status.st_mtime_ns)


def _empty(folder: Path) -> None:
    """Remove everything in a folder."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
