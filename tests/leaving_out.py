"""`pytest --installed`: an installation without some extras runs the tests that it can, and says what it left out.

A file of tests whose imports end at a library of an extra is skipped as a whole, and so is a test that ends with one
missing, be it that an import fails or that rs2sam says which extra it needs. What the base install brings is never
taken as missing, and a command that ends so is a failure: its tests look at exit codes.
"""

from __future__ import annotations

from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path

import pytest

from rs2sam.errors import MissingDependencyError

BASE = {"click", "numpy", "onnxruntime", "PIL", "rasterio", "rs2sam", "sentencepiece", "shapely", "tests", "tqdm"}

# Folders whose conftest needs a library, which pytest reads before it can be skipped.
FOLDERS = {"serve": "fastapi"}


class Module(pytest.Module):
    """A file of tests that may need more than is installed."""

    def _getobj(self) -> object:
        try:
            return super()._getobj()
        except self.CollectError as error:
            missing = _missing(error.__cause__)
            if missing is None:
                raise
            pytest.skip(f"needs {missing}", allow_module_level=True)


def _missing(error: BaseException | None) -> str | None:
    """The library of an extra whose absence ended something; None for every other end."""
    if isinstance(error, MissingDependencyError):
        library = error.library
    elif isinstance(error, ModuleNotFoundError) and error.name:
        library = error.name.partition(".")[0]
    else:
        return None
    return None if library in BASE or find_spec(library) is not None else library


class LeavingOut:
    """Hooks of `--installed`."""

    def pytest_pycollect_makemodule(self, module_path: Path, parent: pytest.Collector) -> pytest.Module:
        """Collect a file as one that may be left out."""
        module: pytest.Module = Module.from_parent(parent, path=module_path)
        return module

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Leave out folders that cannot be read at all."""
        if collection_path.parent.name == "tests" and collection_path.name in FOLDERS:
            return True if find_spec(FOLDERS[collection_path.name]) is None else None
        return None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        """Skip a test whose fixtures need more than is installed."""
        return (yield from _skipping())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        """Skip a test that needs more than is installed."""
        return (yield from _skipping())


def _skipping() -> Generator[None, object, object]:
    """Run what a hook wraps, and skip where a library of an extra is missing."""
    try:
        return (yield)
    except ImportError as error:
        missing = _missing(error)
        if missing is None:
            raise
        pytest.skip(f"needs {missing}")
