from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from rs2sam.errors import DataNotFoundError, InvalidInputError
from rs2sam.evaluation.comparing import Side, compare, comparison_as_markdown, read_side
from rs2sam.metrics import PixelCounts, SegmentationMetrics
from tests.evaluation.stand_in import result


def side(name, results, protocol="native"):
    run = {"model": f"model-{name}", "protocol": protocol, "num_samples": len(results)}
    return Side(name, run, {one.id: one for one in results})


def pair(before, after, **fields):
    """Two sides whose samples have these IoUs in percent."""
    return tuple(
        side(name, [result(f"s{k}", (iou, 100), **fields) for k, iou in enumerate(ious)])
        for name, ious in (("before", before), ("after", after))
    )


def metric(comparison, name):
    return next(row for row in comparison["metrics"] if row["name"] == name)


def test_differences_by_hand():
    found = compare(*pair([40, 60, 80], [50, 60, 100]))
    miou = metric(found, "mIoU")
    assert (miou["a"], miou["b"], miou["difference"]) == pytest.approx((0.6, 0.7, 0.1))
    assert metric(found, "Pr@0.5")["difference"] == pytest.approx(1 / 3)
    assert metric(found, "oIoU")["difference"] == pytest.approx(0.1)
    assert found["num_samples"] == 3
    assert [one["id"] for one in found["improved"]] == ["s2", "s0"]
    assert found["worsened"] == []
    assert found["presence_auc"] == {"a": None, "b": None}


def test_equal_reports_differ_by_nothing():
    found = compare(*pair([10, 20, 90], [10, 20, 90]))
    assert all((row["difference"], row["low"], row["high"]) == (0, 0, 0) for row in found["metrics"])
    assert found["improved"] == found["worsened"] == []


def test_a_constant_gain_is_certain_because_both_are_measured_on_one_draw():
    rng = np.random.default_rng(0)
    before = rng.integers(0, 80, 40).tolist()
    row = metric(compare(*pair(before, [iou + 10 for iou in before])), "mIoU")
    assert (row["low"], row["high"]) == pytest.approx((0.1, 0.1))


def test_interval_is_that_of_a_mean():
    rng = np.random.default_rng(1)
    gains = rng.integers(-10, 20, 400)
    row = metric(compare(*pair([50] * 400, (50 + gains).tolist()), draws=4000), "mIoU")
    half = 1.96 * gains.std() / 100 / np.sqrt(400)
    assert row["low"] == pytest.approx(row["difference"] - half, abs=0.1 * half)
    assert row["high"] == pytest.approx(row["difference"] + half, abs=0.1 * half)


def test_intervals_hold_the_ratio_of_sums_too():
    before, after = pair([50] * 4, [50] * 4)
    large = dataclasses.replace(after.results["s0"], counts=PixelCounts(9000, 10_000))
    after = side("after", [large, *list(after.results.values())[1:]])
    row = metric(compare(before, after), "oIoU")
    assert row["b"] == pytest.approx(9150 / 10_300)
    # Draws without the large one show no difference, draws with it nearly the whole.
    assert row["low"] == 0
    assert 0.38 < row["high"] < 0.4


def test_images_are_drawn_with_all_of_their_sentences():
    gains = [0] * 10 + [40] * 10
    before = [result(f"s{k}", (10, 100), image_id=f"image {k // 10}") for k in range(20)]
    after = [
        dataclasses.replace(one, counts=PixelCounts(10 + gain, 100)) for one, gain in zip(before, gains, strict=True)
    ]
    found = compare(side("a", before), side("b", after))
    row = metric(found, "mIoU")
    # Of two images, one draw in four is only the first and one in four only the second.
    assert (row["low"], row["high"]) == pytest.approx((0, 0.4))
    assert (found["bootstrap"]["drawn"], found["bootstrap"]["num_drawn"]) == ("images", 2)


def test_the_seed_alone_decides_the_draws():
    sides = pair(list(range(0, 100, 3)), list(range(99, -1, -3)))
    assert compare(*sides, seed=3) == compare(*sides, seed=3)
    assert metric(compare(*sides, seed=3), "mIoU") != metric(compare(*sides, seed=4), "mIoU")


