"""Small scenes with known content, and a batch over them with the stand-in for the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rs2sam.batch.engine import BatchSettings, run_local
from rs2sam.batch.inputs import find_scenes
from rs2sam.batch.run import BatchPlan, run_batch
from rs2sam.batch.schedule import RetryPolicy
from rs2sam.raster import ReadOptions
from rs2sam.scenes.outputs import OutputOptions
from rs2sam.scenes.run import run_scene
from rs2sam.views import SceneOptions
from tests.make_rasters import RedSegmenter, paint, write_tiff

SIZES_HW = {"a": (64, 96), "sub/b": (150, 200), "c": (200, 180), "sub/d": (64, 64)}


class Watcher:
    """Remembers what it was told."""

    def __init__(self):
        self.num_scenes = 0
        self.outcomes = []
        self.views = []

    def begins(self, num_scenes):
        self.num_scenes = num_scenes

    def tiles(self, done, total):
        self.views.append((done, total))

    def ended(self, outcome):
        self.outcomes.append(outcome)


def blocks(height, width, seed):
    """(H, W) bool of random squares of 10 x 10."""
    drawn = np.random.default_rng(seed).random((height // 10 + 1, width // 10 + 1)) > 0.6
    return np.kron(drawn, np.ones((10, 10), dtype=np.bool_))[:height, :width]


def write_scenes(folder: Path, *, broken: bool = False, fatal: bool = False) -> None:
    """Four scenes of one to 16 tiles; one that cannot be read, and one with a blue spot, where asked for."""
    for seed, (name, size_hw) in enumerate(SIZES_HW.items()):
        path = folder / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tiff(path, paint(blocks(*size_hw, seed)))
    if broken:
        (folder / "broken.tif").write_bytes((folder / "c.tif").read_bytes()[:400])
    if fatal:
        rgb = paint(blocks(64, 96, 9))
        rgb[:5, :5] = (0, 0, 255)
        write_tiff(folder / "fatal.tif", rgb)


def plan(base: Path, out: str, *, attempts: int = 3, **options) -> BatchPlan:
    """A batch over `base/in` into `base/out`."""
    settings = BatchSettings(
        folder=base / out,
        sentences=("red things",),
        model="red",
        reading=ReadOptions(),
        options=SceneOptions(tile=64, overlap=16, batch_size=4),
        outputs=OutputOptions(),
    )
    scenes = find_scenes(str(base / "in"), out=base / out)
    return BatchPlan(settings, scenes, policy=RetryPolicy(attempts, 0.0), **options)


def run_locally(batch: BatchPlan, watcher=None, but: str | None = None, run=None):
    """Run a batch in this process; the scene `but` fails."""
    segmenter = RedSegmenter(image_size=64)

    def run_one(scene, progress):
        if scene.key == but:
            raise RuntimeError("left out")
        return run_scene(batch.settings.request(scene), segmenter, progress)

    def engine(schedule, watching):
        run_local(schedule, run or run_one, watching)

    return run_batch(batch, engine, watcher or Watcher())
