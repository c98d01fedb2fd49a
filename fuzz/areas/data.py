"""Data sets of every format with odd entries, masks and images: read, checked, converted, drawn."""

from __future__ import annotations

import json
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fuzz.areas import rasters
from fuzz.contract import Box, RefusedError, Try, command, require, strict_json
from fuzz.mutations import HUGE, NUMBERS, TEXTS, as_json, mutate_bytes, mutate_text, mutate_tree, odd, written

SIDE = 24
_RUNS = (
    {"size": [SIDE, SIDE], "counts": [100, 50, 426]},
    {"size": [SIDE, SIDE], "counts": "T3b1Z="},
    {"size": [4, 3], "counts": [2, 3, 7]},
)
_POLYGONS = ([[2, 2, 20, 2, 20, 20, 2, 20]], [[1.5, 1.5, 9, 3, 4, 12], [15, 15, 20, 15, 20, 20]])


def make(rng: random.Random, box: Box) -> Try:
    """A data set and what is done with it."""
    if rng.random() < 0.2:
        segmentation = mutate_tree(rng, rng.choice((*_RUNS, *_POLYGONS))) if rng.random() < 0.8 else _odd_runs(rng)
        return lambda: _decode(segmentation)
    root = box.inputs / "set"
    root.mkdir()
    rng.choice((_jsonl, _jsonl, _coco, _coco, _rrsisd, _refsegrs))(rng, root)
    kind = rng.random()
    if kind < 0.4:
        return lambda: _read(root)
    if kind < 0.6:
        box.out.mkdir()
        return lambda: _check(root, box)
    if kind < 0.85:
        images = rng.choice(("copy", "link", "reference"))
        return lambda: _convert(root, box, images)
    box.out.mkdir()
    return lambda: _show(root, box)


def _odd_runs(rng: random.Random) -> Any:
    """Run lengths whose sizes and numbers are odd together."""
    size = [rng.choice((1, 4, SIDE, *NUMBERS, HUGE)), rng.choice((1, 4, SIDE, *NUMBERS, HUGE))]
    counts: Any = [rng.choice((0, 1, 2, 7, *NUMBERS, HUGE)) for _ in range(rng.choice((0, 1, 3, 9)))]
    if rng.random() < 0.4:
        counts = "".join(
            chr(rng.choice((rng.randrange(48, 112), rng.randrange(300)))) for _ in range(rng.choice((1, 5, 40)))
        )
    return {"size": size, "counts": counts}


