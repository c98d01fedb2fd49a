from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from rasterio import Affine

from rs2sam.raster import read_scene
from rs2sam.scenes.resolution import resolution_lines
from tests.make_rasters import write_tiff
from tests.scenes.test_run import RedSegmenter, run


@dataclass
class Model:
    gsd_range_m: tuple[float, float] | None = (0.1, 2.0)


def info_at(tmp_path, metres):
    place = Affine(metres, 0, 500_000, 0, -metres, 5_600_000)
    path = write_tiff(tmp_path / "a.tif", np.zeros((20, 20, 3), np.uint8), transform=place, crs="EPSG:32631")
    return read_scene(path).info


@pytest.mark.parametrize(
    ("metres", "gsd_m", "word"),
    [
        (300, None, "coarser"),
        (10, None, "coarser"),
        (5, None, None),
        (0.5, None, None),
        (0.04, None, None),
        (0.01, None, "finer"),
        (0.01, 0.3, None),
        (0.5, 30.0, "coarser"),
        (30, 0.3, "coarser"),
    ],
)
def test_a_resolution_far_from_the_models_is_said(tmp_path, metres, gsd_m, word):
    lines = resolution_lines(Model(), info_at(tmp_path, metres), gsd_m)
    assert len(lines) == (word is not None)
    assert word is None or word in lines[0]
    assert resolution_lines(Model(None), info_at(tmp_path, metres), gsd_m) == ()
    assert resolution_lines(object(), info_at(tmp_path, metres), gsd_m) == ()


def test_the_warning_stands_in_the_result_and_is_logged(tmp_path, caplog):
    place = Affine(300, 0, 500_000, 0, -300, 5_600_000)
    path = write_tiff(tmp_path / "a.tif", np.zeros((20, 20, 3), np.uint8), transform=place, crs="EPSG:32631")

    class Ranged(RedSegmenter):
        gsd_range_m = (0.1, 2.0)

    report = run(path, tmp_path / "out", Ranged())
    (line,) = report["warnings"]
    assert "pixels of 300 m are much coarser than the 0.1 to 2 m" in line
    assert any(line in message for message in caplog.messages)
