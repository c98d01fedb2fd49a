"""A model folder's graphs, which read their weights from the `model.safetensors` beside them (`rs2sam.export.graphs`).

    python -m rs2sam.export.onnx_export FOLDER

A model whose trunk reads the sentence gets `model.onnx`, one that encodes pictures once `image.onnx` and
`sentence.onnx` (`rs2sam.export.onnx_once`).
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rs2sam.backends.onnx import OnnxBackend, open_session
from rs2sam.backends.protocol import ONNX_FILE
from rs2sam.backends.torch import TorchBackend, load_model
from rs2sam.errors import CheckpointError
from rs2sam.export.exported import INPUT_NAMES, Shapes, TensorsOnly, difference, output_names
from rs2sam.export.graphs import FREE, TOLERANCE, share_weights, stored_tensors, traced
from rs2sam.export.onnx_forms import written_for_onnx
from rs2sam.export.onnx_once import export_graphs
from rs2sam.models.rs2sam import RS2SamModel
from rs2sam.models.weights.kinds import ENCODE_ONCE_MODEL_TYPE, model_type

logger = logging.getLogger(__name__)


def export_onnx(folder: str | Path, shapes: Shapes = FREE, standard_operators: bool = False) -> Path:
    """Write `model.onnx` beside the weights of a model folder and check that it computes the same.

    The image sizes are the configured ones. The file appears only once it is whole and checked.

    Args:
        folder: what `RS2SamModel.save_pretrained` writes, as float32 or float16 safetensors.
        shapes: batch size and sentence length, free by default.
        standard_operators: only those of the ONNX standard, for other runtimes than ONNX Runtime; slower there.

    Returns:
        The path of `model.onnx`; of a model that encodes pictures once that of `image.onnx`, `sentence.onnx` beside it.

    Raises:
        MissingDependencyError: the exporter is not installed.
        CheckpointError: the folder cannot be loaded, or the graph computes something else.
    """
    folder = Path(folder)
    if model_type(folder) == ENCODE_ONCE_MODEL_TYPE:
        return export_graphs(folder, shapes, standard_operators)
    model = load_model(folder)
    with nullcontext() if standard_operators else written_for_onnx(model):
        graph = export_graph(model, shapes)
    num_shared = share_weights(graph, stored_tensors(folder))
    logger.info("%d initializers of the graph are read from the safetensors file", num_shared)
    target, draft = folder / ONNX_FILE, folder / f".draft-{ONNX_FILE}"
    try:
        draft.write_bytes(graph.SerializeToString())
        error = largest_difference(draft, model, shapes)
        if error > TOLERANCE:
            raise CheckpointError(
                f"ONNX Runtime must compute what torch does within {TOLERANCE:g} (relative L2), but the export of "
                f"{folder} differs by {error:.2g}. The folder is left as it was; report this with your versions of "
                "torch and onnxruntime."
            )
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    logger.info("%s: %d bytes, relative difference to torch %.2g", target, target.stat().st_size, error)
    return target


def export_graph(model: RS2SamModel, shapes: Shapes = FREE) -> Any:
    """The graph of a float32 model as an ONNX `ModelProto` that holds all its weights.

    Raises:
        MissingDependencyError: the exporter is not installed.
    """
    config = model.config
    return traced(TensorsOnly(model), shapes.example(config), INPUT_NAMES, output_names(config), shapes.dynamic(config))


def largest_difference(file: Path, model: RS2SamModel, shapes: Shapes = FREE) -> float:
    """Largest relative L2 difference of any output, ONNX Runtime against torch, on noise."""
    onnx_backend, torch_backend = OnnxBackend(open_session(file)), TorchBackend(model, "cpu")
    return max(
        difference(onnx_backend.run(*arrays), torch_backend.run(*arrays)) for arrays in shapes.cases(model.config)
    )


if __name__ == "__main__":
    logger.addHandler(logging.StreamHandler())
    logger.setLevel(logging.INFO)
    export_onnx(sys.argv[1])
