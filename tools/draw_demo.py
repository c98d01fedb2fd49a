"""Draw docs/images/demo.jpg: the preview of the second example of README.md, made by running it.

python tools/draw_demo.py docs/images/demo.jpg
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

from rs2sam.cli.demo import write_demo_scene
from rs2sam.scenes.run import SceneRequest, run_scene
from rs2sam.segmenter import Segmenter
from rs2sam.views.options import SceneOptions

SENTENCES = ("the leftmost storage tank", "the bridge")
"""Those of the example."""


def draw(path: Path) -> None:
    """Segment the drawn scene and keep the preview."""
    with tempfile.TemporaryDirectory() as name:
        scene = Path(name) / "scene.tif"
        write_demo_scene(scene)
        options = SceneOptions(min_presence=None)
        report = run_scene(SceneRequest(str(scene), SENTENCES, Path(name) / "out", options=options), Segmenter.load())
        with Image.open(Path(name) / "out" / report["outputs"]["preview"]) as preview:
            preview.convert("RGB").save(path, quality=90, optimize=True)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
