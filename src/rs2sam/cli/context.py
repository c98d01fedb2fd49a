"""What a command knows of `rs2sam` itself, whose options stand before the command's name."""

from __future__ import annotations

import click


def is_quiet(ctx: click.Context) -> bool:
    """Whether `rs2sam --quiet` was asked for; a command that is called by itself is not quiet."""
    return bool((ctx.obj or {}).get("quiet"))
