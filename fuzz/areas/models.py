"""Model folders, checkpoints and recipes of which some part is odd: loaded, asked, converted."""

from __future__ import annotations

import io
import json
import random
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from fuzz.contract import Box, Try, command, require, strict_json
from fuzz.mutations import NUMBERS, TEXTS, as_json, mutate_bytes, mutate_text, mutate_tree, written
from fuzz.standin import ONCE, RED, TORCH

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


def make(rng: random.Random, box: Box) -> Try:
    """A model and what is done with it."""
    kind = rng.random()
    if kind < 0.2:
        return _recipe(rng, box)
    if kind < 0.35:
        return _checkpoint(rng, box)
    folder = box.inputs / "model"
    source, backend = rng.choice(((RED, "onnx"), (TORCH, "torch"), (ONCE, "torch")))
    shutil.copytree(box.models / source, folder)
    for _ in range(rng.choice((1, 1, 2))):
        _spoil(rng, folder)
    if kind < 0.9:
        given = rng.choice((backend, None))
        return lambda: _ask(folder, given)
    arguments = ("convert", str(folder), str(box.out), "--dtype", "float16")
    return lambda: _convert(box, *arguments)


def _spoil(rng: random.Random, folder: Path) -> None:
    """Change one file of a model folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    if not files:
        return
    path = rng.choice(files)
    content = path.read_bytes()
    if rng.random() < 0.04:
        path.unlink()
    elif rng.random() < 0.03:
        path.write_bytes(b"")
    elif path.suffix == ".json":
        tree = _tree(content)
        if path.name == "preprocessor_config.json" and isinstance(tree, dict) and rng.random() < 0.4:
            tree["first_pass"] = {"tiles": 4, "threshold": 0.3, "recall_loss": 0.01, "skipped": 0.5, "is_default": True}
            tree["gsd_range_m"] = [0.1, 5.0]
        path.write_bytes(written(as_json(rng, mutate_tree(rng, tree))))
    elif path.suffix == ".safetensors":
        path.write_bytes(_spoiled_tensors(rng, content))
        if rng.random() < 0.1:
            _index(rng, folder, path)
    elif path.suffix == ".onnx":
        path.write_bytes(_spoiled_graph(rng, content))
    else:
        path.write_bytes(mutate_bytes(rng, content))


def _tree(content: bytes) -> Any:
    """JSON, or nothing where an earlier change made it none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return {}


def _spoiled_tensors(rng: random.Random, content: bytes) -> bytes:
    """Safetensors with an odd header, or odd bytes."""
    if rng.random() < 0.3 or len(content) < 8:
        return mutate_bytes(rng, content)
    (length,) = struct.unpack_from("<Q", content)
    if rng.random() < 0.3:
        # Values that no model has: not-a-number, infinity, all zero.
        half = rng.choice((0x7E00, 0x7C00, 0xFC00, 0, 0x7BFF)).to_bytes(2, "little")
        start = 8 + length + 2 * rng.randrange(max(1, (len(content) - 8 - length) // 2))
        count = rng.choice((1, 100, 100_000))
        filled = content[:start] + half * count
        return filled[: len(content)] + content[len(filled) :]
    try:
        header = json.loads(content[8 : 8 + length])
    except ValueError:
        return mutate_bytes(rng, content)
    text = json.dumps(mutate_tree(rng, header)).encode("utf-8", "surrogatepass")
    claimed = len(text) if rng.random() < 0.9 else rng.choice((0, 1, 2**32, 2**63, len(text) + 1))
    return struct.pack("<Q", claimed % 2**64) + text + content[8 + length :]


def _index(rng: random.Random, folder: Path, weights: Path) -> None:
    """Weights as one shard of an index that names odd places."""
    weights.rename(folder / "model-00001-of-00001.safetensors")
    name = rng.choice(
        ("model-00001-of-00001.safetensors", "../x.safetensors", "/etc/passwd", "", "gone.safetensors", 5, None)
    )
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}), encoding="utf-8")


def _spoiled_graph(rng: random.Random, content: bytes) -> bytes:
    """An ONNX graph of other shapes, types, operators or bytes."""
    import onnx
    from onnx import TensorProto, helper

    if rng.random() < 0.5:
        return mutate_bytes(rng, content, most=3)
    try:
        model = onnx.load_from_string(content)
    except Exception:  # an earlier change made it none
        return mutate_bytes(rng, content)
    graph = model.graph
    kind = rng.randrange(6)
    values = [*graph.input, *graph.output]
    if not values or not graph.node:
        return mutate_bytes(rng, content)
    if kind == 0:
        rng.choice(values).type.tensor_type.elem_type = rng.randrange(20)
    elif kind == 1:
        rng.choice(values).name = rng.choice(("", "x", "presence_logits"))
    elif kind == 2:
        rng.choice(graph.node).op_type = rng.choice(("Relu", "Identity", "Loop", "NoSuch", "Pad", "Softmax"))
    elif kind == 3:
        dimensions = rng.choice(values).type.tensor_type.shape.dim
        if dimensions:
            rng.choice(dimensions).dim_value = rng.choice((0, 1, 2, 64, 10**6, -1))
    elif kind == 4:
        output = helper.make_tensor_value_info(rng.choice(("presence_logits", "iou_scores")), TensorProto.FLOAT, None)
        graph.output.append(output)
    elif graph.initializer:
        tensor = rng.choice(graph.initializer)
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", rng.choice(("../../x", "/etc/passwd", "config.json", "gone", ""))
        tensor.raw_data = b""
    return bytes(model.SerializeToString())


