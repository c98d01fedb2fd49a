"""The command line: one file a command, `commands` has their names, `context` and `scene` what they share."""

from __future__ import annotations

from rs2sam.cli.commands import main

__all__ = ["main"]
