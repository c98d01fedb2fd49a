"""One composed scene for demonstrations: a tank farm and a river port below a small town."""

from __future__ import annotations

import numpy as np

from rs2sam.datasets.base import AnnotatedImage
from rs2sam.datasets.synthetic.camera import Camera
from rs2sam.datasets.synthetic.canvas import Label, Material
from rs2sam.datasets.synthetic.geometry import Points, points, rectangle, ribbon, shifted, smooth_line
from rs2sam.datasets.synthetic.objects.buildings import block, house, shed
from rs2sam.datasets.synthetic.objects.courts import HARD_COURTS, baseball_diamond, swimming_pool, tennis_court
from rs2sam.datasets.synthetic.objects.grounds import asphalt, car_park, concrete, field, road, track, water_material
from rs2sam.datasets.synthetic.objects.plants import Trees, grass, scatter_points, soil, wood
from rs2sam.datasets.synthetic.objects.ships import freighter
from rs2sam.datasets.synthetic.objects.tanks import berm, tank
from rs2sam.datasets.synthetic.objects.vehicles import car, traffic
from rs2sam.datasets.synthetic.scene import annotated, set_stage
from rs2sam.datasets.synthetic.stage import REGION_CODES, SEASONS, Stage

SIZE_HW = (768, 1024)
"""Height and width of the scene [px]."""

GSD_M = 0.5
"""Ground sampling distance [m/px]."""

WHITE = ((226, 226, 220), "white")
RUST = ((156, 108, 78), "brown")


def showcase(seed: int = 7) -> AnnotatedImage:
    """Draw the scene: 512 m by 384 m at 0.5 m/px.

    Args:
        seed: another seed varies details (paints, trees, traffic); the composition stays.
    """
    rng = np.random.default_rng(seed)
    stage = set_stage(rng, SIZE_HW, GSD_M, SEASONS[0], turn=-0.06, sun=(np.radians(-38), np.radians(46)))
    stage.canvas.fill(grass(stage, -0.2), Label(0, REGION_CODES["vegetation"]))
    trees = Trees(stage, listed=False)
    river, width = smooth_line(rng, (-330, 106), (330, 130), 11, knots=5), 74.0
    _far_bank(stage, trees, river, width)
    stage.paint_region([ribbon(river, width + 7)], soil(stage), "land")
    stage.paint_region([ribbon(river, width)], water_material(stage, 0.7, 0.35), "water")
    _town(stage, trees)
    _farm_of_tanks(stage, trees)
    _quay(stage, river, width)
    _shore_trees(stage, trees, river, width)
    _crossing(stage, river, width)
    camera = Camera(1.06, 0.025, 0.02, (1.01, 1.0, 0.985), 1.06, 1.05, 0.55, 2.2, None)
    pixels = camera.expose(rng, stage.canvas.rgb)
    return annotated(stage, pixels, f"showcase-{seed}")


def _far_bank(stage: Stage, trees: Trees, river: Points, width: float) -> None:
    """Fields, a track and a wood south of the river."""
    near = shifted(river, width / 2 + 16)
    field(stage, np.concatenate([near[:20], points((float(near[19, 0]), 260), (-330, 260))]), 0.3)
    field(stage, np.concatenate([near[20:34], points((float(near[33, 0]), 260), (float(near[20, 0]), 260))]), 1.7)
    wood(stage, [np.concatenate([near[37:], points((340, 260), (float(near[37, 0]), 260))])], trees)
    track(stage, shifted(river, width / 2 + 10), 3.4)


def _shore_trees(stage: Stage, trees: Trees, river: Points, width: float) -> None:
    """Trees along the water, where there is no quay."""
    for side in (-1, 1):
        for at in shifted(river, side * (width / 2 + 6)):
            if side < 0 and -225 < at[0] < 30:
                continue
            for _ in range(int(stage.rng.poisson(1.5))):
                trees.plant(at + stage.rng.normal(0, 2.6, 2), stage.between(1.8, 4.2))


def _farm_of_tanks(stage: Stage, trees: Trees) -> None:
    """Two rows of large tanks in basins, a row of small ones, an office and pipes down to the quay."""
    ground = rectangle((-108, -38), 280, 190)
    stage.paint_region([ground], soil(stage, 0.8), "land")
    for y, radius, count, step in ((-88, 19.0, 5, 51.0), (-32, 15.0, 6, 42.5)):
        for k in range(count):
            at = (-236 + step / 2 + k * step, y)
            lawn = rectangle(at, step * 0.95, 49)
            stage.paint_region([lawn], grass(stage, 0.3), "vegetation")
            berm(stage, at, 47 if radius > 16 else 40)
            rusty = (y, k) == (-32, 4)
            tank(stage, at, radius, "floating" if y < -50 else "cone", RUST if rusty else WHITE)
    for k in range(7):
        tank(stage, (-226 + k * 17.5, 14), 6.0, "cone", WHITE if k % 3 else ((150, 152, 150), "grey"))
    shed(stage, (-74, 18), 44, 20, 0.0)
    block(stage, (-16, 16), (34, 18), 0.0, 8)
    lane = points((-246, 36), (-100, 36), (26, 36))
    road(stage, lane, 7, asphalt(stage), 2)
    road(stage, points((-246, -59.5), (-100, -59.5), (24, -59.5)), 5, asphalt(stage), 0)
    road(stage, points((26, -152), (26, -40), (26, 40)), 6, asphalt(stage), 0)
    traffic(stage, lane, 1.7, 70)
    pipes = [ribbon(points((-246, y), (-100, y), (8, y)), 0.6) for y in (-4.0, -2.6, -1.2)]
    stage.canvas.cast(pipes, 1.4, 0.7)
    stage.paint(pipes, Material((188, 184, 176), 0.03, 0, 0))
    trees.scatter(scatter_points(stage, rectangle((-112, -142), 268, 12), 7), (2, 4), 0.8)


