"""Evaluation with a stand-in for the model, so that every figure can be counted by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest

from rs2sam.datasets.base import Sample
from rs2sam.errors import InvalidInputError
from rs2sam.evaluation import EvaluationReport, SampleResult, evaluate
from rs2sam.evaluation.results import SWEEP_THRESHOLDS
from rs2sam.evaluation.running import count_sample, evaluate_batches
from rs2sam.metrics import PixelCounts
from rs2sam.raster import read_scene
from rs2sam.segmenter import Segmentation
from tests.evaluation.stand_in import SIDE, StandIn, rows, sample, two_rows
from tests.make_rasters import write_tiff


def result(kind: str, empty: bool, presence: float | None) -> SampleResult:
    counts = PixelCounts(1, 2)
    return SampleResult("id", "sentence", kind, "ship", empty, counts, counts, None, presence, None)


def test_counts_by_hand():
    samples = [
        sample("half", rows(1), kind="class", category="ship", category_mask=rows(3)),
        sample("nothing", None, kind="absent", category="ship", category_mask=rows(0)),
        sample("unlabelled", rows(2)),
    ]
    half, nothing, unlabelled = evaluate(StandIn(two_rows), samples).results
    assert half.counts == PixelCounts(4, 8)
    assert half.everything == PixelCounts(4, 16)
    assert half.class_only == PixelCounts(4, 12)
    assert (half.kind, half.category, half.is_empty) == ("class", "ship", False)
    assert nothing.counts == PixelCounts(0, 8)
    assert nothing.everything == PixelCounts(0, 16)
    assert nothing.class_only == PixelCounts(0, 0)
    assert nothing.is_empty
    assert unlabelled.counts == PixelCounts(8, 8)
    assert unlabelled.class_only is None
    assert (unlabelled.kind, unlabelled.category) == ("unknown", "unknown")


def test_empty_prediction_on_empty_target_counts_by_protocol():
    nothing = StandIn(lambda _, size_hw: (rows(0, size_hw), 0.0))
    for protocol, iou in (("native", 1.0), ("published", 0.0)):
        metrics = evaluate(nothing, [sample("nothing", None)], protocol).metrics()
        assert metrics is not None
        assert metrics.miou == iou
        assert metrics.protocol == protocol


def test_published_protocol_hands_on_the_sentence_as_its_file_has_it():
    heard = []
    model = StandIn(lambda sentence, size_hw: (heard.append(sentence) or rows(1, size_hw), None))
    for protocol in ("published", "native"):
        evaluate(model, [sample("the ship", rows(1), raw_sentence="the ship\n"), sample("all", rows(1))], protocol)
    assert heard == ["the ship\n", "all", "the ship", "all"]


def test_published_protocol_counts_at_the_models_size_with_the_target_resized_nearest():
    target = np.zeros((SIDE, SIDE), dtype=bool)
    target[1, 2] = True
    report = evaluate(StandIn(two_rows), [sample("pixel", target, category_mask=rows(1))], "published")
    assert report.results[0].counts == PixelCounts(0, 16 + 4)
    assert report.results[0].everything == PixelCounts(4, 64)
    assert report.results[0].class_only == PixelCounts(0, 16 + 4)


def test_target_that_vanishes_when_resized_is_still_meant():
    rgb = np.zeros((64, 64, 3), np.uint8)
    target = np.zeros((64, 64), dtype=bool)
    target[0, 0] = True
    report = evaluate(StandIn(two_rows), [Sample(rgb, "pixel", target, id="pixel")], "published")
    assert report.results[0].everything == PixelCounts(0, 64)
    assert not report.results[0].is_empty


def test_samples_come_in_batches_and_stay_in_order():
    samples = [sample(f"{count} rows", rows(count)) for count in range(1, 5)]
    model = StandIn(lambda sentence, size_hw: (rows(int(sentence[0]), size_hw), None))
    report = evaluate(model, samples, batch_size=3)
    assert model.batches == [3, 1]
    assert [one.id for one in report.results] == [one.id for one in samples]
    assert all(one.counts.iou("native") == 1 for one in report.results)
    assert report.presence_auc() is None


def test_metrics_of_a_kind_take_its_samples_only():
    samples = [
        sample("a", rows(2), kind="class", category_mask=rows(4)),
        sample("b", rows(1), kind="position", category_mask=rows(2)),
        sample("c", rows(1), kind="position"),
    ]
    report = evaluate(StandIn(two_rows), samples)
    assert report.kinds == ["class", "position"]
    assert [report.metrics(kind).miou for kind in (None, "class", "position")] == pytest.approx([2 / 3, 1, 0.5])
    assert report.metrics("position", "everything").miou == 0.25
    assert report.metrics("position", "class_only").num_samples == 1
    assert report.metrics("size") is None


@pytest.mark.parametrize(
    ("there", "absent", "auc"),
    [
        ([0.9, 0.8], [0.1, 0.2], 1.0),
        ([0.1], [0.9], 0.0),
        ([0.5, 0.9], [0.5], 0.75),  # a tie counts half: (0.5 + 1) / 2
        ([0.9, 0.3], [0.2, 0.4], 0.75),  # three of four pairs in order
        ([0.9], [], None),
        ([], [0.9], None),
    ],
)
def test_presence_auc_by_hand(there: Sequence[float], absent: Sequence[float], auc: float | None):
    results = [result("class", False, presence) for presence in there]
    results += [result("absent", True, presence) for presence in absent]
    assert EvaluationReport(tuple(results), "native").presence_auc() == auc


def test_presence_auc_is_undefined_without_the_head():
    results = (result("class", False, None), result("absent", True, None))
    assert EvaluationReport(results, "native").presence_auc() is None


def test_table_has_a_row_per_kind_with_both_reference_lines():
    samples = [
        sample("a", rows(2), kind="class", category_mask=rows(4)),
        sample("b", rows(1), kind="position"),
    ]
    header, rule, overall, of_class, of_position = evaluate(StandIn(two_rows), samples).table().splitlines()
    assert header.startswith("| kind (native) | n | mIoU | oIoU |")
    assert {line.count("|") for line in (header, rule, overall, of_class, of_position)} == {10}
    assert overall == "| overall | 2 | 75.0 | 75.0 | 100.0 | 50.0 | 50.0 | 37.5 | 50.0 |"
    assert of_class == "| class | 1 | 100.0 | 100.0 | 100.0 | 100.0 | 100.0 | 50.0 | 50.0 |"
    assert of_position == "| position | 1 | 50.0 | 50.0 | 100.0 | 0.0 | 0.0 | 25.0 | - |"


def test_report_is_ready_for_json():
    report = evaluate(StandIn(two_rows), [sample("a", rows(2), kind="class", category_mask=rows(4))])
    values = json.loads(json.dumps(report.as_dict()))
    assert values["protocol"] == "native"
    assert values["presence_auc"] is None
    assert set(values["rows"]) == {"overall", "class"}
    assert values["rows"]["overall"]["model"]["mIoU"] == 1.0
    assert values["rows"]["overall"]["everything"]["mIoU"] == 0.5
    assert values["rows"]["class"]["class_only"]["n"] == 1


def test_wrong_input_is_refused():
    with pytest.raises(InvalidInputError, match="at least one sample"):
        evaluate(StandIn(two_rows), [])
    with pytest.raises(InvalidInputError, match="`batch_size` must be at least 1, received 0"):
        evaluate(StandIn(two_rows), [sample("a", rows(1))], batch_size=0)
    with pytest.raises(InvalidInputError, match=r"must have one shape, received \(4, 4\) and \(5, 5\)"):
        evaluate(StandIn(two_rows), [sample("a", rows(1, (5, 5)))])


def test_every_threshold_is_counted_and_the_middle_one_is_the_mask():
    probability = np.zeros((SIDE, SIDE), np.float32)
    probability[0], probability[1], probability[2] = 0.95, 0.65, 0.15
    # The mask comes from the logit; where a probability rounds to 0.5 the two may differ.
    answer = Segmentation("s", rows(2), probability, None, None)
    found = count_sample(sample("s", rows(1)), (SIDE, SIDE), answer)
    assert found.counts == PixelCounts(4, 8)
    expected = {0.1: (4, 12), 0.2: (4, 8), 0.5: (4, 8), 0.6: (4, 8), 0.7: (4, 4), 0.9: (4, 4)}
    counted = dict(zip(SWEEP_THRESHOLDS, found.sweep, strict=True))
    assert {t: counted[t] for t in expected} == {t: PixelCounts(*pair) for t, pair in expected.items()}


def test_an_image_that_cannot_be_read_stops_the_evaluation_with_its_error():
    def broken():
        raise InvalidInputError("image 7 is broken")

    samples = [sample("a", rows(1)), Sample(broken, "b", rows(1), id="b")]
    model = StandIn(two_rows)
    with pytest.raises(InvalidInputError, match="image 7 is broken"):
        evaluate(model, samples, batch_size=1)
    assert model.batches == [1]


def test_image_and_seconds_are_kept():
    (found,) = evaluate(StandIn(two_rows), [sample("a", rows(2), image_id="scene")]).results
    assert found.image_id == "scene"
    assert found.seconds >= 0
    assert found.target_share == 0.5


def test_process_without_a_sample_answers_nothing():
    assert list(evaluate_batches(StandIn(two_rows), [], "native")) == []


def test_pixels_of_which_nothing_is_known_are_in_no_count():
    unknown = np.zeros((SIDE, SIDE), bool)
    unknown[:, :2] = True
    (found,) = evaluate(StandIn(two_rows), [sample("half", rows(1), category_mask=rows(3), ignore=unknown)]).results
    assert found.counts == PixelCounts(2, 4)
    assert found.everything == PixelCounts(2, 8)
    assert found.class_only == PixelCounts(2, 6)
    assert all(one.union <= 8 for one in found.sweep)
    (all_unknown,) = evaluate(StandIn(two_rows), [sample("a", rows(1), ignore=np.ones_like(unknown))]).results
    assert all_unknown.counts == PixelCounts(0, 0)
    assert all_unknown.target_share == 0


def test_nothing_is_found_where_an_image_has_no_data(tmp_path):
    """As `segment` has it, on the same file."""
    values = np.full((SIDE, SIDE, 3), 90, np.uint8)
    values[0, :2] = 7
    path = write_tiff(tmp_path / "a.tif", values, nodata=7)
    (found,) = evaluate(StandIn(two_rows), [Sample(path, "half", rows(2), "a")]).results
    assert found.counts == PixelCounts(6, 8)
    assert found.sweep[0].intersection <= 6


@pytest.mark.parametrize("scale", [254, 10_000])
def test_an_evaluation_sees_the_pixels_that_segment_sees(tmp_path, scale):
    """Reflectance above 1 with a nodata of -9999, in the same file."""
    values = np.random.default_rng(0).uniform(0, 1.02, (SIDE, SIDE, 3)).astype(np.float32) * (254 / scale)
    values[0, 0] = -9999
    path = write_tiff(tmp_path / "a.tif", values, nodata=-9999)
    scene = read_scene(path)
    one = Sample(path, "half", rows(2), "a")
    np.testing.assert_array_equal(one.pixels(), scene.rgb)
    np.testing.assert_array_equal(one.loaded_image().valid, scene.valid)
    assert one.pixels().std() > 50
