"""Models that cost a millisecond (a graph that finds red, small ones for torch), and what a run of one left."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from fuzz.contract import RefusedError, command
from tests.make_rasters import write_tiff
from tests.small_model import COMPACT, write_small_model

RED, TORCH, ONCE = "red", "torch", "once"
"""Folders of models below the one that `make_models` fills."""
KEPT = "kept"
"""What a run with probabilities left (`segment/`), and batches of two pictures and a scene with a CRS (`batch-gpkg/`,
a folder for each format of polygons that can be written here), the images in `in/`."""
FORMATS = ("gpkg", "geojson", "fgb", "parquet", "shp")
SIDE = 64


def make_models(folder: Path, *, with_torch: bool) -> None:
    """Write the folders of models.

    Args:
        folder: where they go.
        with_torch: write those for torch too, which takes seconds.
    """
    _write_red(folder / RED)
    _write_kept(folder / KEPT, folder / RED)
    if with_torch:
        from tests.small_once import write_once_model

        write_small_model(folder / TORCH)
        write_once_model(folder / ONCE)


def _write_red(folder: Path) -> None:
    """A model folder with a graph that finds what is more red than green."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    folder.mkdir(parents=True)
    kernel = np.zeros((1, 3, 4, 4), np.float32)
    kernel[:, 0], kernel[:, 1] = 1 / 16, -1 / 16
    inputs = [
        helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, "side", "side"]),
        helper.make_tensor_value_info("union_pixel_values", TensorProto.FLOAT, ["batch", 3, "small", "small"]),
        helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"]),
        helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "length"]),
    ]
    logits = helper.make_tensor_value_info("low_res_logits", TensorProto.FLOAT, ["batch", "h", "w"])
    nodes = [
        helper.make_node("Conv", ["pixel_values", "kernel"], ["maps"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Squeeze", ["maps", "axes"], ["low_res_logits"]),
    ]
    weights = [
        numpy_helper.from_array(kernel, "kernel"),
        numpy_helper.from_array(np.array([1], np.int64), "axes"),
    ]
    graph = helper.make_graph(nodes, "red", inputs, [logits], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    (folder / "config.json").write_text(json.dumps({"model_type": "rs2sam"}), encoding="utf-8")
    sizes = {"image_size": SIDE, "union_image_size": SIDE // 2, "max_text_tokens": 64, "choose_in_view": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(sizes), encoding="utf-8")
    shutil.copyfile(COMPACT / "tokenizer.model", folder / "tokenizer.model")


def _write_kept(folder: Path, model: Path) -> None:
    """Results of `rs2sam segment` and `rs2sam batch` on two pictures."""
    (folder / "in").mkdir(parents=True)
    rgb = np.full((70, 90, 3), (40, 120, 50), np.uint8)
    rgb[5:25, 5:35] = rgb[40:50, 60:70] = (220, 30, 30)
    for name in ("a", "b"):
        Image.fromarray(rgb).save(folder / "in" / f"{name}.png")
    write_tiff(folder / "in" / "c.tif", rgb)
    how = ("--model", str(model), "--threads", "1")
    command(
        "segment",
        str(folder / "in" / "a.png"),
        "the roofs",
        "-o",
        str(folder / "segment"),
        "--keep-probabilities",
        *how,
    )
    for kind in FORMATS:
        with suppress(RefusedError):  # its library is not installed
            command(
                "batch", str(folder / "in"), "the roofs", "-o", str(folder / f"batch-{kind}"), "--format", kind, *how
            )
