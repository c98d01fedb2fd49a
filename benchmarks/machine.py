"""The machine that a figure was read on, for the scripts of this folder."""

from __future__ import annotations

from rs2sam.benchmarking.machine import describe_machine

__all__ = ["describe_machine"]
