"""What the documentation shows is run: Python as it stands, commands on small data; the other commands are read."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from textwrap import dedent
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from rs2sam.cli import main
from rs2sam.cli.commands import COMMANDS
from rs2sam.datasets.base import Sample
from rs2sam.datasets.readers.jsonl import write_jsonl
from rs2sam.datasets.synthetic.showcase import showcase
from tests.make_rasters import write_tiff
from tests.serve.live import server

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)  # indented within a list


def blocks(language: str) -> list[tuple[str, str]]:
    """Name of page and line, and text, of every block of a language."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(text):
            if match[2] == language:
                name = page.relative_to(DOCS) if page.is_relative_to(DOCS) else page.name
                found.append((f"{name}:{text.count(chr(10), 0, match.start()) + 1}", dedent(match[3])))
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
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
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
    if "rs2sam.client" in text:
        with server(place / "state") as url:
            _run_python(name, text.replace(SERVICE, url))
        return
    if _TOO_LARGE in text:
        pytest.importorskip("torch")
        tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    _run_python(name, text, tree)


def _run_python(name: str, text: str, tree: ast.Module | None = None) -> None:
    """Run statements one after another, and hold values against what is said of them."""
    tree = tree or ast.parse(text)
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


# --- the service ------------------------------------------------------------------------------------------------------

SERVICE = "http://127.0.0.1:8008"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_requests_of_the_docs_are_answered(place: Path) -> None:
    """Every `curl` of the page succeeds and leaves the files that it names."""
    scripts = [text for name, text in blocks("bash") if name.startswith("serve.md")]
    assert len(scripts) == 3
    with server(place / "state") as url:
        for text in scripts:
            script = text.replace(SERVICE, url).replace("curl -s", "curl -sf")
            result = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", script], capture_output=True, text=True)
            assert result.returncode == 0, script + result.stderr
            for made in re.findall(r"-o (\S+)", text):
                assert (place / made).stat().st_size > 0


# --- commands ---------------------------------------------------------------------------------------------------------

# Words that need a command which this version may not have.
_NEEDS = {"refine": "refine", "--keep-probabilities": "refine", "serve": "serve", "--server": "serve"}


def skip_unless_here(words: list[str]) -> None:
    """Skip what names a command that is not part of this version."""
    absent = {_NEEDS[word] for word in words if word in _NEEDS} - set(COMMANDS)
    if absent:
        pytest.skip(f"there is no `rs2sam {absent.pop()}`")


RUN = ("segment", "batch", "models", "demo-scene", "data")
_ELSEWHERE = ("--engine", "--shard", "--source", "items.json", "--server")


def is_run(words: list[str]) -> bool:
    """Whether a command needs nothing but small files."""
    return words[0] in RUN and not any(word in words for word in _ELSEWHERE)


@pytest.mark.parametrize("words", [words for _, words in commands()], ids=[name for name, _ in commands()])
def test_commands_of_the_docs_are_read(place: Path, words: list[str]) -> None:
    """Every command, option and choice there is; what is cheap is run."""
    skip_unless_here(words)
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


# Pages whose commands build on each other; the slow ones train.
FROM_TOP_TO_BOTTOM = ["start.md", "tutorials/qgis.md", "tutorials/many-scenes.md", "tutorials/refine.md"]
SLOW_FROM_TOP_TO_BOTTOM = ["tutorials/fine-tune.md"]

CHEAP = [
    (name, words)
    for name, words in commands()
    if is_run(words) and name.partition(":")[0] not in FROM_TOP_TO_BOTTOM + SLOW_FROM_TOP_TO_BOTTOM
]


@pytest.mark.parametrize("words", [words for _, words in CHEAP], ids=[name for name, _ in CHEAP])
def test_commands_of_the_docs_run(place: Path, words: list[str]) -> None:
    skip_unless_here(words)
    if words[0] == "demo-scene":
        (place / words[1]).unlink()
    if words[:2] == ["data", "synth"]:
        shutil.rmtree(place / "set")
        words = ["2" if word.isdigit() else word for word in words]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    "page", [*FROM_TOP_TO_BOTTOM, *(pytest.param(page, marks=pytest.mark.slow) for page in SLOW_FROM_TOP_TO_BOTTOM)]
)
def test_a_tutorial_works_from_top_to_bottom(place: Path, page: str) -> None:
    """Every command in the order of the page, in one folder; only setting up the environment is left out."""
    for made in ("scenes", "set"):  # by the pages themselves
        shutil.rmtree(place / made)
    if page == "start.md":
        (place / "scene.tif").unlink()
    num_run = 0
    for name, text in blocks(""):
        for line in text.splitlines() if name.startswith(f"{page}:") else ():
            words = shlex.split(line, comments=True)
            if words[:1] == ["mkdir"]:
                (place / words[1]).mkdir()
            elif words[:1] == ["rs2sam"]:
                skip_unless_here(words)
                result = CliRunner().invoke(main, words[1:])
                assert result.exit_code == 0, f"{line}\n{result.output}"
                num_run += 1
            else:
                assert line.startswith(("python -m venv", ". sam/bin", "pip install")), f"{name}: {line}"
    assert num_run


def test_links_lead_to_pages_and_files_that_are_there() -> None:
    """As on GitHub; the site is built strictly by `make docs`."""
    missing = []
    for page in PAGES:
        text = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)\s#]+)[^)\s]*\)", text):
            if "://" in target:
                continue
            made = (page.parent / target).resolve() == DOCS / "benchmarks.md"  # tools/docs_site.py
            if not made and not (page.parent / target).exists():
                missing.append(f"{page.name}: {target}")
    assert missing == []


def test_the_first_example_of_the_readme_finds_the_tanks_of_the_projects_own_scene(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most of every one of them, and little else: what any good model does, for which pixels depends on the weights."""
    monkeypatch.chdir(tmp_path)
    made, asked = [words for name, words in commands() if name.startswith("README.md") and words[-1] != "compact"][:2]
    assert (made[0], asked[0], asked[2]) == ("demo-scene", "segment", "the storage tanks")
    for words in (made, asked):
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, result.output
    import rasterio

    with rasterio.open(tmp_path / "out" / "scene_mask.tif") as dataset:
        mask = dataset.read(1) == 1
    scene = showcase()
    tanks = scene.of("storage_tank")
    found = [mask[y0:y1, x0:x1][one.mask].mean() for one in tanks for x0, y0, x1, y1 in [one.box_xyxy]]
    assert len(tanks) > 10
    assert np.mean(np.array(found) > 0.5) > 0.75
    assert (mask & scene.union(tanks)).sum() > 0.75 * mask.sum()


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


def test_the_index_of_benchmarks_names_scripts_that_are_there_and_every_result() -> None:
    index = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    scripts = re.findall(r"python -m ([\w.]+)", index)
    missing = [name for name in scripts if not (ROOT / f"{name.replace('.', '/')}.py").is_file()]
    assert scripts
    assert missing == []
    unnamed = [path.name for path in (ROOT / "benchmarks" / "results").glob("*.json") if path.name not in index]
    assert unnamed == []
