"""Run one scene with the stand-in that finds red, slowly enough to be killed on the way.

    python -m tests.scenes.killable_scene IMAGE OUT SECONDS [resume]

It prints the number of every view it is asked about; SECONDS is what each of them takes.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from rs2sam.scenes import scanning
from rs2sam.scenes.outputs import OutputOptions
from rs2sam.scenes.run import SceneRequest, run_scene
from rs2sam.views.options import MinArea, SceneOptions
from tests.make_rasters import RedSegmenter

SENTENCES = ("red things", "the largest red thing")


class SlowSegmenter(RedSegmenter):
    """Says each view aloud and takes its time."""

    def segment_views(self, pairs, batch_size=1):
        views = super().segment_views(pairs, batch_size)
        time.sleep(float(sys.argv[3]) * len(pairs))
        print(self.num_views, flush=True)
        return views


def main() -> None:
    """Segment, saving after every batch."""
    scanning._SAVE_EVERY_S = 0.0
    image, out = sys.argv[1:3]
    request = SceneRequest(
        image,
        SENTENCES,
        Path(out),
        options=SceneOptions(batch_size=2, min_area=MinArea(50)),
        outputs=OutputOptions(resume="resume" in sys.argv, class_map=True),
    )
    run_scene(request, SlowSegmenter(image_size=64))


if __name__ == "__main__":
    main()
