"""What the user has set: how rs2sam is run."""

from __future__ import annotations

import os
from dataclasses import dataclass

from qgis.core import QgsSettings

ICON = os.path.join(os.path.dirname(__file__), "icon.svg")
_KEY = "rs2sam"


@dataclass
class Settings:
    """How rs2sam is run.

    Args:
        through_server: over a running server; otherwise as a program.
        program: path of rs2sam, or a command line; empty: `rs2sam` of the PATH.
        model: of the program; empty: its own default.
        server: address of `rs2sam serve`.
        token: that the server may demand.
    """

    through_server: bool = False
    program: str = ""
    model: str = ""
    server: str = "http://127.0.0.1:8008"
    token: str = ""

    @classmethod
    def load(cls) -> Settings:
        """As they are now."""
        stored, usual = QgsSettings(), cls()
        return cls(
            through_server=stored.value(f"{_KEY}/through_server", usual.through_server, type=bool),
            **{
                name: stored.value(f"{_KEY}/{name}", getattr(usual, name), type=str)
                for name in ("program", "model", "server", "token")
            },
        )

    def save(self) -> None:
        """Keep them for the next time."""
        stored = QgsSettings()
        for name, value in vars(self).items():
            stored.setValue(f"{_KEY}/{name}", value)
