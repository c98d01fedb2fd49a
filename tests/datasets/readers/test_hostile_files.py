"""Files of data that ask for more than there is: one error each, nothing half-done, no memory that they do not fill."""

from __future__ import annotations

import json
import pickle
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rs2sam.datasets.readers.coco import read_coco
from rs2sam.datasets.readers.jsonl import read_jsonl
from rs2sam.datasets.readers.masks import SegmentationMask, decode
from rs2sam.datasets.readers.rrsisd import read_plain_pickle
from rs2sam.datasets.readers.run_lengths import decode_runs, encode_runs
from rs2sam.errors import InvalidInputError


@pytest.mark.parametrize(
    ("size", "counts"),
    [
        ([3, 4], [2**63 - 1, 2**63 - 1, 14]),  # the sum wraps to 12
        ([3, 4], [10**30]),
        ([3, 4], [-1, 13]),
        ([3, 4], []),
        ([3, 4], [13]),
        ([40000, 40000], [1600000000]),
        ([100000, 100000], [1]),
        ([1, 2**31], "PPYo1"),
        ([10**30, 1], [1]),
        ([True, 4], [4]),
        ([3, 4], "ooooooooooooooooooooo0"),
        ([3, 4], None),
    ],
)
def test_run_lengths_that_do_not_fill_their_size_are_refused_before_they_are_drawn(
    size: list[int], counts: Any
) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInputError, match=r"run lengths|mask has up to"):
            decode_runs({"size": size, "counts": counts})
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_run_lengths_of_one_pixel_a_run_are_read() -> None:
    mask = np.indices((5, 7)).sum(axis=0) % 2 == 0
    assert (decode_runs(encode_runs(mask)) == mask).all()


@pytest.mark.parametrize(
    "polygon",
    [[0, 0, 10**400, 0, 1, 1], [0, 0, 3e9, 0, 1, 1], [0, 0, float("nan"), 1, 1, 1], [1, 2], [[1], 2, 3, 4, 5, 6]],
)
def test_polygons_out_of_range_are_refused(polygon: list[Any]) -> None:
    with pytest.raises(InvalidInputError, match="polygon"):
        decode([polygon], (10, 10))


def test_polygon_with_an_endless_outline_is_refused() -> None:
    zigzag = [value for number in range(2000) for value in (0 if number % 2 else 60000, number % 50)]
    with pytest.raises(InvalidInputError, match="outline is at most"):
        decode([zigzag], (50, 60000))


LINE = {"image": "a.png", "sentence": "the pond", "mask": "m.png"}


@pytest.mark.parametrize(
    "changes",
    [
        {"image": "a\0.png"},
        {"image": "x" * 300 + ".png"},
        {"image": "x/" * 3000},
        {"image": "\ud800.png"},
        {"mask": "\0"},
        {"mask": "m" * 300},
        {"sentence": "half \ud800 of a pair"},
        {"sentence": 3},
        {"id": "\udfff"},
        {"category": ["x"]},
        {"category_segmentation": [[[[1]]]]},
        {"category_segmentation": 3},
    ],
)
def test_line_with_what_no_file_system_or_text_holds_is_refused_by_its_number(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(LINE) + "\n" + json.dumps({**LINE, **changes}) + "\n")
    with pytest.raises(InvalidInputError, match=r"a\.jsonl:2"):
        read_jsonl(tmp_path)


@pytest.mark.parametrize("depth", [900, 100_000])
def test_json_nested_too_deeply_is_refused(tmp_path: Path, depth: int) -> None:
    nested = "[" * depth + "]" * depth
    (tmp_path / "a.jsonl").write_text(f'{{"image": "a.png", "sentence": "a", "segmentation": {nested}}}\n')
    with pytest.raises(InvalidInputError, match=r"a\.jsonl:1"):
        read_jsonl(tmp_path)
    (tmp_path / "a.jsonl").unlink()
    (tmp_path / "instances.json").write_text(f'{{"images": [], "annotations": {nested}}}')
    with pytest.raises(InvalidInputError, match=r"instances\.json"):
        read_coco(tmp_path)


def coco(tmp_path: Path, refs: Any = None, **annotation: Any) -> Path:
    """A COCO folder of one annotation."""
    full = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": {"size": [3, 4], "counts": [4, 8]}, **annotation}
    images = [{"id": 1, "file_name": annotation.pop("file_name", "a.png"), "height": 3, "width": 4}]
    content = {"images": images, "annotations": [full], "categories": [{"id": 1, "name": "pond"}]}
    (tmp_path / "instances.json").write_text(json.dumps(content))
    if refs is not None:
        (tmp_path / "refs.json").write_text(json.dumps(refs))
    return tmp_path


