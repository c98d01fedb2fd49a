"""Paths as values of options and arguments, and what a shell may complete as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from rs2sam.fields import a_place


class PathType(click.Path):
    """A path as it was written; every one that the command line takes goes through here.

    Args:
        kind: what a shell completes: `file` (and folders on the way) or `dir`.
        checks: what has to hold of what is there, as for `click.Path`.
    """

    def __init__(self, kind: str, **checks: bool) -> None:
        super().__init__(path_type=Path, **{"readable": False, **checks})
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The value as a path that the system can look up."""
        name = "path" if param is None else param.opts[-1] if param.param_type_name == "option" else _shown(param)
        return a_place(name, super().convert(a_place(name, value), param, ctx))

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Leave it to the shell, which knows its files best."""
        return [CompletionItem(incomplete, type=self.kind)]


FILE = PathType("file")
FOLDER = PathType("dir")
READABLE = PathType("file", readable=True)
EXISTING_FILE = PathType("file", readable=True, exists=True, dir_okay=False)
OUTPUT_FILE = PathType("file", dir_okay=False)
OUTPUT_FOLDER = PathType("dir", file_okay=False)


def _shown(argument: click.Parameter) -> str:
    """An argument as the help has it."""
    return argument.metavar or argument.human_readable_name


def complete_file(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files, for what may be a file or something else, such as an address."""
    return [CompletionItem(incomplete, type="file")]


def complete_model(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the known models; folders where none begins so."""
    from rs2sam.models.weights.hub import KNOWN_MODELS

    names = [CompletionItem(name) for name in KNOWN_MODELS if name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="dir")]
