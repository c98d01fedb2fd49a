"""Completion as a person has it: keys are typed into a real shell, and what the shell then runs is looked at."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from rs2sam.cli import main
from rs2sam.cli.commands import COMMANDS
from rs2sam.cli.shell.completion import NAME, VARIABLE

_SECONDS = 60
_PROMPT = "ready>"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an image and results, and a `rs2sam` that completes, and else says what it was given."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / NAME
    program.write_text(
        f'#!/bin/sh\n[ "${VARIABLE}" ] || [ "$1" = completion ] && exec {sys.executable} -m rs2sam "$@"\n'
        'printf "GOT:%s:\\n" "$*"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    work = tmp_path / "work"
    work.mkdir()
    (work / "scene.tif").touch()
    (work / "results").mkdir()
    return work


@contextmanager
def shell(place: Path, *command: str) -> Iterator[int]:
    """The terminal of an interactive shell; it is ended afterwards."""
    keyboard, terminal = pty.openpty()
    env = {**os.environ, "PS1": _PROMPT, "TERM": "dumb", "HISTFILE": "/dev/null"}
    how = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
    running = subprocess.Popen([*command], cwd=place, env=env, start_new_session=True, **how)  # type: ignore[call-overload]
    os.close(terminal)
    try:
        yield keyboard
    finally:
        running.kill()
        running.wait()
        os.close(keyboard)


def read_until(keyboard: int, wanted: str) -> str:
    """What the shell shows, up to some text."""
    shown = ""
    deadline = time.monotonic() + _SECONDS
    while wanted not in shown:
        assert time.monotonic() < deadline, f"{wanted!r} is not in {shown!r}"
        if select.select([keyboard], [], [], 0.5)[0]:
            shown += os.read(keyboard, 4096).decode(errors="replace")
    return shown


# What is typed, tabs included, and what is run then.
TYPED = [
    ("rs2sam seg\tsce\t'the water' -o res\t\n", "segment scene.tif the water -o results/"),
    ("rs2sam data che\tres\t --mod\tcom\t\n", "data check results/ --model compact"),
]


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_commands_options_models_and_files(place: Path) -> None:
    with shell(place, "bash", "--norc", "--noprofile", "-i") as keyboard:
        read_until(keyboard, _PROMPT)
        os.write(keyboard, b'eval "$(rs2sam completion bash)"; echo DO""NE\n')
        read_until(keyboard, "DONE")
        for typed, run in TYPED:
            os.write(keyboard, typed.encode())
            assert f"GOT:{run}:" in read_until(keyboard, ":\r\n")


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_completes_commands_options_models_and_files(place: Path) -> None:
    with shell(place, "zsh", "-f", "-i") as keyboard:
        # A slash that completion wrote goes again before the next word.
        os.write(keyboard, b'autoload -Uz compinit; compinit -u; eval "$(rs2sam completion zsh)"; echo DO""NE\n')
        read_until(keyboard, "DONE")
        for typed, run in TYPED:
            os.write(keyboard, typed.encode())
            assert f"GOT:{run.replace('results/', 'results')}:" in read_until(keyboard, ":\r\n")


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_commands_options_models_and_files(place: Path) -> None:
    for line, offered in [
        ("rs2sam seg", "segment"),
        ("rs2sam segment sce", "scene.tif"),
        ("rs2sam segment --mod", "--model"),
        ("rs2sam segment --model com", "compact"),
    ]:
        script = f"rs2sam completion fish | source; complete --do-complete '{line}'"
        done = subprocess.run(["fish", "--no-config", "-c", script], cwd=place, capture_output=True, text=True)
        assert offered in [answer.partition("\t")[0] for answer in done.stdout.splitlines()], done


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_script_asks_the_program_as_click_answers(name: str) -> None:
    result = CliRunner().invoke(main, ["completion", name])
    assert result.exit_code == 0
    assert f"{VARIABLE}={name}_complete" in result.output


def test_a_shell_of_another_name_is_wrong_usage() -> None:
    result = CliRunner().invoke(main, ["completion", "tcsh"])
    assert result.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in result.output


def completed(*words: str) -> list[tuple[str, str]]:
    """Kind and value of what is offered for the last word."""
    found = ShellComplete(main, {}, NAME, VARIABLE).get_completions(list(words[:-1]), words[-1])
    return [(item.type, item.value) for item in found]


def test_all_commands_are_offered_with_their_line_of_help() -> None:
    found = ShellComplete(main, {}, NAME, VARIABLE).get_completions([], "")
    assert {item.value: item.help for item in found} == {name: line for name, (_, line) in COMMANDS.items()}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("--prog",), [("plain", "--progress")]),
        (("segment", "x.tif", "the roofs", "-o", "r"), [("dir", "r")]),
        (("segment", "x.tif", "the roofs", "--sentences", "w"), [("file", "w")]),
        (("segment", "x.tif", "the r"), []),
        (("segment", "x.tif", "a", "--format", "g"), [("plain", "gpkg"), ("plain", "geojson")]),
        (("evaluate", "--model", "ref"), [("plain", "refsegrs")]),
        (("evaluate", "--model", "../my-"), [("dir", "../my-")]),
        (("serve", "--token-file", "/run/"), [("file", "/run/")]),
    ],
)
def test_values_are_completed_by_what_they_are(words: tuple[str, ...], offered: list[tuple[str, str]]) -> None:
    assert completed(*words) == offered


def test_a_path_is_taken_as_it_was_written(tmp_path: Path) -> None:
    """Whether anything is there is decided by the command, not by the type that completes."""
    command = main.get_command(click.Context(main), "segment")
    assert command is not None
    context = command.make_context("segment", ["a.tif", "x", "-o", str(tmp_path / "gone"), "--sentences", "gone.txt"])
    assert (context.params["folder"], context.params["sentences_file"]) == (tmp_path / "gone", Path("gone.txt"))
