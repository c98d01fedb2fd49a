"""What a shell may complete as the value of an option or an argument; nothing here decides what is accepted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    _ToPath = click.ParamType[Path]
else:
    # Generic only in newer releases of click than the lowest that is allowed.
    _ToPath = click.ParamType


class PathType(_ToPath):
    """A path as it was written, whether anything is there or not.

    Args:
        kind: what a shell completes: `file` (and folders on the way) or `dir`.
    """

    name = "path"

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The value as a path."""
        return Path(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Leave it to the shell, which knows its files best."""
        return [CompletionItem(incomplete, type=self.kind)]


FILE = PathType("file")
FOLDER = PathType("dir")


def complete_file(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files, for what may be a file or something else, such as an address."""
    return [CompletionItem(incomplete, type="file")]


def complete_model(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the known models; folders where none begins so."""
    from rs2sam.models.weights.hub import KNOWN_MODELS

    names = [CompletionItem(name) for name in KNOWN_MODELS if name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="dir")]
