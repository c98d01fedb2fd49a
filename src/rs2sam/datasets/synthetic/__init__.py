"""Procedural aerial scenes with exact masks, drawn with numpy and PIL alone."""

from __future__ import annotations

from rs2sam.datasets.synthetic.background import draw_on
from rs2sam.datasets.synthetic.camera import Camera
from rs2sam.datasets.synthetic.scene import THEMES, Theme, generate_scene, render, set_stage
from rs2sam.datasets.synthetic.stage import SEASONS, Season, Stage

__all__ = [
    "SEASONS",
    "THEMES",
    "Camera",
    "Season",
    "Stage",
    "Theme",
    "draw_on",
    "generate_scene",
    "render",
    "set_stage",
]
