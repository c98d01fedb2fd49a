"""The example notebook runs, and what it shows was shown by running it."""

from __future__ import annotations

import json
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples" / "explore.ipynb"


def words(text: str) -> list[str]:
    """What was printed, without its numbers: other processors round otherwise."""
    return re.sub(r"[\d.,]+", "#", text).split()


def test_the_notebook_prints_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("folium")
    monkeypatch.chdir(tmp_path)
    cells = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    names: dict[str, Any] = {}
    for number, cell in enumerate(cells, start=1):
        printed = StringIO()
        with redirect_stdout(printed):
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
        shown = [output["text"] for output in cell["outputs"] if output.get("name") == "stdout"]
        assert words(printed.getvalue()) == words("".join("".join(text) for text in shown))
        assert cell["execution_count"] == number
    assert {path.name for path in tmp_path.iterdir()} == {"scene.tif", "tanks.tif", "tanks.gpkg", "tanks.html"}
