from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from rs2sam.datasets.base import Sample
from rs2sam.datasets.checks.inspection import TokenCounter, check_dataset, check_samples
from rs2sam.datasets.checks.report import RULES, Distribution
from rs2sam.datasets.readers.masks import MaskFile
from rs2sam.datasets.synthetic import generate_scene
from rs2sam.errors import DataNotFoundError, InvalidInputError
from tests.datasets.make_formats import write_coco, write_jsonl, write_refsegrs, write_rrsisd
from tests.make_rasters import write_tiff


def picture(path, seed, side=64):
    """A file with a picture of its own."""
    Image.fromarray(generate_scene(np.random.default_rng(seed), side=side).pixels()).save(path)
    return path


def square(side=64, size=8):
    mask = np.zeros((side, side), np.bool_)
    mask[4 : 4 + size, 4 : 4 + size] = True
    return mask


@pytest.fixture
def samples(tmp_path):
    """Two faultless images in two splits, two sentences each."""
    files = [picture(tmp_path / f"{name}.png", seed) for seed, name in enumerate("ab")]
    return [
        Sample(files[0], "the red roof", square(), "1", "building", "colour", "train"),
        Sample(files[0], "an airplane", None, "2", "airplane", "absent", "train"),
        Sample(files[1], "the pond on the left side", square(size=16), "3", "water", "position", "val"),
        Sample(files[1], "the pond", square(size=32), "4", "water", "class", "val"),
    ]


def check(samples, tmp_path, **options):
    return check_samples(samples, tmp_path, "test format", **options)


def rules(report):
    return sorted(finding.rule for finding in report.findings)


def test_figures_of_a_faultless_set(samples, tmp_path):
    report = check(samples, tmp_path)

    assert report.findings == ()
    assert (report.num_samples, report.num_images) == (4, 2)
    assert list(report.splits) == ["train", "val"]
    train = report.splits["train"]
    assert (train.samples, train.images, train.absent, train.empty) == (2, 1, 1, 0)
    assert report.image_sizes == {(64, 64): 2}
    assert report.categories == {"building": 1, "airplane": 1, "water": 2}
    assert report.kinds == {"colour": 1, "absent": 1, "position": 1, "class": 1}
    # 3, 2, 6 and 2 words
    assert (report.words.least, report.words.median, report.words.most) == (2, 2.5, 6)
    # 8^2, 16^2 and 32^2 of 64^2 pixels
    assert (report.target_share.least, report.target_share.median) == (1 / 64, 1 / 16)
    assert report.target_share.most == 1 / 4


def test_tokens_are_counted_and_limited(samples, tmp_path):
    tokens = TokenCounter("toy", 7, lambda sentence: len(sentence.split()) + 2)
    report = check(samples, tmp_path, tokens=tokens)

    assert (report.tokens.least, report.tokens.most) == (4, 8)
    (finding,) = report.findings
    assert (finding.rule, finding.where, finding.severity) == ("long-sentence", "3", "error")
    assert "8 tokens, at most 7" in finding.message


def test_reading_goes_on_after_missing_and_damaged_images(samples, tmp_path):
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    samples.append(Sample(tmp_path / "gone.png", "a ship", square(), "5", split="val"))
    report = check(samples, tmp_path)

    assert rules(report) == ["missing-image", "unreadable-image"]
    assert {finding.where for finding in report.findings} == {"a.png", "gone.png"}
    assert report.image_sizes == {(64, 64): 1}
    assert report.num_samples == 5


def test_masks_that_cannot_be_read_are_told_from_missing_ones(samples, tmp_path):
    def raising(error):
        def read():
            raise error

        return read

    samples.append(Sample(samples[0].image, "x", raising(DataNotFoundError("no mask")), "5", split="train"))
    samples.append(Sample(samples[0].image, "y", raising(InvalidInputError("bad runs")), "6", split="train"))
    report = check(samples, tmp_path)

    assert {(f.rule, f.where, f.message) for f in report.findings} == {
        ("missing-mask", "5", "no mask"),
        ("unreadable-mask", "6", "bad runs"),
    }