@pytest.mark.parametrize(
    "annotation",
    [
        {"sentence": "a", "category_id": []},
        {"sentence": "a", "image_id": {}},
        {"sentence": "a", "image_id": True, "segmentation": [[[1]]]},
        {"sentences": 3},
        {"sentences": [[]]},
        {"sentence": "\ud800"},
        {"sentence": "a", "segmentation": "x"},
        {"sentence": "a", "segmentation": [{"size": 1}, [1]]},
        {"sentence": "a", "file_name": "\0"},
    ],
)
def test_annotation_of_other_types_is_refused(tmp_path: Path, annotation: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=r"instances\.json"):
        read_coco(coco(tmp_path, **annotation))


@pytest.mark.parametrize(
    "ref",
    [
        {"ref_id": [], "ann_id": 1, "sentence": "a"},
        {"ann_id": [], "sentence": "a"},
        {"ann_ids": 1, "sentence": "a"},
        {"ann_ids": [[1]], "sentence": "a"},
        {"ann_ids": [], "image_id": [], "sentence": "a"},
        {"ann_ids": [], "image_id": 1, "category_id": {}, "sentence": "a"},
        {"ann_id": 1, "sentences": 3},
        {"ann_id": 1, "sentence": "a", "split": []},
        3,
    ],
)
def test_ref_of_other_types_is_refused(tmp_path: Path, ref: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"refs\.json"):
        read_coco(coco(tmp_path, refs=[ref]))


def test_masks_of_a_class_are_drawn_once_for_all_sentences_about_it(tmp_path: Path) -> None:
    """2,000 sentences about one image and class: 2,000 drawings for the class, not 2,000 times 2,000."""
    number, size = 2000, [40, 50]
    runs = [{"size": size, "counts": [n, 1, 2000 - n - 1]} for n in range(number - 1)]
    runs.append({"size": size, "counts": [1999, 1]})
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 40, "width": 50}],
        "annotations": [
            {"id": n, "image_id": 1, "category_id": 1, "segmentation": run, "sentence": f"tank {n}"}
            for n, run in enumerate(runs)
        ],
        "categories": [{"id": 1, "name": "tank"}],
    }
    (tmp_path / "instances.json").write_text(json.dumps(content))
    start = time.process_time()
    samples = read_coco(tmp_path)
    for sample in samples:
        whole, own = sample.category_target((40, 50)), sample.target((40, 50))
        assert whole is not None
        assert whole.all()
        assert own.sum() == 1
    assert len(samples) == number
    assert time.process_time() - start < 10  # 0.6 s; drawn for every sentence it were 100 s


def test_shared_mask_equals_the_one_drawn_each_time() -> None:
    runs = ({"size": [3, 5], "counts": [4, 3, 8]}, {"size": [3, 5], "counts": [0, 2, 13]})
    plain, shared = SegmentationMask(runs, "here"), SegmentationMask(runs, "here", is_shared=True)
    first = shared()
    first[:] = True  # a caller's change stays its own
    assert (shared() == plain()).all()


def bomb_of_bytes() -> bytes:
    return b"\x80\x04" + b"\x96" + struct.pack("<Q", 2_900_000_000) + b"."


PICKLES = {
    "bytearray by code": bomb_of_bytes(),
    "bytearray by name": b"\x80\x02cbuiltins\nbytearray\nJ\x00\x00\x00\x7f\x85R.",
    "remembered far away": b"\x80\x02]r\xff\xff\xff\x0f.",
    "code": pickle.dumps(print),
    "cut short": pickle.dumps([{"ref_id": 1}])[:-4],
    "nothing": b"",
}


@pytest.mark.parametrize("content", PICKLES.values(), ids=PICKLES)
def test_pickle_that_asks_for_memory_or_code_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "refs.p"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInputError, match=r"refs\.p"):
            read_plain_pickle(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("protocol", range(6))
def test_pickle_of_plain_values_is_read_in_every_protocol(tmp_path: Path, protocol: int) -> None:
    value = [
        {"ref_id": 1, "sentences": [{"raw": "die Dächer", "tokens": ["a", "a"]}], "box": (1.5, None, True), "s": {1}}
    ]
    path = tmp_path / "refs.p"
    path.write_bytes(pickle.dumps(value, protocol))
    assert read_plain_pickle(path) == value
