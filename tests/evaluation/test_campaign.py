"""Report folders: what is in them, that a killed run goes on, that nothing depends on how the work was divided."""

from __future__ import annotations

import hashlib
import json
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from rs2sam.datasets.readers.masks import MaskFile, SegmentationMask
from rs2sam.errors import InvalidInputError
from rs2sam.evaluation.campaign import (
    Campaign,
    RunIdentity,
    RunOptions,
    hash_folder,
    hash_samples,
    spread_evenly,
)
from rs2sam.evaluation.processes import SingleProcess, share_of
from rs2sam.evaluation.run_folder import read_results
from tests.evaluation.stand_in import StandIn, first_number, rows, sample

SENTENCES = ["0 rows", "1 row", "2 rows", "3 rows", "4 rows", "2 <script>alert(1)</script>", "1 row & more"]


def samples():
    kinds = ["class", "position"]
    targets = [None, rows(1), rows(1), rows(3), rows(2), rows(2), rows(4)]
    return [
        sample(sentence, mask, id=f"s{k}", kind=kinds[k % 2], image_id=f"i{k // 2}", category_mask=rows(4))
        for k, (sentence, mask) in enumerate(zip(SENTENCES, targets, strict=True))
    ]


def identity_of(chosen, protocol="native", dataset="jsonl", split="test"):
    return RunIdentity("stand-in", "0" * 64, "data", dataset, split, None, protocol, len(chosen), hash_samples(chosen))


def run(folder, chosen=None, model=None, processes=None, protocol="native", dataset="jsonl", **options):
    chosen = samples() if chosen is None else chosen
    model = model or StandIn(first_number)
    campaign = Campaign(
        lambda device: model,
        chosen,
        lambda: identity_of(chosen, protocol, dataset),
        folder,
        RunOptions(**{"quiet": True, "gallery_size": 2, **options}),
        processes or SingleProcess(),
    )
    return campaign.run()


def figures(summary):
    """What is reproducible of a report."""
    return {name: value for name, value in summary.items() if name not in ("settings", "seconds_per_sample")}


def counted(folder):
    """Results of a report folder without the seconds."""
    lines = (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    return [{name: value for name, value in json.loads(line).items() if name != "seconds"} for line in lines]


class Killed(BaseException):
    """As a signal would end the process."""


class Mortal(StandIn):
    """Dies at a batch."""

    def __init__(self, at):
        super().__init__(first_number)
        self.at = at

    def segment_views(self, pairs, batch_size=8, size_hw=None, min_presence=0.0):
        if len(self.batches) == self.at:
            raise Killed
        return super().segment_views(pairs, batch_size, size_hw, min_presence)


class Page(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self, content):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def test_a_report_folder_holds_everything(tmp_path):
    summary = run(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "report.html", "report.json", "report.md", "run.json", "samples.jsonl",
    ]  # fmt: skip
    assert json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8")) == summary
    ious = [1, 1, 0.5, 1, 0.5, 1, 0.25]
    assert summary["figures"]["model"]["mIoU"] == pytest.approx(np.mean(ious))
    assert summary["figures"]["everything"]["n"] == summary["figures"]["class_only"]["n"] == 7
    assert [row["name"] for row in summary["by_kind"]] == ["class", "position"]
    assert [row["name"] for row in summary["by_size"]] == ["nothing meant", "25 % and above"]
    assert summary["galleries"]["worst"][0] == "s6"
    assert [result.id for result in read_results(tmp_path / "out/samples.jsonl")] == [f"s{k}" for k in range(7)]


@pytest.mark.parametrize("at", [0, 1, 3])
def test_a_killed_run_goes_on_and_ends_as_an_uninterrupted_one(tmp_path, at):
    whole = run(tmp_path / "whole", batch_size=2)
    with pytest.raises(Killed):
        run(tmp_path / "cut", model=Mortal(at), batch_size=2)
    assert not (tmp_path / "cut/report.json").exists()
    model = StandIn(first_number)
    resumed = run(tmp_path / "cut", model=model, batch_size=2, resume=True, gallery_size=0)
    assert sum(model.batches) == 7 - 2 * at
    assert counted(tmp_path / "cut") == counted(tmp_path / "whole")
    assert {**figures(resumed), "galleries": None} == {**figures(whole), "galleries": None}


def test_a_batch_that_is_half_done_is_answered_whole_and_counted_once(tmp_path):
    run(tmp_path, batch_size=4)
    file = tmp_path / "samples.jsonl"
    before = counted(tmp_path)
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:2]))
    model = StandIn(first_number)
    run(tmp_path, model=model, batch_size=4, resume=True, gallery_size=0)
    assert model.batches == [4, 3]
    assert counted(tmp_path) == before


