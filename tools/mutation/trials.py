"""Tries mutants against tests, each in a fork of a process that has loaded what takes long.

The tree is left as it is: a mutant is what its module is loaded from in the fork, and in nothing else.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import resource
import sys
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any

import pytest

KILLED, SURVIVED, ENDLESS = "killed", "survived", "endless"


@dataclass(frozen=True)
class Area:
    """What is changed, and what should notice.

    Args:
        files: that are changed, paths from the root of the repository.
        tests: files or folders of tests, likewise; no others are run.
        number: of mutants.
        loaded: modules that every fork needs and none changes.
    """

    files: tuple[str, ...]
    tests: tuple[str, ...]
    number: int
    loaded: tuple[str, ...] = ()

    def load(self) -> None:
        """Load what forks share; nothing of the package."""
        for name in ("numpy", "hypothesis", *self.loaded):
            importlib.import_module(name)
        assert not any(name.partition(".")[0] == "rs2sam" for name in sys.modules)


class _FromMemory(SourceFileLoader):
    """Loads a module from another source than its file's."""

    source = ""

    def get_code(self, fullname: str) -> types.CodeType:
        """The code of the mutant."""
        return compile(self.source, self.path, "exec", dont_inherit=True)


class _Finder:
    """Finds one module, and leaves the others to whoever comes next."""

    def __init__(self, module: str, path: Path, source: str) -> None:
        self.module, self.path, self.source = module, path, source

    def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
        """Where the mutant is loaded from."""
        if fullname != self.module:
            return None
        loader = _FromMemory(fullname, str(self.path))
        loader.source = self.source
        return importlib.util.spec_from_file_location(fullname, self.path, loader=loader)


class QuickFirst:
    """Tests with made-up inputs come last: most mutants end at one by hand before."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Sort; the order within both stays."""
        items.sort(key=lambda item: bool(getattr(getattr(item, "obj", None), "is_hypothesis_test", False)))


def module_of(file: str) -> str:
    """`src/rs2sam/raster/tiling.py` -> `rs2sam.raster.tiling`."""
    parts = Path(file).with_suffix("").parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def outcomes(root: Path, area: Area, sources: Sequence[tuple[str, str]]) -> Iterator[tuple[str, float]]:
    """What became of each change: (file, its source); with the seconds of processor time that it took.

    Raises:
        SystemExit: the tests fail without a change, or there are none.
    """
    status, usual = _try(root, area, None, limit_s=600)
    if status != 0:
        raise SystemExit(f"the tests {' '.join(area.tests)} do not pass without a change (exit code {status})")
    for change in sources:
        # A loop without an end takes processor time, however many others share the processor.
        status, seconds = _try(root, area, change, limit_s=int(10 + 4 * usual))
        if status == pytest.ExitCode.OK:
            yield SURVIVED, seconds
        elif status in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED):
            yield KILLED, seconds
        elif status < 0:
            yield ENDLESS, seconds
        else:
            raise SystemExit(f"pytest ended with {status} for a change in {change[0]}")


def _try(root: Path, area: Area, change: tuple[str, str] | None, limit_s: int) -> tuple[int, float]:
    """Exit code of the tests in a fork, negative for a signal, and its processor time."""
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        if change is not None:
            file, source = change
            sys.meta_path.insert(0, _Finder(module_of(file), root / file, source))
        # Plain: what is loaded already cannot be rewritten, which would be a warning, and nobody reads the values.
        options = ["-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "--timeout", "0", "--rootdir", str(root)]
        tests = [str(root / test) for test in area.tests]
        os._exit(int(pytest.main([*options, *tests], plugins=[QuickFirst()])))
    _, status, used = os.wait4(process, 0)
    return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
