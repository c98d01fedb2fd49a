"""What can go wrong outside QGIS, each with a message for the user."""

from __future__ import annotations


class RunError(Exception):
    """rs2sam could not do what was asked; the message says the rule, what was received and what to do."""


class CanceledError(Exception):
    """The user stopped it."""
