from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner
from PIL import Image

from rs2sam.cli import main
from rs2sam.cli.commands import COMMANDS
from rs2sam.cli.shell.completing import PathType
from rs2sam.errors import InvalidInputError


@pytest.fixture
def failing(monkeypatch):
    """A command `fail` that raises what a test puts into it."""
    raised: list[BaseException] = []

    @click.command()
    def fail() -> None:
        raise raised[0]

    monkeypatch.setitem(COMMANDS, "fail", (__name__, "Fail."))
    monkeypatch.setattr(sys.modules[__name__], "fail", fail, raising=False)
    return raised


def test_help_lists_the_commands_and_exit_codes():
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for word in [*COMMANDS, "Exit codes", "130"]:
        assert word in result.output


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_line_of_help_is_that_of_the_command_itself(name):
    module, line = COMMANDS[name]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not written yet")
    command = main.get_command(click.Context(main), name)
    assert command.name == name
    assert line == (command.help or "").strip().partition("\n\n")[0].replace("\n", " ").strip()


def test_version_is_told():
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("rs2sam, version ")


def test_unknown_command_is_wrong_usage():
    result = CliRunner().invoke(main, ["segmnet"])
    assert result.exit_code == 2
    assert "segmnet" in result.stderr


def test_known_error_is_one_line_and_exit_code_1(failing):
    failing.append(InvalidInputError("the rule, what was received, what to do"))
    result = CliRunner().invoke(main, ["fail"])
    assert result.exit_code == 1
    assert result.stderr == "error: the rule, what was received, what to do\n"
    assert result.stdout == ""


def test_traceback_is_shown_when_everything_is_asked_for(failing):
    failing.append(InvalidInputError("rule"))
    result = CliRunner().invoke(main, ["-vv", "fail"])
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("error: rule\n")


def test_interruption_is_exit_code_130(failing):
    failing.append(KeyboardInterrupt())
    result = CliRunner().invoke(main, ["fail"])
    assert result.exit_code == 130
    assert result.stderr == "interrupted\n"


def test_a_bug_of_our_own_is_not_hidden(failing):
    failing.append(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        CliRunner().invoke(main, ["fail"], catch_exceptions=False)


def test_what_gdal_says_that_is_no_utf8_is_no_traceback(monkeypatch, capsys):
    """rasterio's log cannot decode it, and Python prints what cannot be raised."""
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    CliRunner().invoke(main, ["models"])
    event = SimpleNamespace(
        object="rasterio._env.log_error", exc_value=UnicodeDecodeError("utf-8", b"\x80", 0, 1, "bad")
    )
    sys.unraisablehook(event)
    assert seen == []
    other = SimpleNamespace(object="something else", exc_value=ValueError())
    sys.unraisablehook(other)
    assert seen == [other]


def test_what_rasterio_shows_without_a_frame_is_no_traceback(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "excepthook", lambda *what: seen.append(what))
    CliRunner().invoke(main, ["models"])
    error = UnicodeDecodeError("utf-8", b"\x80", 0, 1, "bad")
    sys.excepthook(UnicodeDecodeError, error, None)
    assert seen == []
    sys.excepthook(ValueError, ValueError(), None)
    assert len(seen) == 1


def all_commands(group: click.Group) -> Iterator[click.Command]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from all_commands(command)
        elif command is not None:
            yield command


def test_every_path_of_the_command_line_is_looked_up_before_it_is_used():
    kinds = [parameter.type for command in all_commands(main) for parameter in command.params]
    paths = [kind for kind in kinds if isinstance(kind, click.Path)]
    assert len(paths) > 20
    assert all(isinstance(kind, PathType) for kind in paths)


@pytest.mark.parametrize(
    "words",
    [
        ("segment", "LONG", "the roofs", "-o", "out"),
        ("segment", "list.txt", "the roofs", "-o", "LONG"),
        ("segment", "list.txt", "the roofs", "-o", "out", "--model", "LONG"),
        ("segment", "list.txt", "-o", "out", "--sentences", "LONG"),
        ("batch", "LONG", "the roofs", "-o", "out"),
        ("batch", "LONG", "the roofs", "-o", "out", "--pattern", "*.tif"),
        ("refine", "LONG", "-o", "out"),
        ("convert", "LONG", "out"),
        ("convert", "list.txt", "LONG"),
        ("export", "LONG", "out", "--to", "onnx"),
        ("benchmark", "compact", "--image", "LONG"),
        ("benchmark", "compact", "--json", "LONG"),
        ("demo-scene", "LONG"),
        ("evaluate", "--dataset", "LONG"),
        ("evaluate", "--dataset", "auto", "--root", "LONG"),
        ("evaluate", "--root", "set", "-o", "LONG"),
        ("compare", "LONG", "list.txt"),
        ("train", "LONG", "-o", "out"),
        ("ablate", "LONG"),
        ("data", "check", "LONG"),
        ("data", "check", "set", "--model", "LONG"),
        ("data", "convert", "LONG", "out"),
        ("data", "show", "set", "LONG.png"),
        ("data", "synth", "1", "LONG", "--side", "64"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("name", ["x" * 300, "gone/" + "x" * 300, "x" * 5000, "circle/x", "list.txt/x"])
def test_a_name_that_no_file_has_is_one_line_and_leaves_nothing(words, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("list.txt").write_text("the roofs\n")
    Path("circle").symlink_to("circle")
    Path("set").mkdir()
    Image.new("RGB", (8, 8)).save("set/a.png")
    Path("set", "a.jsonl").write_text(
        '{"image": "a.png", "sentence": "the roofs", "segmentation": {"size": [8, 8], "counts": [0, 64]}}\n'
    )
    before = sorted(tmp_path.rglob("*"))
    result = CliRunner().invoke(main, [word.replace("LONG", name) for word in words])
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in (1, 2)
    assert len([line for line in result.stderr.splitlines() if line.lower().startswith("error: ")]) == 1
    assert sorted(tmp_path.rglob("*")) == before
