"""`rs2sam --progress lines`: how far a run is, for the program that reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from click.testing import CliRunner

from rs2sam.cli import main
from tests.make_rasters import write_tiff


def progress_of(*words: str) -> list[str]:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    return [line for line in result.stderr.splitlines() if line.startswith("progress")]


def test_segment_says_every_view_and_batch_every_scene(tmp_path: Path) -> None:
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    rgb = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    for name in ("a", "b"):
        write_tiff(scenes / f"{name}.tif", rgb)
    words = ["segment", str(scenes / "a.tif"), "the water", "--tile", "32", "-o", str(tmp_path / "out")]
    lines = progress_of("--progress", "lines", *words)
    total = int(lines[0].partition("/")[2].split()[0])
    assert total > 1
    assert lines[-1] == f"progress: {total}/{total} views"
    batch = ["batch", str(scenes), "the water", "-o", str(tmp_path / "many"), "--json"]
    assert progress_of("--progress", "lines", *batch) == [
        "progress: 0/2 scenes",
        "progress: 1/1 views",
        "progress: 1/2 scenes",
        "progress: 1/1 views",
        "progress: 2/2 scenes",
    ]
    assert progress_of("-q", "--progress", "lines", *words, "--overwrite") == []
    assert progress_of(*words, "--overwrite") == []