def test_a_finished_run_is_not_run_again(tmp_path):
    first = run(tmp_path)
    model = StandIn(first_number)
    again = run(tmp_path, model=model, resume=True, gallery_size=0)
    assert model.batches == []
    assert {**figures(again), "galleries": None} == {**figures(first), "galleries": None}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_model_that_cannot_be_loaded_leaves_the_folder_as_it_was(tmp_path, overwrite):
    if overwrite:
        run(tmp_path / "out")
    before = {path.name: path.read_bytes() for path in tmp_path.glob("out/*")}

    def load(device):
        raise InvalidInputError("the device `cuda` is not there")

    campaign = Campaign(
        load, samples(), lambda: identity_of(samples()), tmp_path / "out", RunOptions(overwrite=overwrite, quiet=True),
        SingleProcess(),
    )  # fmt: skip
    with pytest.raises(InvalidInputError, match="is not there"):
        campaign.run()
    assert {path.name: path.read_bytes() for path in tmp_path.glob("out/*")} == before
    assert (tmp_path / "out").exists() == overwrite


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 100])
def test_figures_do_not_depend_on_the_batch_size(tmp_path, batch_size):
    reference = run(tmp_path / "reference", batch_size=5)
    assert figures(run(tmp_path / "other", batch_size=batch_size)) == figures(reference)


class OneOf(SingleProcess):
    """One of several processes that run one after the other, the first one last."""

    def __init__(self, index, count, board):
        self.index, self.count, self.board = index, count, board

    def broadcast(self, value):
        return self.board.setdefault("said", value) if self.index == 0 else ("native", set())

    def gather(self, items):
        self.board.setdefault("items", []).append(items)
        return [item for part in self.board["items"] for item in part]


@pytest.mark.parametrize("count", [2, 3, 9])
def test_figures_do_not_depend_on_the_number_of_processes(tmp_path, count):
    reference = run(tmp_path / "one", batch_size=2)
    board = {}
    (tmp_path / "many").mkdir()
    for index in reversed(range(count)):
        found = run(tmp_path / "many", batch_size=2, processes=OneOf(index, count, board))
        assert (found is None) == (index > 0)
    assert figures(found) == figures(reference)
    assert counted(tmp_path / "many") == counted(tmp_path / "one")
    assert [path.name for path in (tmp_path / "many").glob("samples*")] == ["samples.jsonl"]


def test_shares_cover_everything_once():
    items = list(range(11))
    shares = [share_of(items, OneOf(index, 4, {})) for index in range(4)]
    assert sorted(item for share in shares for item in share) == items


def test_masks_are_saved_and_a_missing_one_is_made_again(tmp_path):
    run(tmp_path, save_masks=True)
    masks = sorted((tmp_path / "masks").iterdir())
    assert [path.name for path in masks] == [f"s{k}.png" for k in range(7)]
    with Image.open(masks[3]) as mask:
        assert np.asarray(mask).tolist() == (rows(3) * 255).tolist()
    before = counted(tmp_path)
    masks[3].unlink()
    model = StandIn(first_number)
    run(tmp_path, model=model, save_masks=True, resume=True, batch_size=1, gallery_size=0)
    assert model.batches == [1]
    assert masks[3].exists()
    assert counted(tmp_path) == before