def _quay(stage: Stage, river: Points, width: float) -> None:
    """A quay in front of the tanks with two ships alongside, and one under way."""
    edge = shifted(river, -width / 2 + 3)
    part = edge[(edge[:, 0] > -225) & (edge[:, 0] < 20)]
    back = points((float(part[-1, 0]), 43), (float(part[0, 0]), 43))
    stage.canvas.cast([np.concatenate([part, back])], 2.0)
    stage.paint_region([np.concatenate([part, back])], concrete(stage, 0.95), None)
    stage.paint([ribbon(part, 1.6)], Material((200, 196, 186), 0.03, 0.04, 0))
    for x, length in ((-160.0, 96.0), (-48.0, 82.0)):
        k = int(np.argmin(np.abs(part[:, 0] - x)))
        tangent = part[min(k + 1, len(part) - 1)] - part[k - 1]
        angle = float(np.arctan2(tangent[1], tangent[0]))
        at = part[k] + np.array([-np.sin(angle), np.cos(angle)]) * (length * 0.085 + 1)
        freighter(stage, at, angle, length)
    k = int(np.argmin(np.abs(river[:, 0] - 200)))
    tangent = river[k + 1] - river[k]
    freighter(stage, river[k] + (0, 6), float(np.arctan2(tangent[1], tangent[0])), 74.0, moving=True)


def _town(stage: Stage, trees: Trees) -> None:
    """Streets with houses, a school's sports ground, and a market with its car park."""
    main = points((-330, -156), (0, -156), (330, -156))
    road(stage, main, 9, asphalt(stage), 2, 1.6)
    street = points((60, 48), (200, 50), (330, 50))
    road(stage, street, 7, asphalt(stage), 2, 1.4)
    road(stage, points((176, -156), (176, -50), (176, 48)), 7, asphalt(stage), 2, 1.4)
    baseball_diamond(stage, (236, -72), -0.95, 0.8)
    for k in range(3):
        surface = HARD_COURTS[3] if k < 2 else HARD_COURTS[5]
        tennis_court(stage, (198 + 17 * k, 12), np.pi / 2, surface, HARD_COURTS[0][0])
    block(stage, (94, -108), (74, 44), 0.0, 9)
    car_park(stage, (106, -57), 0.0, (106, 40), 0.6)
    for x in np.arange(52, 165, 11.0):
        trees.plant((x, -32), stage.between(1.8, 3.0))
    for x in np.arange(38, 168, 22.5):
        _home(stage, trees, (float(x), 33), -1, bool(x > 60) and stage.chance(0.5))
    for x in np.arange(-240, 250, 23.0):
        _home(stage, trees, (float(x), -176), -1, stage.chance(0.3))
    path = smooth_line(stage.rng, (38, 0), (172, -16), 3)
    stage.paint_region([ribbon(path, 2.6)], soil(stage), "land")
    trees.scatter(scatter_points(stage, rectangle((104, -6), 130, 34), 11), (2.2, 4.6), 0.55)
    trees.scatter(scatter_points(stage, rectangle((250, -20), 60, 24), 9), (2.2, 4.4), 0.6)
    traffic(stage, main, 2.2, 45)
    traffic(stage, main, -2.2, 45, forward=False)


def _home(stage: Stage, trees: Trees, center: tuple[float, float], side: int, pool: bool) -> None:
    """A house with a drive, a car, trees, perhaps a pool behind it."""
    x, y = center
    stage.paint_region([rectangle((x + 8, y - side * 6), 3, 12)], concrete(stage), None)
    if stage.chance(0.6):
        car(stage, (x + 8, y - side * 7), np.pi / 2)
    house(stage, (x, y), stage.between(12, 15), stage.between(8.5, 10), stage.rng.normal(0, 0.04), "tiles")
    if pool:
        swimming_pool(stage, (x - 1, y + side * 14), stage.between(7.5, 9.5), 4.2, 0.0)
    for _ in range(int(stage.rng.poisson(2.0))):
        trees.plant((x + stage.between(-10, 10), y + side * stage.between(9, 19)), stage.between(1.6, 3.4))


def _crossing(stage: Stage, river: Points, width: float) -> None:
    """The main road over the river."""
    whole = np.linspace((80, 52), (96, 330), 60)
    wet = whole[np.array([np.abs(river - p).sum(axis=1).min() < width / 2 + 9 for p in whole])]
    deck = np.linspace(wet[0], wet[-1], 7)
    stage.canvas.cast([ribbon(deck, 14)], 8)
    road(stage, whole, 10.5, asphalt(stage), 2)
    label = stage.register("bridge", length_m=float(np.hypot(*(wet[-1] - wet[0]))))
    stage.paint([ribbon(deck, 14)], concrete(stage, 1.1), label)
    stage.paint([ribbon(deck, 10.5)], asphalt(stage), Label(label.instance, REGION_CODES["road"]))
    stage.paint([ribbon(deck, 0.25)], Material((206, 200, 180), 0.02, 0, 0))
    traffic(stage, whole, 2.4, 40)
    traffic(stage, whole, -2.4, 40, forward=False)
