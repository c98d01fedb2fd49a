"""What a command knows of `rs2sam` itself, whose options stand before the command's name."""

from __future__ import annotations

import click


def is_quiet(ctx: click.Context) -> bool:
    """Whether `rs2sam --quiet` was asked for; a command that is called by itself is not quiet."""
    return bool((ctx.obj or {}).get("quiet"))


def says_progress_in_lines(ctx: click.Context) -> bool:
    """Whether `rs2sam --progress lines` was asked for, and no quiet."""
    return (ctx.obj or {}).get("progress") == "lines" and not is_quiet(ctx)


def say_progress(done: int, total: int, unit: str) -> None:
    """One line on stderr for a program that runs this one, e.g. `progress: 3/20 views`."""
    click.echo(f"progress: {done}/{total} {unit}", err=True)
