"""What the documentation shows is run: Python as it stands, commands on small data; the other commands are read."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import shutil
from pathlib import Path
from textwrap import dedent
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from rs2sam.cli import main
from rs2sam.datasets.base import Sample
from rs2sam.datasets.readers.jsonl import write_jsonl
from tests.make_rasters import write_tiff

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)  # indented within a list


def blocks(language: str) -> list[tuple[str, str]]:
    """Name of page and line, and text, of every block of a language."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(text):
            if match[2] == language:
                found.append((f"{page.name}:{text.count(chr(10), 0, match.start()) + 1}", dedent(match[3])))
    return found


def commands() -> list[tuple[str, list[str]]]:
    """Name and words of every `rs2sam ...` in a block of commands; the line that shows the usage is left out."""
    found = []
    for name, text in blocks(""):
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True) if re.match(r"(\w+=\S+ )?rs2sam ", line) else []
            if words and "[options]" not in words:
                found.append((f"{name} {' '.join(words)[:60]}", words[words.index("rs2sam") + 1 :]))
    return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything that examples name."""
    monkeypatch.chdir(tmp_path)
    rgb = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    for name in ("scene.tif", "mosaic.vrt", "scenes/a.tif", "in/deep/a_rgb.tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_tiff(tmp_path / name, rgb, driver="GTiff")
    write_tiff(tmp_path / "sentinel2.tif", np.dstack([rgb, rgb[..., :1]]).astype(np.uint16) * 9)
    Image.fromarray(rgb).save(tmp_path / "photo.jpg")
    (tmp_path / "wanted.txt").write_text("the water\nall ships\n")
    mask = np.zeros((64, 96), bool)
    mask[:20, :20] = True
    random = np.random.default_rng(1)
    samples = [
        Sample(random.integers(0, 256, (64, 96, 3), np.uint8), "the pond", mask, f"{split}{number}", split=split)
        for number in (1, 2)
        for split in ("val", "train", "test")
    ]
    for name in ("DIR", "my-data", "folder", "set"):
        write_jsonl(samples, tmp_path / name)
    return tmp_path


# --- Python -----------------------------------------------------------------------------------------------------------

# What is gigabytes: of that the imports are run.
_TOO_LARGE = 'preset("large")'


@pytest.mark.parametrize(("name", "text"), blocks("python"), ids=[name for name, _ in blocks("python")])
def test_python_of_the_docs_runs_and_gives_what_it_says(place: Path, name: str, text: str) -> None:
    tree = ast.parse(text)
    if "load_export" in text or "from_pretrained" in text:
        pytest.importorskip("onnxscript")
        from tests.small_exports import small_export, small_folder

        shutil.copytree(small_export(), place / "out" / "compact")
        shutil.rmtree(place / "folder")
        shutil.copytree(small_folder(), place / "folder")
    if _TOO_LARGE in text:
        pytest.importorskip("torch")
        tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    scope: dict[str, Any] = {}
    lines = text.splitlines()
    for node in tree.body:
        code = ast.get_source_segment(text, node) or ""
        said = lines[node.end_lineno - 1][node.end_col_offset or 0 :] if node.end_lineno else ""
        if isinstance(node, ast.Expr):
            value = eval(code, scope)
            _compare(value, said, f"{name}: {code}")
        else:
            exec(compile(ast.Module([node], []), name, "exec"), scope)


def _compare(value: object, said: str, where: str) -> None:
    """Hold a value against the literal in the comment behind it, where there is one."""
    try:
        expected = ast.literal_eval(said.partition("#")[2].strip())
    except (ValueError, SyntaxError):
        return
    if isinstance(value, tuple | set):
        assert sorted(value) == sorted(expected), where
    else:
        assert value == expected, where


# --- commands ---------------------------------------------------------------------------------------------------------

RUN = ("segment", "batch", "models", "demo-scene", "data")
_ELSEWHERE = ("--engine", "--shard", "--source", "items.json")


def is_run(words: list[str]) -> bool:
    """Whether a command needs nothing but small files."""
    return words[0] in RUN and not any(word in words for word in _ELSEWHERE)


@pytest.mark.parametrize("words", [words for _, words in commands()], ids=[name for name, _ in commands()])
def test_commands_of_the_docs_are_read(place: Path, words: list[str]) -> None:
    """Every command, option and choice there is; what is cheap is run."""
    words = [word for word in words if word not in ("&&", "|")]
    command: click.Command | None = main
    context = click.Context(main, info_name="rs2sam")
    arguments = [word for word in words if word != "-q"]
    while isinstance(command, click.Group):
        command = command.get_command(context, arguments[0])
        assert command is not None, words
        arguments = arguments[1:]
    assert command is not None
    command.make_context(command.name, arguments, parent=context)


CHEAP = [(name, words) for name, words in commands() if is_run(words)]


@pytest.mark.parametrize("words", [words for _, words in CHEAP], ids=[name for name, _ in CHEAP])
def test_commands_of_the_docs_run(place: Path, words: list[str]) -> None:
    if words[0] == "demo-scene":
        (place / words[1]).unlink()
    if words[:2] == ["data", "synth"]:
        shutil.rmtree(place / "set")
        words = ["2" if word.isdigit() else word for word in words]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output


def test_the_first_example_of_the_readme_finds_the_water_of_the_projects_own_scene(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than half of it, and little else."""
    monkeypatch.chdir(tmp_path)
    made, asked = [words for name, words in commands() if name.startswith("README.md") and words[-1] != "compact"][:2]
    assert (made[0], asked[0]) == ("demo-scene", "segment")
    for words in (made, asked):
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, result.output
    import rasterio

    with rasterio.open(tmp_path / "out" / "scene_mask.tif") as dataset:
        mask = dataset.read(1) == 1
    with rasterio.open(tmp_path / "scene.tif") as dataset:
        dark = dataset.read().astype(int)
    assert 0.08 < mask.mean() < 0.3
    # The river lies in the lower half, and is darker and bluer than anything else of its size.
    assert mask[mask.shape[0] // 2 :].sum() > 0.95 * mask.sum()
    assert dark[:, mask].mean() < 0.7 * dark[:, ~mask].mean()


def test_modules_that_the_docs_name_are_there() -> None:
    for page in PAGES:
        for name in set(re.findall(r"`(rs2sam(?:\.\w+)+)", page.read_text(encoding="utf-8"))):
            parts = name.split(".")
            for count in range(len(parts), 0, -1):
                try:
                    value: Any = importlib.import_module(".".join(parts[:count]))
                except ImportError:
                    continue
                for part in parts[count:]:
                    value = getattr(value, part)
                break
