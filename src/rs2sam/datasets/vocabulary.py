"""Names of what the project knows to look for: categories, colours."""

from __future__ import annotations

CATEGORIES: tuple[str, ...] = (
    "airplane",
    "ship",
    "storage_tank",
    "baseball_diamond",
    "tennis_court",
    "basketball_court",
    "ground_track_field",
    "harbor",
    "bridge",
    "vehicle",
    "building",
    "swimming_pool",
    "road",
    "water",
    "vegetation",
    "land",
    "field",
    "tree",
)
"""Every category of every source, in the order of the semantic label stack. Append only: weights depend on it."""

COLOURS: tuple[str, ...] = ("white", "black", "grey", "red", "blue", "green", "brown", "yellow", "orange")
"""Colour names that an instance's `colour` attribute may hold."""
