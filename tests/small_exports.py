"""One ONNX export of the small model for all tests that read one; making it costs more than all of them."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from pathlib import Path

from click.testing import CliRunner

from tests.small_model import write_small_model


@functools.cache
def small_folder() -> Path:
    """A model folder without a graph; its windows tile every map, as those of `large` and `compact` do."""
    return write_small_model(temporary_folder() / "model", trunk_windows=(4, 2, 4, 2))


@functools.cache
def small_export() -> Path:
    """The same model exported to ONNX with free sizes, by the command; read only."""
    from rs2sam.cli import main

    out = temporary_folder() / "onnx"
    result = CliRunner().invoke(main, ["export", str(small_folder()), str(out), "--to", "onnx", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["outputs"][0] == "low_res_logits"
    (out.parent / "said.txt").write_text(result.stderr, encoding="utf-8")
    return out


def said_by_export() -> list[str]:
    """What the command said on stderr as it made `small_export`."""
    return (small_export().parent / "said.txt").read_text(encoding="utf-8").splitlines()


def temporary_folder() -> Path:
    """A folder that is gone when the tests are over."""
    folder = tempfile.mkdtemp(prefix="rs2sam-tests-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
