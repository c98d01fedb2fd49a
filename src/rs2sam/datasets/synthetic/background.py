"""Drawn objects on real, unlabelled imagery: the clutter of the world around objects whose masks are exact."""

from __future__ import annotations

import numpy as np

from rs2sam.datasets.base import AnnotatedImage
from rs2sam.datasets.images import Pixels
from rs2sam.datasets.synthetic.camera import Camera
from rs2sam.datasets.synthetic.canvas import Material
from rs2sam.datasets.synthetic.geometry import blob, place, points
from rs2sam.datasets.synthetic.objects.aircraft import AIRFRAMES, airplane
from rs2sam.datasets.synthetic.objects.courts import HARD_COURTS, baseball_diamond, basketball_court, tennis_court
from rs2sam.datasets.synthetic.objects.grounds import concrete
from rs2sam.datasets.synthetic.objects.tanks import SHELLS, tank
from rs2sam.datasets.synthetic.scene import set_stage
from rs2sam.datasets.synthetic.stage import SEASONS, Stage
from rs2sam.errors import InvalidInputError

ABSENT_INLAND = frozenset({"airplane", "ship", "storage_tank", "harbor"})
"""Categories that ordinary imagery of suburbs does not show, so that the drawn ones are all there are."""


def draw_on(
    rng: np.random.Generator, background: Pixels, gsd_m: float, absent: frozenset[str] = ABSENT_INLAND
) -> AnnotatedImage:
    """Draw aircraft, tanks or sports grounds on a real picture.

    Args:
        rng: source of every random number.
        background: (H, W, 3) uint8, the real picture; it is not changed.
        gsd_m: its ground sampling distance [m/px].
        absent: categories that the picture is known not to show. Only these are exhaustive afterwards; of the others
            the picture may hold objects that nobody has annotated.

    Returns:
        The picture with what was drawn; regions are empty, since the ground is not annotated.

    Raises:
        InvalidInputError: unless `background` is (H, W, 3) uint8.
    """
    if background.ndim != 3 or background.shape[2] != 3 or background.dtype != np.uint8:
        raise InvalidInputError(
            "A background is an (H, W, 3) uint8 array; "
            f"got {background.shape} of {background.dtype}. Convert it to RGB."
        )
    height, width = background.shape[:2]
    stage = set_stage(rng, (height, width), gsd_m, SEASONS[int(rng.integers(len(SEASONS)))])
    stage.canvas.rgb[:] = background
    kind = str(rng.choice(["airplanes", "tanks", "sports"], p=[0.45, 0.4, 0.15]))
    {"airplanes": _airplanes, "tanks": _tanks, "sports": _sports}[kind](stage)
    # The background has been photographed already: what is drawn gets about its sharpness and grain, no more.
    camera = Camera(unevenness=0, blur_px=0.4, noise=1.5, jpeg_quality=None)
    return AnnotatedImage(
        image=camera.expose(rng, stage.canvas.rgb),
        size_hw=(height, width),
        instances=stage.instances(),
        regions={},
        exhaustive_categories=absent,
        id=f"on-background-{int(rng.integers(2**48)):012x}",
        source="synthetic",
        gsd_m=gsd_m,
    )


def _airplanes(stage: Stage) -> None:
    """Park a few aircraft of one or two kinds on stained concrete, or on whatever is there."""
    reach = stage.reach_m * 0.6
    kinds = [k for k, frame in AIRFRAMES.items() if frame.length[0] < reach * 0.7] or ["propeller"]
    chosen = [str(k) for k in stage.rng.choice(kinds, 2)]
    if stage.chance(0.6):
        ground = blob(stage.rng, (0, 0), reach * stage.between(0.8, 1.3), 0.2)
        stage.canvas.paint([ground], concrete(stage, stage.between(0.8, 1.05)))
    taken: list[tuple[float, float, float]] = []
    heading = stage.between(0, 2 * np.pi)
    for _ in range(int(stage.rng.integers(2, 12))):
        kind = chosen[int(stage.rng.integers(2))]
        radius = AIRFRAMES[kind].length[1] * 0.5
        x, y = stage.rng.uniform(-reach, reach, 2).tolist()
        if all(np.hypot(x - a, y - b) > radius + r for a, b, r in taken):
            taken.append((x, y, radius))
            airplane(stage, (x, y), heading + stage.rng.normal(0, 0.1 if stage.chance(0.7) else 1.5), kind)


def _tanks(stage: Stage) -> None:
    """Build a group of tanks in rows."""
    radius = stage.between(0.05, 0.16) * stage.reach_m
    angle, step = stage.between(0, np.pi), radius * stage.between(2.3, 3.4)
    middle = stage.rng.uniform(-0.3, 0.3, 2) * stage.reach_m
    columns, rows = (int(n) for n in stage.rng.integers(1, 5, 2))
    if stage.chance(0.7):
        ground = blob(stage.rng, middle, max(columns, rows) * step * 0.7, 0.15)
        stage.canvas.paint([ground], Material(stage.jitter((156, 148, 134)), 0.04, 0.05, 0.05))
    roof = str(stage.rng.choice(["cone", "floating", "dome"]))
    shares = np.array([s[2] for s in SHELLS])
    rgb, colour, _ = SHELLS[int(stage.rng.choice(len(SHELLS), p=shares / shares.sum()))]
    for i in range(columns):
        for j in range(rows):
            offset = points(((i - (columns - 1) / 2) * step, (j - (rows - 1) / 2) * step))
            if stage.chance(0.9):
                tank(stage, place(offset, middle, angle)[0], radius, roof, (stage.jitter(rgb, 0.04), colour))


def _sports(stage: Stage) -> None:
    """Lay out a diamond or a few courts."""
    angle, middle = stage.between(0, 2 * np.pi), stage.rng.uniform(-0.3, 0.3, 2) * stage.reach_m
    if stage.reach_m > 80 and stage.chance(0.4):
        baseball_diamond(stage, middle, angle, stage.between(0.6, 1.0))
        return
    surface = HARD_COURTS[int(stage.rng.integers(len(HARD_COURTS)))]
    surround = stage.jitter(HARD_COURTS[int(stage.rng.integers(len(HARD_COURTS)))][0])
    lay = tennis_court if stage.chance(0.6) else basketball_court
    for k in range(int(stage.rng.integers(1, 5))):
        at = place(points((18.0 * k - 18, 0)), middle, angle)[0]
        lay(stage, at, angle + np.pi / 2, surface, surround)
