"""Themes of built-up land: suburbs, old towns, cities, villages, shopping centres."""

from __future__ import annotations

import numpy as np

from rs2sam.datasets.synthetic.canvas import Label
from rs2sam.datasets.synthetic.geometry import points, rectangle
from rs2sam.datasets.synthetic.objects.buildings import block
from rs2sam.datasets.synthetic.objects.grounds import asphalt, car_park, road
from rs2sam.datasets.synthetic.objects.plants import Trees, grass, soil
from rs2sam.datasets.synthetic.objects.vehicles import traffic
from rs2sam.datasets.synthetic.stage import REGION_CODES, SEASONS, Stage
from rs2sam.datasets.synthetic.themes.fabric import Box, downtown, old_town, suburb, village

VEGETATION = Label(0, REGION_CODES["vegetation"])
LAND = Label(0, REGION_CODES["land"])


def _whole(stage: Stage) -> Box:
    """Return the rectangle that holds the image however it is turned."""
    r = stage.reach_m
    return (-r, -r, r, r)


def _trees(stage: Stage) -> Trees:
    """Trees that are listed one by one only where the image is close enough to tell them apart."""
    return Trees(stage, stage.reach_m < 110)


def residential(stage: Stage) -> None:
    """Streets with detached houses, gardens, drives, sometimes pools."""
    stage.canvas.fill(grass(stage, stage.between(-0.8, 1.2)), VEGETATION)
    suburb(stage, _trees(stage), _whole(stage))


def historic(stage: Stage) -> None:
    """An old town: narrow streets, roofs wall to wall."""
    stage.canvas.fill(asphalt(stage), Label(0, 0))
    old_town(stage, _trees(stage), _whole(stage))


def city(stage: Stage) -> None:
    """City blocks with flat roofs and towers, seen a little from the side; in the desert, on sand."""
    desert = stage.season is SEASONS[4]
    stage.canvas.fill(soil(stage) if desert else grass(stage), LAND if desert else VEGETATION)
    downtown(stage, _trees(stage), _whole(stage))


def settlement(stage: Stage) -> None:
    """A village of metal roofs on red or brown soil."""
    stage.canvas.fill(soil(stage), LAND)
    trees = _trees(stage)
    village(stage, trees, _whole(stage))
    if stage.chance(0.4):
        y, r = stage.between(-0.5, 0.5) * stage.reach_m, stage.reach_m
        road(stage, points((-r, y), (0, y), (r, y)), stage.between(4, 8), asphalt(stage), 2 * stage.chance(0.5))


def parking(stage: Stage) -> None:
    """A shopping centre: large car parks, flat roofs, an avenue with traffic, rows of trees."""
    stage.canvas.fill(grass(stage, 0.4), VEGETATION)
    reach = stage.reach_m
    trees = Trees(stage, reach < 110)
    side = min(reach * 1.5, 140.0)
    yard = rectangle((0, side * 0.12), side * 1.35, side * 1.02)
    stage.paint_region([yard], asphalt(stage), None)
    avenue_y = -side * 0.62
    avenue = points((-reach * 1.1, avenue_y), (0, avenue_y), (reach * 1.1, avenue_y))
    road(stage, avenue, 15, asphalt(stage), 4, 2.5)
    for lane in (-5.6, -1.9, 1.9, 5.6):
        traffic(stage, avenue, lane, stage.between(15, 60), forward=lane > 0)
    full = stage.between(0.15, 0.95)
    car_park(stage, (-side * 0.05, -side * 0.12), 0.0, (side * 1.15, side * 0.44), full)
    block(stage, (stage.between(-0.1, 0.1) * side, side * 0.38), (side * 0.95, side * 0.36), 0.0, stage.between(6, 11))
    if stage.chance(0.5):
        car_park(stage, (side * 0.95, side * 0.1), np.pi / 2, (side * 0.8, side * 0.4), full)
    block(stage, (stage.between(-0.6, 0.6) * side, avenue_y - stage.between(28, 40)), (40, 22), 0.0, 7)
    for x in np.arange(-reach, reach, stage.between(9, 16)):
        if stage.chance(0.7):
            trees.plant((x, avenue_y + 11.5), stage.between(1.8, 3.2))
        if stage.chance(0.6):
            trees.plant((x, avenue_y - 12), stage.between(1.8, 3.6))