def test_masks_of_the_published_protocol_are_of_the_models_size(tmp_path):
    run(tmp_path, save_masks=True, protocol="published")
    with Image.open(tmp_path / "masks/s1.png") as mask:
        assert mask.size == (8, 8)


def test_the_page_loads_nothing_and_runs_nothing_whatever_a_sentence_says(tmp_path):
    run(tmp_path)
    content = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(content)
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "iframe", "object")]
    sources = [attrs["src"] for _, attrs in page.tags if "src" in attrs]
    assert sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not [attrs for _, attrs in page.tags if "href" in attrs]
    assert "url(" not in content
    assert "“2 <script>alert(1)</script>”" in "".join(page.text)
    assert "Size is the target's share of the image." in "".join(page.text)
    assert sum(tag == "svg" for tag, _ in page.tags) == 5


def test_both_reports_have_the_measured_row_beside_published_ones(tmp_path):
    run(tmp_path, protocol="published", dataset="rrsisd")
    words = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| published: RS2-SAM 2 | 77.56 | 72.34 | 61.76 | 47.92 | 29.73 | 78.99 | 66.72 |" in words
    assert "Published rows are of 3481 samples; this evaluation is of 7." in words
    page = "".join(Page((tmp_path / "report.html").read_text(encoding="utf-8")).text)
    for text in ("stand-in (measured)", "published: RMSIN", "64.20", "this evaluation is of 7"):
        assert text in page


def test_published_rows_are_not_compared_with_the_native_protocol_unsaid(tmp_path):
    run(tmp_path, protocol="native", dataset="refsegrs")
    assert "this evaluation is not, so compare with care" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_samples_must_be_there_and_have_ids_of_their_own(tmp_path):
    with pytest.raises(InvalidInputError, match="at least one sample"):
        run(tmp_path, chosen=[])
    with pytest.raises(InvalidInputError, match="1 stand there more than once, 'a' among them"):
        run(tmp_path, chosen=[sample("1", rows(1), id="a"), sample("2", rows(1), id="a")])


def test_a_limit_spreads_over_all_samples():
    chosen = [sample(f"{k}", rows(1)) for k in range(10)]
    assert [one.id for one in spread_evenly(chosen, 3)] == ["0", "3", "6"]
    assert spread_evenly(chosen, None) == spread_evenly(chosen, 10) == spread_evenly(chosen, 99) == chosen
    with pytest.raises(InvalidInputError, match="`limit` must be at least 1, received 0"):
        spread_evenly(chosen, 0)


def test_hashes_tell_models_and_samples_apart(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.bin").write_bytes(b"weights")
    first = hash_folder(tmp_path)
    assert first == hashlib.sha256(b"config.json\0{}model.bin\0weights").hexdigest()
    (tmp_path / "README.md").write_text("a card changes nothing")
    assert hash_folder(tmp_path) == first
    (tmp_path / "model.bin").write_bytes(b"weightz")
    assert hash_folder(tmp_path) != first
    a, b = sample("a", rows(1)), sample("b", rows(1))
    assert hash_samples([a, b]) != hash_samples([b, a])


def test_a_corrected_target_makes_other_samples(tmp_path):
    runs = {"size": [2, 2], "counts": [1, 1, 2]}
    (tmp_path / "7.png").write_bytes(b"mask")
    sources = [
        rows(1), rows(2), None, MaskFile(tmp_path / "7.png"), MaskFile(tmp_path / "7.png", above=50),
        SegmentationMask((runs,), "line 1"), SegmentationMask(({**runs, "counts": [2, 1, 1]},), "line 1"),
    ]  # fmt: skip
    hashes = [hash_samples([sample("a", source)]) for source in sources]
    assert len(set(hashes)) == len(sources)
    assert hash_samples([sample("a", SegmentationMask((runs,), "another line"))]) == hashes[5]
    (tmp_path / "7.png").write_bytes(b"another mask")
    assert hash_samples([sample("a", sources[3])]) != hashes[3]