def test_masks_of_another_size(samples, tmp_path):
    # 63 is within 2 % of 64, 60 is not.
    samples.append(Sample(samples[0].image, "nearly", square()[:63], "5", split="train"))
    samples.append(Sample(samples[0].image, "not at all", square()[:60], "6", split="train"))
    report = check(samples, tmp_path)

    assert {(f.rule, f.where, f.severity) for f in report.findings} == {
        ("mask-resized", "5", "warning"),
        ("mask-size", "6", "error"),
    }
    assert all("image 64 x 64 px" in finding.message for finding in report.findings)


def test_an_image_that_viewers_turn_is_worth_a_look(samples, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(generate_scene(np.random.default_rng(9), side=64).pixels())
    image.save(tmp_path / "turned.jpg", exif=exif)
    samples.append(Sample(tmp_path / "turned.jpg", "x", square(), "5", split="train"))

    (finding,) = check(samples, tmp_path).findings
    assert (finding.rule, finding.where, finding.message) == ("turned-image", "turned.jpg", "orientation 6")


def test_empty_masks_are_counted_and_are_not_absent_targets(samples, tmp_path):
    samples.append(Sample(samples[0].image, "x", np.zeros((64, 64), np.bool_), "5", split="train"))
    report = check(samples, tmp_path)

    assert rules(report) == ["empty-mask"]
    assert (report.splits["train"].empty, report.splits["train"].absent) == (1, 1)
    assert report.of_severity("error") == []


def test_the_mask_of_the_class_has_to_fit_too(samples, tmp_path):
    def of_class(name, mask, side):
        return Sample(samples[0].image, f"x{name}", mask, name, "roof", split="train", category_mask=square(side))

    samples += [of_class("5", square(), 32), of_class("6", None, 65), of_class("7", None, 64)]
    report = check(samples, tmp_path)

    found = {(finding.rule, finding.where, finding.message) for finding in report.findings}
    assert found == {
        ("mask-size", "5", "mask of the class 32 x 32 px, image 64 x 64 px"),
        ("mask-resized", "6", "mask of the class 65 x 65 px, image 64 x 64 px"),
    }


def test_sentences_and_ids(samples, tmp_path):
    samples.append(Sample(samples[2].image, " \n", square(), "3", split="val"))
    samples.append(Sample(samples[2].image, "The  pond", square(), "5", split="val"))
    report = check(samples, tmp_path)

    assert {(f.rule, f.where) for f in report.findings} == {
        ("blank-sentence", "3"),
        ("repeated-id", "3"),
        ("repeated-sentence", "b.png"),
    }


def test_one_file_in_two_splits_is_leakage(samples, tmp_path):
    samples.append(Sample(samples[0].image, "x", square(), "5", split="test"))
    report = check(samples, tmp_path)

    (finding,) = report.of_severity("error")
    assert (finding.rule, finding.where, finding.message) == ("leakage", "a.png", "in test and train")
    assert report.findings == (finding,), "the same image is not reported as a look-alike too"


def test_a_copy_under_another_name_is_leakage(samples, tmp_path):
    (tmp_path / "copy.png").write_bytes((tmp_path / "a.png").read_bytes())
    samples.append(Sample(tmp_path / "copy.png", "x", square(), "5", split="val"))

    (finding,) = check(samples, tmp_path).findings
    assert finding.rule == "leakage"
    assert finding.message == "in train, the same as copy.png (val)"


def test_a_copy_within_a_split_is_only_worth_a_look(samples, tmp_path):
    (tmp_path / "copy.png").write_bytes((tmp_path / "a.png").read_bytes())
    samples.append(Sample(tmp_path / "copy.png", "x", square(), "5", split="train"))

    (finding,) = check(samples, tmp_path).findings
    assert (finding.rule, finding.severity) == ("repeated-image", "warning")


def test_a_turned_copy_in_another_split_is_a_near_duplicate(samples, tmp_path):
    Image.open(tmp_path / "a.png").rotate(90).save(tmp_path / "turned.jpg")
    samples.append(Sample(tmp_path / "turned.jpg", "x", square(), "5", split="test"))

    (finding,) = check(samples, tmp_path).findings
    assert (finding.rule, finding.severity) == ("near-duplicate", "warning")
    assert finding.where == "turned.jpg"
    assert finding.message.startswith("(test) looks like a.png (train)")


def test_images_in_memory_are_hashed_by_their_pixels(tmp_path):
    rgb = generate_scene(np.random.default_rng(0), side=64).pixels()
    pair = [Sample(rgb.copy(), "x", square(), name, split=name, image_id=name) for name in ("train", "val")]
    assert rules(check(pair, tmp_path)) == ["leakage"]


def test_the_report_is_the_same_for_any_number_of_workers(samples, tmp_path):
    reports = [check(samples * 3, tmp_path, workers=workers) for workers in (1, 4)]
    assert reports[0] == reports[1]


def test_progress_sees_every_image(samples, tmp_path):
    seen = []

    def progress(looks, total):
        for look in looks:
            seen.append((look.name, total))
            yield look

    check(samples, tmp_path, progress=progress)
    assert seen == [("a.png", 2), ("b.png", 2)]


def test_a_set_without_splits_has_no_leakage(samples, tmp_path):
    unsplit = [Sample(one.image, one.sentence, one.mask, one.id) for one in samples]
    report = check(unsplit, tmp_path)
    assert report.findings == ()
    assert list(report.splits) == ["(none)"]


def test_samples_outside_all_splits_are_told_once(samples, tmp_path):
    extra = [Sample(samples[0].image, text, square(), text) for text in ("the left wall", "the right wall")]
    (finding,) = check([*samples, *extra], tmp_path).findings
    assert (finding.rule, finding.where, finding.severity) == ("no-split", "the left wall", "warning")
    assert finding.message == "2 samples, this the first"


def test_text_and_json_say_the_same(samples, tmp_path):
    samples.append(Sample(samples[0].image, "x", square(), "5", split="test"))
    report = check(samples, tmp_path, tokens=TokenCounter("toy", 9, len))
    content = json.loads(json.dumps(report.as_dict()))
    text = report.as_text()

    assert content["num_errors"] == len(report.of_severity("error"))
    assert f"{content['num_errors']} errors:" in text
    assert "no warnings" in text
    assert content["image_sizes"] == {"64x64": 2}
    assert content["splits"]["train"]["absent"] == 1
    assert content["findings"][0]["severity"] == "error"
    assert "categories  water 2, building 1, airplane 1, none 1" in text
    assert "tokenizer of `toy`, at most 9" in text


def test_long_lists_are_cut_in_the_text_only(samples, tmp_path):
    empty = np.zeros((64, 64), np.bool_)
    samples += [Sample(samples[0].image, f"x{n}", empty, f"e{n}", split="train") for n in range(30)]
    report = check(samples, tmp_path)

    assert "and 25 more" in report.as_text(max_listed=5)
    assert len(report.as_dict()["findings"]) == 30


def test_nothing_at_all_is_reported_as_nothing(tmp_path):
    report = check([], tmp_path)
    assert report.words is None
    assert "0 samples of 0 images" in report.as_text()


def test_every_rule_is_an_error_or_a_warning():
    assert {severity for severity, _ in RULES.values()} == {"error", "warning"}


@pytest.mark.parametrize(
    ("write", "num_samples", "expected"),
    [
        (write_rrsisd, 7, ["mask-resized", "mask-resized"]),  # the two odd-sized images
        (write_refsegrs, 6, ["empty-mask"]),
        (write_jsonl, 6, ["leakage"]),  # image 2 is in val and in test
        (write_coco, 4, []),
    ],
)
def test_every_format_is_recognised_and_read(tmp_path, write, num_samples, expected):
    report = check_dataset(write(tmp_path))
    assert report.format == write.__name__.removeprefix("write_")
    assert report.num_samples == num_samples
    assert rules(report) == expected


def test_a_malformed_line_is_named_and_the_others_are_read(tmp_path):
    write_jsonl(tmp_path)
    lines = tmp_path / "annotations.jsonl"
    lines.write_text("{\n" + lines.read_text() + '{"image": "images/0.png", "mask": null}\n')
    report = check_dataset(tmp_path)

    assert report.num_samples == 6
    places = [finding.where for finding in report.findings if finding.rule == "unreadable-annotation"]
    assert places == [f"{lines}:1", f'{lines}:8, "sentence"']


def test_a_file_without_one_good_line_is_reported_too(tmp_path):
    (tmp_path / "a.jsonl").write_text("nothing good\n")
    report = check_dataset(tmp_path)
    assert (report.num_samples, rules(report)) == (0, ["unreadable-annotation"])


def test_a_polygon_that_leaves_its_image_is_worth_a_look(tmp_path):
    write_jsonl(tmp_path)
    entry = {"image": "images/0.png", "sentence": "the corner", "segmentation": [[-9, 0, 20, 0, 20, 20]]}
    (tmp_path / "annotations.jsonl").write_text(json.dumps({**entry, "id": "corner"}) + "\n")

    (finding,) = check_dataset(tmp_path).findings
    assert (finding.rule, finding.where, finding.severity) == ("mask-outside", "corner", "warning")


def test_a_damaged_annotation_as_a_whole_is_an_error_at_once(tmp_path):
    write_coco(tmp_path)
    (tmp_path / "instances.json").write_text("{")
    with pytest.raises(InvalidInputError, match="cannot be read as JSON"):
        check_dataset(tmp_path)


def test_distribution():
    values = Distribution.of([1, 2, 3, 4])
    assert (values.least, values.median, values.most, values.mean) == (1, 2.5, 4, 2.5)
    assert values.p95 == pytest.approx(3.85)
    assert Distribution.of([]) is None


def test_images_of_one_colour_or_without_data_are_told(samples, tmp_path):
    flat = np.full((64, 64, 3), 50, np.uint8)
    Image.fromarray(flat).save(tmp_path / "flat.png")
    write_tiff(tmp_path / "none.tif", flat, nodata=50)
    more = [Sample(tmp_path / name, "the roof", square(), name, split="val") for name in ("flat.png", "none.tif")]
    report = check([*samples, *more], tmp_path)
    said = {finding.where: finding.message for finding in report.findings if finding.rule == "flat-image"}
    assert said == {"flat.png": "all pixels are (50, 50, 50)", "none.tif": "no pixel has data"}


def test_what_is_doubtful_about_images_is_told(samples, tmp_path):
    rgba = np.random.default_rng(0).integers(1, 255, (64, 64, 4), dtype=np.uint8)
    rgba[:32, :, 3] = 0
    write_tiff(tmp_path / "a.tif", rgba, photometric="RGB", alpha="YES")
    report = check([*samples, Sample(tmp_path / "a.tif", "the roof", square(), "5", split="val")], tmp_path)
    (finding,) = [one for one in report.findings if one.rule == "doubtful-image"]
    assert "alpha takes away 50%" in finding.message


def test_a_mask_of_which_only_nodata_is_left_is_told(samples, tmp_path):
    write_tiff(tmp_path / "m.tif", np.where(square(), 255, 0).astype(np.uint8)[..., None], nodata=255)
    one = Sample(samples[2].image, "the roof", MaskFile(tmp_path / "m.tif"), "5", split="val")
    report = check([*samples, one], tmp_path)
    (finding,) = [one for one in report.findings if one.rule == "empty-mask"]
    assert "64 pixels are left out" in finding.message
