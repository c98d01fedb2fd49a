"""Objects told apart by tiles, through whole runs: files, choice, resuming."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
import rasterio

from rs2sam.raster import read_scene
from rs2sam.scenes.outputs import OutputOptions
from rs2sam.scenes.run import SceneRequest, run_scene
from rs2sam.vector.instances import Instances
from rs2sam.views import MinArea, SceneOptions, segment_scene
from tests.make_rasters import RedSegmenter, RedView, write_tiff


@dataclass(frozen=True)
class ToldView(RedView):
    instances: Instances | None = None


class Oracle(RedSegmenter):
    """Tells everything apart, whatever it is asked: the red band is the number of the object."""

    choose_in_view = True
    reads_phrases = True

    def _segment(self, view, sentence):
        present = np.unique(view[..., 0])
        present = present[present > 0]
        numbers = np.zeros(256, dtype=np.uint16)
        numbers[present] = np.arange(1, len(present) + 1)
        labels = numbers[view[..., 0]]
        found = replace(super()._segment(view, sentence), probability=np.where(labels > 0, 0.9, 0.1).astype(np.float32))
        scores = np.linspace(0.5, 0.9, len(present), dtype=np.float32)
        return ToldView(found.probability, 0.9, 0.7, found.known, Instances(labels, scores))


def courts():
    """Numbers of objects: a block of courts without a gap, a long one, and two pieces of one."""
    numbers = np.zeros((150, 230), dtype=np.uint8)
    for number, (row, col) in enumerate((r, c) for r in range(2) for c in range(3)):
        numbers[10 + 30 * row : 40 + 30 * row, 20 + 25 * col : 45 + 25 * col] = number + 1
    numbers[10:70, 95:100] = 6  # the last one is the largest
    numbers[80:92, 5:225] = 7  # over all tiles of its row
    numbers[92:100, 5:225] = 8  # touches it all along
    numbers[120:130, 42:62] = numbers[120:130, 70:80] = 9
    return numbers


@pytest.fixture
def scene(tmp_path):
    numbers = courts()
    return write_tiff(tmp_path / "a.tif", np.stack([numbers, 0 * numbers, 0 * numbers], axis=-1)), numbers


def run(scene, folder, segmenter=None, sentences=("the courts",), outputs=None, **options):
    request = SceneRequest(
        str(scene),
        tuple(sentences),
        folder,
        options=SceneOptions(tile=64, **options),
        outputs=outputs or OutputOptions(),
    )
    report = run_scene(request, segmenter or Oracle())
    with rasterio.open(folder / "a_mask.tif") as dataset:
        return report, dataset.read() == 1


def test_objects_that_touch_are_told_apart_over_tiles(scene, tmp_path):
    report, (mask,) = run(scene[0], tmp_path / "out")
    np.testing.assert_array_equal(mask, scene[1] > 0)
    (found,) = report["sentences"]
    assert (found["objects"], found["polygons"]) == (9, 10)
    assert found["words"] == {"model": ["court"], "scene": []}


@pytest.mark.parametrize(
    ("sentence", "meant"),
    [
        ("the largest court", [7]),
        ("the second largest court", [8]),
        ("the two leftmost courts", [1, 4]),
        ("the courts at the bottom", [7, 8, 9]),
        ("the lowest court", [9]),
        ("the three largest courts", [6, 7, 8]),
        ("the smallest court", [9]),
    ],
)
def test_sentences_that_compare_choose_among_objects_not_among_blobs(sentence, meant, scene, tmp_path):
    _, (mask,) = run(scene[0], tmp_path / "out", sentences=[sentence])
    np.testing.assert_array_equal(mask, np.isin(scene[1], meant))


def test_a_scene_in_memory_has_the_same_objects(scene, tmp_path):
    (found,) = segment_scene(Oracle(), read_scene(scene[0]), ["courts"], SceneOptions(tile=64))
    for number in range(1, 10):
        assert len(np.unique(found.instances.labels[scene[1] == number])) == 1
    assert len(np.unique(found.instances.labels)) == 10
    assert sorted(one.num_pixels for one in found.regions) == sorted([750] * 5 + [750 + 300, 2640, 1760, 200, 100])


def test_small_objects_are_dropped_as_wholes(scene, tmp_path):
    least = MinArea(250)
    _, (mask,) = run(scene[0], tmp_path / "out", min_area=least)  # the two pieces of the last one have 300 together
    np.testing.assert_array_equal(mask, scene[1] > 0)
    _, (mask,) = run(scene[0], tmp_path / "more", min_area=MinArea(301))
    np.testing.assert_array_equal(mask, (scene[1] > 0) & (scene[1] != 9))
    (found,) = segment_scene(Oracle(), read_scene(scene[0]), ["courts"], SceneOptions(tile=64, min_area=least))
    np.testing.assert_array_equal(found.mask, scene[1] > 0)


def test_a_killed_run_goes_on_with_the_objects_it_had(scene, tmp_path, monkeypatch):
    class Stopped(Oracle):
        def _segment(self, view, sentence):
            if self.num_views == 7:
                raise KeyboardInterrupt
            return super()._segment(view, sentence)

    monkeypatch.setattr("rs2sam.scenes.scanning._SAVE_EVERY_S", 0.0)
    outputs, sentences = OutputOptions(resume=True), ["the second largest court"]
    with pytest.raises(KeyboardInterrupt):
        run(scene[0], tmp_path / "out", Stopped(), sentences, outputs)
    again = Oracle()
    resumed, mask = run(scene[0], tmp_path / "out", again, sentences, outputs)
    whole, expected = run(scene[0], tmp_path / "whole", None, sentences)
    assert 0 < again.num_views < whole["tiles"]["run"]
    np.testing.assert_array_equal(mask, expected)
    told = json.loads(json.dumps([resumed["sentences"], whole["sentences"]]))
    for one in told[0] + told[1]:
        one.pop("seconds")
    assert told[0] == told[1]
