"""Make whole scenes: pick a theme, a resolution, a sun and a camera, draw, and collect what is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from rs2sam.datasets.base import AnnotatedImage
from rs2sam.datasets.english.vocabulary import CATEGORIES
from rs2sam.datasets.images import Pixels
from rs2sam.datasets.synthetic.camera import Camera, false_colour
from rs2sam.datasets.synthetic.canvas import Canvas
from rs2sam.datasets.synthetic.stage import REGION_CODES, SEASONS, Season, Stage
from rs2sam.datasets.synthetic.themes import land, sites, town, water
from rs2sam.errors import InvalidInputError

MIN_SIDE = 64
"""Smallest scene [px]."""


@dataclass(frozen=True)
class Theme:
    """One kind of place.

    Args:
        draw: paints it on a stage.
        gsd_m: limits of the ground resolutions at which its objects can be told [m/px].
        weight: how often it is picked.
    """

    draw: Callable[[Stage], None]
    gsd_m: tuple[float, float]
    weight: float = 1.0


THEMES: Mapping[str, Theme] = MappingProxyType(
    {
        "residential": Theme(town.residential, (0.12, 0.8), 1.2),
        "historic": Theme(town.historic, (0.12, 0.6), 0.5),
        "city": Theme(town.city, (0.25, 1.2), 0.8),
        "settlement": Theme(town.settlement, (0.07, 0.35), 0.5),
        "car_park": Theme(town.parking, (0.12, 0.45), 0.7),
        "farmland": Theme(land.farmland, (0.3, 1.6), 0.6),
        "river": Theme(land.river, (0.3, 1.3), 1.0),
        "nature": Theme(land.nature, (0.25, 2.0), 0.5),
        "motorway": Theme(land.motorway, (0.2, 1.0), 0.5),
        "airport": Theme(sites.airport, (0.15, 1.1), 1.1),
        "harbour": Theme(water.harbour, (0.2, 1.4), 1.1),
        "industrial": Theme(sites.industrial, (0.25, 1.2), 1.0),
        "sports": Theme(sites.sports, (0.2, 0.8), 1.2),
    }
)
"""Every theme by name."""


def generate_scene(
    rng: np.random.Generator, side: int = 512, gsd_m: float | None = None, theme: str | None = None
) -> AnnotatedImage:
    """Make one aerial scene with exact masks.

    Args:
        rng: source of every random number; the same state gives the same bytes.
        side: width and height [px], at least 64.
        gsd_m: ground sampling distance [m/px], None to draw one that suits the theme.
        theme: a name of `THEMES`, None to draw one.

    Returns:
        The scene; its pixels are in memory.

    Raises:
        InvalidInputError: on an unknown theme, a side below 64, or a resolution that is not positive.
    """
    if theme is None:
        weights = np.array([t.weight for t in THEMES.values()])
        theme = str(rng.choice(list(THEMES), p=weights / weights.sum()))
    if theme not in THEMES:
        raise InvalidInputError(f"A theme is one of {', '.join(THEMES)}; got {theme!r}. Pick one of these, or None.")
    if side < MIN_SIDE:
        raise InvalidInputError(f"A scene is at least {MIN_SIDE} pixels wide; got {side}. Ask for a larger one.")
    if gsd_m is None:
        low, high = THEMES[theme].gsd_m
        # Smaller pictures cut out less ground; at the same resolution they would hold nothing but a roof.
        gsd_m = float(np.exp(rng.uniform(np.log(low), np.log(high)))) * (512 / side) ** 0.5
    elif not gsd_m > 0:
        raise InvalidInputError(f"`gsd_m` is metres per pixel and above 0; got {gsd_m}.")
    season = SEASONS[int(rng.integers(len(SEASONS)))]
    stage = set_stage(rng, (side, side), gsd_m, season)
    return render(stage, theme, Camera.draw(rng))


def set_stage(
    rng: np.random.Generator,
    size_hw: tuple[int, int],
    gsd_m: float,
    season: Season,
    turn: float | None = None,
    sun: tuple[float, float] | None = None,
) -> Stage:
    """Prepare an empty stage.

    Args:
        rng: source of every random number.
        size_hw: height and width [px].
        gsd_m: ground sampling distance [m/px].
        season: colours of nature.
        turn: angle of the drawing in the image [rad], None to draw one.
        sun: azimuth of the shadows (0 = up in the image, clockwise) and elevation of the sun [rad], None to draw them.
    """
    if turn is None:
        turn = float(rng.uniform(0, 2 * np.pi)) if rng.random() < 0.6 else float(rng.integers(4)) * np.pi / 2
    if sun is None:
        # Most of the world's pictures are taken before noon north of the tropics: shadows fall up and to the left.
        azimuth = rng.normal(-0.5, 0.6) if rng.random() < 0.75 else rng.uniform(0, 2 * np.pi)
        sun = float(azimuth), float(rng.uniform(np.radians(28), np.radians(68)))
    azimuth, elevation = sun
    length = 1 / np.tan(elevation)
    sun_xy = (float(np.sin(azimuth) * length), float(-np.cos(azimuth) * length))
    return Stage(rng, Canvas(rng, size_hw, gsd_m, turn, sun_xy), season)


def render(stage: Stage, theme: str, camera: Camera) -> AnnotatedImage:
    """Draw a theme on a stage, photograph it, and collect the annotation."""
    THEMES[theme].draw(stage)
    rgb = stage.canvas.rgb
    if camera.infrared:
        rgb = false_colour(rgb, stage.canvas.regions == REGION_CODES["vegetation"])
    pixels = camera.expose(stage.rng, rgb)
    return annotated(stage, pixels, f"{theme}-{int(stage.rng.integers(2**48)):012x}", not camera.infrared)


def annotated(stage: Stage, pixels: Pixels, name: str, colours: bool = True) -> AnnotatedImage:
    """Collect what is known about a drawn stage; `colours` says whether the instances' colours may be told."""
    return AnnotatedImage(
        image=pixels,
        size_hw=stage.canvas.size_hw,
        instances=stage.instances(colours),
        regions=stage.regions(),
        exhaustive_categories=frozenset(CATEGORIES) - stage.unlisted,
        id=name,
        source="synthetic",
        gsd_m=stage.gsd_m,
    )
