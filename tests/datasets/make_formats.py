"""Tiny faithful copies of the dataset formats, with the traps of the real ones.

Images are 64 x 64 with a bright square on a dark ground where the target is; every function writes into `root` and
returns it. `python -m tests.datasets.make_formats OUT` writes all of them, to look at.
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

SIDE = 64

Mask = NDArray[np.bool_]


def square(x: int, y: int, side: int = 16, size_hw: tuple[int, int] = (SIDE, SIDE)) -> Mask:
    """A square with its upper left corner at column `x`, row `y`: (H, W) bool."""
    mask = np.zeros(size_hw, dtype=bool)
    mask[y : y + side, x : x + side] = True
    return mask


def picture(mask: Mask, seed: int = 0) -> Image.Image:
    """Dark noise with the mask in bright red, distinct for each seed."""
    rng = np.random.default_rng(seed)
    rgb = rng.integers(30, 90, (*mask.shape, 3), dtype=np.uint8)
    rgb[mask] = (220, 60, 40)
    return Image.fromarray(rgb)


def rle(mask: Mask) -> dict[str, Any]:
    """Compressed COCO run lengths with text counts, as in a JSON file."""
    encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(n) for n in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def uncompressed_rle(mask: Mask) -> dict[str, Any]:
    """Run lengths as a list of numbers, column by column, the background first."""
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges, flat.size]).tolist()
    return {"size": list(mask.shape), "counts": [0, *runs] if flat[0] else runs}


def box_polygon(x: int, y: int, side: int = 16) -> list[int]:
    """The square of `square` as a COCO polygon."""
    return [x, y, x + side, y, x + side, y + side, x, y + side]


RRSISD_SENTENCES = {
    1: ["the red square on the left", "a red square beside the edge"],
    2: ["two overlapping squares"],
    3: ["the square in the middle\n"],
    4: ["the square at the top"],
    9976: ["the square of the tall image"],
    15324: ["the square of the low image"],
}
"""Image number -> the sentences of its one ref."""


def write_rrsisd(root: Path) -> Path:
    """Write RRSIS-D: 6 refs, 7 sentences; splits train (images 1, 2), val (3), test (4, 9976, 15324).

    Image 1: two sentences. 2: two run-length segments that overlap on an 8 x 16 strip, which published masks lack. 3:
    two overlapping polygons, and a newline at the end of the sentence. 4: one uncompressed segment, not in a list.
    9976 is 64 wide and 65 high, 15324 64 wide and 63 high; both have masks of 64 x 64.
    """
    left, right = square(8, 8), square(16, 8)
    segments: dict[int, Any] = {
        1: [rle(square(0, 24))],
        2: [rle(left), rle(right)],
        3: [box_polygon(24, 24), box_polygon(32, 24)],
        4: uncompressed_rle(square(24, 0)),
        9976: [rle(square(40, 48))],
        15324: [rle(square(4, 40))],
    }
    shown = {1: square(0, 24), 2: left | right, 3: square(24, 24) | square(32, 24), 4: square(24, 0)}
    shown[9976], shown[15324] = square(40, 48, size_hw=(65, 64)), square(4, 40, size_hw=(63, 64))
    splits = {1: "train", 2: "train", 3: "val"}
    folder = root / "images" / "rrsisd" / "JPEGImages"
    folder.mkdir(parents=True)
    (root / "rrsisd").mkdir()
    refs, images, annotations = [], [], []
    for position, number in enumerate(segments):
        name = f"{number:05d}.jpg"
        picture(shown[number], number).save(folder / name, quality=95)
        images.append({"id": number, "file_name": name, "height": SIDE, "width": SIDE})
        annotations.append(
            {
                "id": 100 + position,
                "image_id": number,
                "category_id": 1 + position % 2,
                "segmentation": segments[number],
                "area": int(shown[number].sum()),
                "bbox": [0, 0, SIDE, SIDE],
                "iscrowd": 0,
            }
        )
        sentences = [
            {"raw": text, "sent": text.strip(), "sent_id": 10 * position + k, "tokens": text.split()}
            for k, text in enumerate(RRSISD_SENTENCES[number])
        ]
        refs.append(
            {
                "ref_id": position,
                "ann_id": 100 + position,
                "image_id": number,
                "category_id": 1 + position % 2,
                "file_name": name,
                "split": splits.get(number, "test"),
                "sentences": sentences,
                "sent_ids": [sentence["sent_id"] for sentence in sentences],
            }
        )
    categories = [{"id": 1, "name": "vehicle"}, {"id": 2, "name": "storagetank"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "rrsisd" / "instances.json").write_text(json.dumps(content))
    (root / "rrsisd" / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol=2))
    return root


def write_refsegrs(root: Path) -> Path:
    """Write RefSegRS: train (2 images, 3 phrases), val (1), test (2).

    Mask 1 is grey with a faint square of 50 that does not count; mask 2 is 16-bit, 3 a palette of black and white, 4
    RGB, 5 one bit a pixel and empty. Phrases end in a newline, one in a space, the last of a file in nothing.
    """
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    shown = {1: square(4, 4), 2: square(20, 20), 3: square(40, 8), 4: square(8, 40), 5: square(0, 0, 0)}
    for number, mask in shown.items():
        picture(mask, number).save(root / "images" / f"{number}.tif")
    faint = np.where(square(40, 40), 50, 0)
    grey = np.where(shown[1], 51, faint).astype(np.uint8)
    palette = Image.fromarray(shown[3].astype(np.uint8), mode="L").convert("P")
    palette.putdata(shown[3].astype(np.uint8).ravel().tolist())
    palette.putpalette([0, 0, 0, 255, 255, 255])
    masks = {
        1: Image.fromarray(grey),
        2: Image.fromarray(shown[2].astype(np.uint16) * 255),
        3: palette,
        4: Image.fromarray(np.repeat(shown[4][..., None], 3, axis=2).astype(np.uint8) * 255),
        5: Image.fromarray(shown[5]),
    }
    for number, image in masks.items():
        image.save(root / "masks" / f"{number}.tif")
    phrases = {
        "train": "1 vehicle\n1 light-duty vehicle on the left\n2 building in the middle \n",
        "val": "3 road marking",
        "test": "4 impervious surface\n5 bikeway\n",
    }
    for split, text in phrases.items():
        (root / f"output_phrase_{split}.txt").write_text(text)
    return root


def write_jsonl(root: Path) -> Path:
    """Write referring JSONL: 6 samples of 3 images; splits train (4), val (1), test (1).

    Targets as a PNG with palette, a 16-bit PNG, compressed and uncompressed run lengths, a polygon, and `null`.
    """
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for number, mask in enumerate((square(4, 4), square(30, 30), square(44, 8))):
        picture(mask, number).save(root / "images" / f"{number}.png")
    palette = Image.fromarray(square(4, 4).astype(np.uint8), mode="P")
    palette.putpalette([0, 0, 0, 200, 0, 0])
    palette.save(root / "masks" / "palette.png")
    Image.fromarray(square(30, 30).astype(np.uint16)).save(root / "masks" / "deep.png")
    lines: list[dict[str, Any]] = [
        {"image": "images/0.png", "sentence": "the red square", "mask": "masks/palette.png", "split": "train"},
        {"image": "images/1.png", "sentence": "the square in the middle", "mask": "masks/deep.png", "split": "train"},
        {
            "image": "images/1.png",
            "sentence": "the square",
            "segmentation": rle(square(30, 30)),
            "split": "train",
            "category": "square",
            "id": "by-rle",
        },
        {"image": "images/0.png", "sentence": "the blue circle", "segmentation": None, "split": "train"},
        {
            "image": "images/2.png",
            "sentence": "the square on the right",
            "segmentation": uncompressed_rle(square(44, 8)),
            "split": "val",
        },
        {
            "image": "images/2.png",
            "sentence": "the upper square",
            "segmentation": [box_polygon(44, 8)],
            "split": "test",
        },
    ]
    (root / "annotations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


def write_coco(root: Path, with_refs: bool = False) -> Path:
    """Write COCO instances of 2 images with 4 sentences; splits train (image 1) and test (image 2).

    Args:
        root: folder to make.
        with_refs: put the sentences into `refs.json` (one of them about two annotations, one about nothing), not into
            the annotations.
    """
    (root / "images").mkdir(parents=True)
    picture(square(4, 4) | square(40, 40), 1).save(root / "images" / "a.jpg", quality=95)
    picture(square(20, 20), 2).save(root / "images" / "b.jpg", quality=95)
    annotations: list[dict[str, Any]] = [
        {"id": 1, "image_id": 1, "category_id": 3, "segmentation": [box_polygon(4, 4)], "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 3, "segmentation": rle(square(40, 40)), "iscrowd": 1},
        {"id": 3, "image_id": 2, "category_id": 5, "segmentation": [box_polygon(20, 20)], "iscrowd": 0},
    ]
    if with_refs:
        refs = [
            {"ref_id": 7, "ann_id": 1, "sentences": [{"sent": "the upper tank"}, {"raw": "the tank on the left"}]},
            {"ref_id": 8, "ann_ids": [1, 2], "sentences": ["all tanks"], "split": "train"},
            {"ref_id": 9, "image_id": 2, "ann_ids": [], "sentence": "the harbour", "split": "test"},
        ]
        (root / "refs.json").write_text(json.dumps(refs))
    else:
        annotations[0]["sentences"] = ["the upper tank", "the tank on the left"]
        annotations[1]["sentence"] = "the lower tank"
        annotations[2]["caption"] = "the ship"
    content = {
        "images": [
            {"id": 1, "file_name": "a.jpg", "height": SIDE, "width": SIDE, "split": "train"},
            {"id": 2, "file_name": "b.jpg", "height": SIDE, "width": SIDE, "split": "test"},
        ],
        "annotations": annotations,
        "categories": [{"id": 3, "name": "storage tank"}, {"id": 5, "name": "ship"}],
    }
    (root / "instances.json").write_text(json.dumps(content))
    return root


if __name__ == "__main__":
    out = Path(sys.argv[1])
    for write in (write_rrsisd, write_refsegrs, write_jsonl, write_coco):
        write(out / write.__name__.removeprefix("write_"))