def _ask(folder: Path, backend: Any) -> None:
    """Load a folder and ask it."""
    from rs2sam import Segmenter

    segmenter = Segmenter.load(folder, backend=backend, device="cpu", threads=1)
    picture = np.full((40, 48, 3), (40, 120, 50), np.uint8)
    picture[5:15, 5:15] = (220, 30, 30)
    result = segmenter.segment(picture, "the red roof")
    require(result.mask.shape == (40, 48), "a mask of another size")
    require(bool(np.isfinite(result.probability).all()), "a probability that is none")


def _convert(box: Box, *arguments: str) -> None:
    """`rs2sam convert`; what it writes can be loaded."""
    command(*arguments)
    strict_json((box.out / "config.json").read_text(encoding="utf-8"))
    _ask(box.out, "torch")


def _checkpoint(rng: random.Random, box: Box) -> Try:
    """A file that `torch.save` wrote, spoiled, and read as published weights are."""
    import torch

    content: Any = {"a.weight": torch.zeros(3, 4), "a.bias": torch.ones(3), "n": torch.zeros(2, dtype=torch.int64)}
    content = rng.choice(
        (
            content,
            {"model": content, "epoch": 3},
            {"state_dict": {}},
            [content],
            {"a": 5},
            {"module": {"module": content}},
        )
    )
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=rng.random() < 0.7)
    data = stream.getvalue()
    if rng.random() < 0.1:
        data = rng.choice(
            (b"cos\nsystem\n(S'true'\ntR.", b"version https://git-lfs", b"PK\x03\x04", b"\x80\x02}q\x00.", b"{}")
        )
    path = box.inputs / rng.choice(("pytorch_model.bin", "model.pt", "model.safetensors", "model.pth"))
    path.write_bytes(mutate_bytes(rng, data, most=4) if rng.random() < 0.8 else data)
    is_read = rng.random() < 0.7
    target = box.inputs if rng.random() < 0.5 else path
    return (lambda: _read(target)) if is_read else (lambda: _convert(box, "convert", str(target), str(box.out)))


def _read(path: Path) -> None:
    """Every tensor of a checkpoint."""
    from rs2sam.models.weights.files import Checkpoint

    checkpoint = Checkpoint(path)
    for name, spec in checkpoint.specs.items():
        tensor = checkpoint.read(name)
        require(tuple(tensor.shape) == spec.shape and tensor.dtype == spec.dtype, "another tensor than was said")


def _recipe(rng: random.Random, box: Box) -> Try:
    """A recipe of ours with odd values."""
    path = box.inputs / "recipe.yaml"
    source = rng.choice(sorted(RECIPES.glob("*.yaml")))
    tree = yaml.safe_load(source.read_text(encoding="utf-8"))
    text = yaml.safe_dump(_plain(mutate_tree(rng, tree)), allow_unicode=rng.random() < 0.5)
    if rng.random() < 0.15:
        text = mutate_text(
            rng, text, ("&a *a", "!!python/object/apply:os.system ['true']", "\t", ": ", "- ", "{", *TEXTS)
        )
    path.write_bytes(written(text))
    overrides = (
        [f"{rng.choice(('steps', 'optimizer.learning_rate', 'data.side', '', 'a.b'))}={rng.choice(NUMBERS)}"]
        if rng.random() < 0.2
        else []
    )
    return lambda: _load_recipe(path, overrides)


def _plain(tree: Any) -> Any:
    """What YAML can write: half of a surrogate pair is no character of it."""
    if isinstance(tree, dict):
        return {_plain(key): _plain(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_plain(value) for value in tree]
    return tree.encode("utf-8", "replace").decode() if isinstance(tree, str) else tree


def _load_recipe(path: Path, overrides: list[str]) -> None:
    """Read a recipe; its rates are such as train."""
    from rs2sam.training.recipes.settings import load_recipe

    recipe = load_recipe(path, overrides)
    require(
        0 < recipe.optimizer.learning_rate <= 10 and 0 < recipe.optimizer.new_learning_rate <= 10,
        "a rate that cannot train",
    )
    require(1 <= recipe.batch_size <= 65_536, "a batch that cannot be held")