def test_groups_have_differences_of_their_own():
    before = [result(f"c{k}", (10, 100), kind="class") for k in range(5)]
    before += [result(f"p{k}", (50, 100), kind="position") for k in range(4)]
    after = [dataclasses.replace(one, counts=PixelCounts(30, 100)) for one in before[:5]] + before[5:]
    by_class, by_position = compare(side("a", before), side("b", after))["by_kind"]
    assert (by_class["name"], by_class["n"]) == ("class", 5)
    assert (by_class["difference"], by_class["low"], by_class["high"]) == pytest.approx((0.2, 0.2, 0.2))
    # Four are too few for an interval.
    assert (by_position["n"], by_position["difference"], by_position["low"]) == (4, 0.0, None)


def test_other_samples_are_refused_with_counts_or_left_out_on_demand():
    before, after = pair([10, 20, 30, 40], [10, 20, 30, 50])
    del before.results["s0"]
    after.results["s1"] = dataclasses.replace(after.results["s1"], sentence="another")
    after.results["s2"] = dataclasses.replace(after.results["s2"], everything=PixelCounts(24, 100))
    with pytest.raises(
        InvalidInputError,
        match=r"1 samples are in after only, 2 samples of one id have another sentence or target.*--common",
    ):
        compare(before, after)
    found = compare(before, after, common=True)
    assert found["num_samples"] == 1
    assert metric(found, "mIoU")["difference"] == pytest.approx(0.1)
    assert list(found["left_out"].values()) == [0, 1, 2]


def test_targets_counted_at_different_sizes_are_one_target():
    before, after = pair([10], [20])
    after.results["s0"] = dataclasses.replace(after.results["s0"], everything=PixelCounts(101, 400))
    assert compare(before, after)["num_samples"] == 1


def test_nothing_in_common_is_refused():
    before, _ = pair([10], [20])
    with pytest.raises(InvalidInputError, match="share no sample"):
        compare(before, side("b", [result("other", (1, 2))]), common=True)


def test_protocols_must_be_one():
    with pytest.raises(InvalidInputError, match=r"received `native` \(a\) and `published` \(b\)"):
        compare(side("a", [result("a", (1, 2))]), side("b", [result("a", (1, 2))], "published"))


def test_figures_are_those_of_the_metric_row():
    before, after = pair([40, 60, 81], [0, 62, 100])
    found = compare(before, after)
    for name, one in (("a", before), ("b", after)):
        expected = SegmentationMetrics.of([r.counts for r in one.results.values()], "native").as_dict()
        assert {row["name"]: row[name] for row in found["metrics"]} == {
            key: expected[key] for key in ("mIoU", "oIoU", "Pr@0.5", "Pr@0.6", "Pr@0.7", "Pr@0.8", "Pr@0.9")
        }


def test_markdown_marks_differences_that_chance_does_not_explain():
    words = comparison_as_markdown(compare(*pair([10] * 9, [60] * 9, presence=0.5)))
    assert "# after against before" in words
    assert "| mIoU | 10.00 | 60.00 | +50.00 | [+50.00, +50.00] * |" in words
    assert "| Pr@0.7 | 0.00 | 0.00 | +0.00 | [+0.00, +0.00] |" in words
    assert "## Improved most" in words
    assert "## Worsened most" not in words
    assert "| s8 | the s8 | 10.0 | 60.0 | +50.0 |" in words


def test_a_side_is_read_from_its_folder(tmp_path):
    folder = tmp_path / "before"
    folder.mkdir()
    with pytest.raises(DataNotFoundError, match=r"run\.json is not there"):
        read_side(folder)
    (folder / "run.json").write_text(json.dumps({"protocol": "native", "num_samples": 2}))
    line = json.dumps(result("a", (1, 2)).as_record("native")) + "\n"
    (folder / "samples.jsonl").write_text(line)
    with pytest.raises(InvalidInputError, match=r"1 results of 2: the evaluation was not finished.*--resume"):
        read_side(folder)
    (folder / "run.json").write_text(json.dumps({"protocol": "native", "num_samples": 1}))
    found = read_side(folder)
    assert (found.name, found.protocol, list(found.results)) == ("before", "native", ["a"])
    (folder / "run.json").write_text(json.dumps({"protocol": "other", "num_samples": 1}))
    with pytest.raises(InvalidInputError, match="names no protocol"):
        read_side(folder)
