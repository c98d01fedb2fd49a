"""What earlier runs left, and lists of scenes, of which some part is odd: refined, gone on with, read."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from fuzz.areas import rasters
from fuzz.contract import Box, Try, WrongResultError, command, require, strict_json
from fuzz.mutations import TEXTS, as_json, mutate_bytes, mutate_text, mutate_tree, written
from fuzz.standin import FORMATS, KEPT, RED

_OPTIONS: tuple[tuple[str, ...], ...] = (
    ("--threshold", "0.6"), ("--threshold", "0.005"), ("--min-area", "40px"), ("--min-area", "20m2"),
    ("--simplify", "0.5"), ("--orthogonal",), ("--format", "geojson"), ("--format", "shp"), ("--class-map",),
)  # fmt: skip


def make(rng: random.Random, box: Box) -> Try:
    """Something that was left, and what goes on from it."""
    kind = rng.random()
    if kind < 0.5:
        return _refinement(rng, box)
    if kind < 0.75:
        return _unfinished_batch(rng, box)
    return _list(rng, box)


def _refinement(rng: random.Random, box: Box) -> Try:
    """`rs2sam refine` on a result of which a file is odd."""
    kept = box.inputs / "kept"
    shutil.copytree(box.models / KEPT / "segment", kept)
    for _ in range(rng.choice((0, 1, 1, 2))):
        _spoil(rng, rng.choice(sorted(kept.glob("a_result.json")) * 2 + sorted(kept.glob("*prob*"))), kept)
    options = [word for option in rng.sample(_OPTIONS, rng.choice((0, 1, 2))) for word in option]
    sentences = rng.choice(((), (), ("the roofs",), ("the largest roof",), (rng.choice(TEXTS[4:7]) or "x",)))
    given = kept if rng.random() < 0.7 else kept / "a_result.json"
    words = ("refine", str(given), "-o", str(box.out), *options, "--", *(one.replace("\0", "") for one in sentences))
    return lambda: _refine(box, words)


def _spoil(rng: random.Random, path: Path, folder: Path) -> None:
    """Change one file."""
    if not path.exists():
        return
    if rng.random() < 0.05:
        path.unlink()
    elif path.suffix == ".json":
        try:
            tree = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            tree = {}
        path.write_bytes(written(as_json(rng, mutate_tree(rng, tree))))
    elif rng.random() < 0.3:
        rasters.write_tiff(rng, folder / "other.tif")
        (folder / "other.tif").replace(path)
    else:
        change = rasters.mutate_tiff if rng.random() < 0.6 else mutate_bytes
        path.write_bytes(change(rng, path.read_bytes()))


def _refine(box: Box, words: tuple[str, ...]) -> None:
    """Run it; mask and report have to agree."""
    command(*words)
    (file,) = box.out.glob("*_result.json")
    report = strict_json(file.read_text(encoding="utf-8"))
    with rasterio.open(file.parent / report["outputs"]["mask"]) as mask:
        bands = mask.read()
    require(len(bands) == len(report["sentences"]) > 0, "a band a sentence")
    for band, found in zip(bands, report["sentences"], strict=True):
        require(set(np.unique(band)) <= {0, 1, 255}, "the mask has other values than 0, 1 and 255")
        require(int((band == 1).sum()) == found["pixels"], "mask and report count differently")


def _unfinished_batch(rng: random.Random, box: Box) -> Try:
    """A batch gone on with, whose journal or results are odd."""
    kind = rng.choice(FORMATS)
    if not (box.models / KEPT / f"batch-{kind}").is_dir():
        kind = FORMATS[0]
    shutil.copytree(box.models / KEPT / f"batch-{kind}", box.out)
    shutil.copytree(box.models / KEPT / "in", box.inputs / "in")
    files = sorted(path for path in box.out.rglob("*") if path.is_file())
    journals = [path for path in files if path.suffix == ".jsonl"]
    for _ in range(rng.choice((1, 1, 2))):
        path = rng.choice(files if rng.random() < 0.3 else journals or files)
        content = path.read_bytes()
        if rng.random() < 0.1:
            path.unlink()
            files.remove(path)
            journals = [path for path in journals if path in files]
        elif path.suffix == ".jsonl" and rng.random() < 0.6:
            path.write_bytes(_spoiled_lines(rng, content))
        else:
            path.write_bytes(mutate_bytes(rng, content))
    words = ["batch", str(box.inputs / "in"), "the roofs", "-o", str(box.out), "--format", kind]
    options = rng.sample(("--overwrite", "--retry-failed", "--dry-run", "--no-catalog"), rng.choice((0, 0, 1)))
    return lambda: _batch(box, [*words, *options])


def _spoiled_lines(rng: random.Random, content: bytes) -> bytes:
    """Lines of JSON, one of them odd, gone or twice there."""
    lines = content.decode("utf-8", "replace").splitlines()
    at = rng.randrange(len(lines)) if lines else 0
    kind = rng.random()
    if not lines or kind < 0.2:
        lines[at:at] = [rng.choice(("{}", "[]", "null", "x", '{"event": "done"}', "\ufeff"))]
    elif kind < 0.35:
        del lines[at]
    elif kind < 0.5:
        lines[at:at] = [lines[at]]
    else:
        try:
            lines[at] = as_json(rng, mutate_tree(rng, json.loads(lines[at])))
        except (ValueError, RecursionError):
            lines[at] = "{}"
    return written("\n".join(lines) + rng.choice(("\n", "\n", "")))


def _batch(box: Box, words: list[str]) -> None:
    """Run it; what it says was done is there."""
    given = ("--model", str(box.models / RED), "--threads", "1", "--attempts", "1", "--json")
    ran = command(*words, *given, partly=("failed: ", "incomplete: "))
    if "--dry-run" in words:
        return
    summary = strict_json(ran.out)
    done = [path for path in box.out.rglob("*_result.json") if not path.parts[-2].startswith(".")]
    if len(done) < summary["done"]:
        raise WrongResultError(f"{summary['done']} scenes are done, and {len(done)} results are there")
    # Of a scene that is said to have failed lies what the case itself damaged: the batch did not write it.
    failed = {box.out / f"{Path(one['scene']).with_suffix('')}_result.json" for one in summary["failed"]}
    for path in set(done) - failed:
        strict_json(path.read_text(encoding="utf-8"))


def _list(rng: random.Random, box: Box) -> Try:
    """Scenes named by a list, or by an ItemCollection, that is odd."""
    shutil.copytree(box.models / KEPT / "in", box.inputs / "in")
    if rng.random() < 0.5:
        text = "in/a.png\nin/b.png\n# nothing\n\n"
        path = box.inputs / "scenes.txt"
        extra = tuple(f"{name}\n" for name in ("in/a.png", "in", "gone.tif", "GTIFF_DIR:1:in/a.png", "in/../in/b.png"))
        text = mutate_text(rng, text, (*TEXTS, *extra))
        path.write_bytes(mutate_bytes(rng, written(text)) if rng.random() < 0.1 else written(text))
    else:
        path = box.inputs / "items.json"
        path.write_bytes(written(as_json(rng, mutate_tree(rng, _items()))))
    return lambda: _batch(box, ["batch", str(path), "the roofs", "-o", str(box.out)])


def _items() -> dict[str, Any]:
    """A STAC ItemCollection of two pictures."""
    features = [
        {
            "type": "Feature",
            "stac_version": "1.0.0",
            "id": name,
            "bbox": [0, 0, 1, 1],
            "geometry": None,
            "properties": {"datetime": "2026-01-01T00:00:00Z"},
            "links": [],
            "assets": {"visual": {"href": f"in/{name}.png", "type": "image/png", "roles": ["data"]}},
        }
        for name in ("a", "b")
    ]
    return {"type": "FeatureCollection", "features": features}