def _image(rng: random.Random, path: Path) -> None:
    """An image of a data set, in part odd."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if rng.random() < 0.15:
        content = rasters.picture(rng)[1]
    elif rng.random() < 0.15:
        rasters.write_tiff(rng, path)
        content = path.read_bytes()
    else:
        Image.new(rng.choice(("RGB", "RGB", "L")), (SIDE, SIDE), 80).save(path, "PNG")
        content = path.read_bytes()
    path.write_bytes(mutate_bytes(rng, content) if rng.random() < 0.15 else content)


def _mask(rng: random.Random, path: Path) -> None:
    """A mask file, in part odd."""
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.zeros((SIDE, SIDE), np.uint8)
    levels[4:9, 4:12] = rng.choice((1, 255))
    picture = Image.fromarray(levels)
    mode = rng.choice(("L", "L", "1", "P", "RGB", "I;16", "LA", "RGBA"))
    try:
        picture.convert(mode).save(path, rng.choice(("PNG", "TIFF")))
    except (OSError, ValueError):
        picture.save(path, "PNG")
    if rng.random() < 0.2:
        path.write_bytes(mutate_bytes(rng, path.read_bytes()))


def _segmentation(rng: random.Random) -> Any:
    """A segmentation, in part odd."""
    return rng.choice((None, odd(rng), _odd_runs(rng))) if rng.random() < 0.15 else rng.choice((*_RUNS[:2], *_POLYGONS))


def _jsonl(rng: random.Random, root: Path) -> None:
    """JSON lines."""
    _image(rng, root / "images" / "a.png")
    _mask(rng, root / "masks" / "a.png")
    lines = []
    for number in range(rng.choice((1, 2, 5))):
        entry: dict[str, Any] = {
            "image": "images/a.png",
            "sentence": rng.choice(("the pool", "all ships")),
            "id": str(number),
        }
        if rng.random() < 0.5:
            entry["mask"] = "masks/a.png"
        else:
            entry["segmentation"] = _segmentation(rng)
        for name, value in {"split": "train", "category": "pool", "kind": "class", "ref_id": 3, "ignore": 255}.items():
            if rng.random() < 0.2:
                entry[name] = value
        if rng.random() < 0.2:
            entry[rng.choice(("category_segmentation", "ignore_segmentation"))] = _segmentation(rng)
        lines.append(as_json(rng, mutate_tree(rng, entry) if rng.random() < 0.4 else entry))
    content = written(rng.choice(("\n", "\n", "\r\n", "\n\n")).join(lines))
    name = rng.choice(("annotations.jsonl", "train.jsonl", "a.jsonl"))
    (root / name).write_bytes(mutate_bytes(rng, content) if rng.random() < 0.1 else content)


def _instances(rng: random.Random) -> dict[str, Any]:
    """A COCO file."""
    annotations = [
        {
            "id": number,
            "image_id": 1,
            "category_id": 1,
            "segmentation": _segmentation(rng),
            "bbox": [1, 1, 5, 5],
            "area": 25,
        }
        for number in range(1, 1 + rng.choice((1, 2, 6)))
    ]
    return {
        "images": [{"id": 1, "file_name": "a.png", "height": SIDE, "width": SIDE}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "pool"}],
    }


def _coco(rng: random.Random, root: Path) -> None:
    """COCO instances with sentences."""
    _image(rng, root / "images" / "a.png")
    content: Any = _instances(rng)
    refs: Any = [
        {"ref_id": 1, "ann_id": 1, "sentences": ["the pool"], "split": "test"},
        {"ref_id": 2, "ann_ids": [1], "sentence": "a pool"},
    ]
    for annotation in content["annotations"]:
        annotation[rng.choice(("sentence", "sentences", "caption"))] = rng.choice(
            ("the pool", ["the pool", {"raw": "a pool "}])
        )
    if rng.random() < 0.6:
        content = mutate_tree(rng, content)
    (root / "instances.json").write_bytes(written(as_json(rng, content)))
    if rng.random() < 0.5:
        (root / "refs.json").write_bytes(written(as_json(rng, mutate_tree(rng, refs) if rng.random() < 0.6 else refs)))


def _rrsisd(rng: random.Random, root: Path) -> None:
    """RRSIS-D: a pickle of refs beside instances."""
    _image(rng, root / "images" / "rrsisd" / "JPEGImages" / "a.png")
    (root / "rrsisd").mkdir()
    content: Any = _instances(rng)
    refs: Any = [{"ref_id": 1, "ann_id": 1, "image_id": 1, "split": "test", "category_id": 1,
                  "sentences": [{"raw": "the pool", "sent": "pool", "tokens": ["pool"]}]}]  # fmt: skip
    if rng.random() < 0.4:
        content = mutate_tree(rng, content)
    if rng.random() < 0.5:
        refs = mutate_tree(rng, refs)
    (root / "rrsisd" / "instances.json").write_bytes(written(as_json(rng, content)))
    pickled = pickle.dumps(refs, protocol=rng.choice((0, 2, 4)))
    if rng.random() < 0.1:
        pickled = rng.choice(
            (b"cos\nsystem\n(S'true'\ntR.", b"\x80\x04\x8c\x05posix\x8c\x06system\x93.", b"c__builtin__\neval\n.")
        )
    (root / "rrsisd" / "refs(unc).p").write_bytes(mutate_bytes(rng, pickled) if rng.random() < 0.5 else pickled)


def _refsegrs(rng: random.Random, root: Path) -> None:
    """RefSegRS: lines of a name and a phrase."""
    _image(rng, root / "images" / "7.tif")
    _mask(rng, root / "masks" / "7.tif")
    text = "7 the pool\n7 all ships\n"
    text = mutate_text(rng, text, (*TEXTS, "7 ", "\n")) if rng.random() < 0.7 else text
    (root / f"output_phrase_{rng.choice(('train', 'val', 'test'))}.txt").write_bytes(written(text))


def _decode(segmentation: Any) -> None:
    """One segmentation alone."""
    from rs2sam.datasets.readers.masks import check_segmentation, decode

    check_segmentation(segmentation, "here")
    mask = decode(segmentation, (SIDE, SIDE))
    require(mask.dtype == np.bool_ and mask.ndim == 2, "no mask")


def _read(root: Path) -> None:
    """Every sample, as training reads it."""
    from rs2sam.datasets.readers.reading import open_dataset

    for sample in open_dataset(root).samples():
        require(bool(sample.sentence.strip()), "a blank sentence")
        rgb = sample.pixels()
        require(rgb.dtype == np.uint8 and rgb.ndim == 3, "no RGB")
        size_hw = rgb.shape[0], rgb.shape[1]
        target, unknown = sample.target(size_hw), sample.ignored(size_hw)
        require(target.shape == size_hw, "a target of another size")
        require(unknown is None or unknown.shape == size_hw, "unknown pixels of another size")
        sample.category_target(size_hw)
        sample.target(size_hw, resize_to=(16, 16))


def _check(root: Path, box: Box) -> None:
    """`rs2sam data check`: its report is there whatever it found."""
    report = box.out / "report.json"
    found = True
    try:
        command("data", "check", str(root), "--json", str(report), "--workers", "1")
    except RefusedError as error:
        found = " has " in str(error) and "error" in str(error)
        if not found:
            raise
    if report.exists():
        strict_json(report.read_text(encoding="utf-8"))


def _convert(root: Path, box: Box, images: str) -> None:
    """`rs2sam data convert`: what was written is read again, to the same targets."""
    from rs2sam.datasets.readers.reading import open_dataset

    command("data", "convert", str(root), str(box.out), "--images", images)
    for line in (box.out / "annotations.jsonl").read_text(encoding="utf-8").splitlines():
        strict_json(line)
    before = open_dataset(root).samples()
    after = open_dataset(box.out).samples()
    require(len(before) == len(after), "samples were lost")
    for old, new in zip(before, after, strict=True):
        old_mask, new_mask = old.annotation(), new.annotation()
        require((old_mask is None) == (new_mask is None), "a target came or went")
        require(old_mask is None or bool((old_mask == new_mask).all()), "another target")


def _show(root: Path, box: Box) -> None:
    """`rs2sam data show`."""
    command("data", "show", str(root), str(box.out / "sheet.png"), "--count", "3", "--side", "64")
    with Image.open(box.out / "sheet.png") as sheet:
        sheet.load()
    require(json.dumps(sheet.size) != "[0, 0]", "an empty sheet")
