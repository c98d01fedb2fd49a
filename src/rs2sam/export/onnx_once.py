"""`image.onnx` and `sentence.onnx` of a model that encodes a picture once; both read `model.safetensors` beside them.

The sides of the picture are free, in multiples of 32; a call of the second graph is about one picture and any number of
sentences of any length.

B sentences, L text tokens, h w sides of the picture [px].
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rs2sam.backends.onnx import open_session
from rs2sam.backends.onnx_once import OnnxOnceBackend
from rs2sam.backends.protocol import IMAGE_FILE, LARGEST_BATCH, SENTENCE_FILE
from rs2sam.backends.torch_once import TorchOnceBackend
from rs2sam.errors import CheckpointError, InvalidInputError
from rs2sam.export.exported import SHORTEST_SENTENCE, Shapes, difference
from rs2sam.export.graphs import FREE, TOLERANCE, share_weights, stored_tensors, traced
from rs2sam.export.onnx_forms import written_for_onnx
from rs2sam.models.configuration import COARSEST_STRIDE
from rs2sam.models.encode_once.configuration import EncodeOnceConfig
from rs2sam.models.encode_once.model import EncodeOnceModel, ImageEncoding
from rs2sam.models.weights.loading import load_encode_once

logger = logging.getLogger(__name__)

LARGEST_SIDE = 4096
"""Of a picture that the graphs take [px]."""
TEXT_NAMES = ("input_ids", "attention_mask")


class _Image(nn.Module):
    """`EncodeOnceModel.encode` with a tuple of tensors as output."""

    def __init__(self, model: EncodeOnceModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, ...]:
        """(1, 3, h, w) to the parts of an `ImageEncoding`."""
        return tuple(self.model.encode(pixel_values).given().values())


class _Sentence(nn.Module):
    """`EncodeOnceModel.answer` with tensors as inputs and a tuple of them as output, in the order of `once_outputs`."""

    def __init__(self, model: EncodeOnceModel) -> None:
        super().__init__()
        self.model = model
        self.heads = once_outputs(model.config)[1:]

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        fine: Tensor,
        cells: Tensor,
        middle: Tensor | None = None,
        coarse: Tensor | None = None,
        detail: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Two (B, L) and an `ImageEncoding` of one picture to (B, h/4, w/4) logits and (B,) of each head."""
        output = self.model.answer(ImageEncoding(fine, cells, middle, coarse, detail), input_ids, attention_mask)
        assert output.low_res_logits is not None
        return (output.low_res_logits[:, 0], *(getattr(output, name) for name in self.heads))


def once_outputs(config: EncodeOnceConfig) -> list[str]:
    """Names of the outputs of `sentence.onnx`, as the fields of `BackendOutput`."""
    heads = {"presence_logits": config.has_presence, "known_logits": config.has_known, "iou_scores": config.has_score}
    return ["low_res_logits", *(name for name, is_given in heads.items() if is_given)]


def export_graphs(folder: str | Path, shapes: Shapes = FREE, standard_operators: bool = False) -> Path:
    """Write both graphs beside the weights of a model folder and check that they compute the same.

    Args:
        folder: what `EncodeOnceModel.save_pretrained` writes of a folded model.
        shapes: must be free.
        standard_operators: only those of the ONNX standard, for other runtimes than ONNX Runtime.

    Returns:
        The path of `image.onnx`.

    Raises:
        InvalidInputError: sizes are to be fixed, or the trunk's norms are not folded.
        MissingDependencyError: the exporter is not installed.
        CheckpointError: the folder cannot be loaded, or a graph computes something else.
    """
    folder = Path(folder)
    check_free(shapes)
    model = load_encode_once(folder, torch.float32)
    if not model.config.folded:
        raise InvalidInputError(
            f"The graphs read the weights of {folder}, whose norms must be folded into its convolutions, and they are "
            "not. Export it with `rs2sam export`, which writes folded weights, or call `EncodeOnceModel.fold` before "
            "it is saved."
        )
    with nullcontext() if standard_operators else written_for_onnx(model):
        graphs = {IMAGE_FILE: _image_graph(model), SENTENCE_FILE: _sentence_graph(model)}
    stored = stored_tensors(folder)
    drafts = {name: folder / f".draft-{name}" for name in graphs}
    try:
        for name, graph in graphs.items():
            logger.info("%s: %d initializers are read from the safetensors file", name, share_weights(graph, stored))
            drafts[name].write_bytes(graph.SerializeToString())
        error = largest_difference(drafts[IMAGE_FILE], drafts[SENTENCE_FILE], model)
        if not error <= TOLERANCE:
            raise CheckpointError(
                f"ONNX Runtime must compute what torch does within {TOLERANCE:g} (relative L2), but the export of "
                f"{folder} differs by {error:.2g}. The folder is left as it was; report this with your versions of "
                "torch and onnxruntime."
            )
        for name, draft in drafts.items():
            os.replace(draft, folder / name)
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)
    logger.info("%s: relative difference to torch %.2g", folder, error)
    return folder / IMAGE_FILE


def check_free(shapes: Shapes) -> None:
    """Raise InvalidInputError where a size is to be fixed."""
    if shapes != FREE:
        raise InvalidInputError(
            f"A model that encodes pictures once is exported with free sizes, received --batch {shapes.batch} and "
            f"--length {shapes.length}. Leave both out."
        )


def largest_difference(image: Path, sentence: Path, model: EncodeOnceModel) -> float:
    """Largest relative L2 difference of any output, ONNX Runtime against torch, on noise of several sizes."""
    ours, reference = OnnxOnceBackend(open_session(image), open_session(sentence)), TorchOnceBackend(model, "cpu")
    return max(
        difference(_answer(ours, pixels, *text), _answer(reference, pixels, *text)) for pixels, *text in _cases(model)
    )


def _answer(backend: OnnxOnceBackend | TorchOnceBackend, pixels: Any, ids: Any, attend: Any) -> Any:
    """What a backend says of a picture and its sentences."""
    answer: Callable[..., Any] = backend.answer
    return answer(backend.encode(pixels), ids, attend)


def _cases(model: EncodeOnceModel) -> Iterator[tuple[Any, ...]]:
    """Pictures of several sides, with one sentence and with several of unequal length."""
    random = np.random.default_rng(0)
    for size_hw, lengths in product(((64, 96), (160, 64)), ((5,), (4, 12, 7))):
        pixels = random.standard_normal((1, 3, *size_hw), dtype=np.float32)
        attend = np.arange(max(lengths)) < np.array(lengths)[:, None]  # (B, L)
        ids = np.where(attend, random.integers(4, model.config.vocab_size, attend.shape), model.config.text_pad_id)
        yield pixels, ids.astype(np.int64), attend.astype(np.int64)


def _image_graph(model: EncodeOnceModel) -> Any:
    """The graph of `_Image`."""
    most = LARGEST_SIDE // COARSEST_STRIDE
    rows, columns = torch.export.Dim("rows", min=1, max=most), torch.export.Dim("columns", min=1, max=most)
    sides = {2: COARSEST_STRIDE * rows, 3: COARSEST_STRIDE * columns}
    example = torch.zeros(1, 3, 5 * COARSEST_STRIDE, 7 * COARSEST_STRIDE)
    with torch.inference_mode():
        names = tuple(model.encode(example).given())
    return traced(_Image(model), (example,), ("pixel_values",), names, (sides,))


def _sentence_graph(model: EncodeOnceModel) -> Any:
    """The graph of `_Sentence`, for encodings of one picture."""
    config, most = model.config, LARGEST_SIDE // COARSEST_STRIDE
    rows, columns = torch.export.Dim("rows", min=1, max=most), torch.export.Dim("columns", min=1, max=most)
    with torch.inference_mode():
        encoding = model.encode(torch.zeros(1, 3, 5 * COARSEST_STRIDE, 7 * COARSEST_STRIDE)).given()
    # Sides of each map over those of 1/32; the union's cells, which are rounded up, have sides of their own.
    factors = {"fine": 8, "detail": 8, "middle": 4, "coarse": 2}
    of_cells = {
        2: torch.export.Dim("cell_rows", min=1, max=(most + 1) // 2),
        3: torch.export.Dim("cell_columns", min=1, max=(most + 1) // 2),
    }
    maps = tuple(
        {2: factors[name] * rows, 3: factors[name] * columns} if name in factors else of_cells for name in encoding
    )
    tokens = {
        0: torch.export.Dim("batch", min=1, max=LARGEST_BATCH),
        1: torch.export.Dim("length", min=SHORTEST_SENTENCE, max=config.max_text_tokens),
    }
    ids = torch.full((3, 9), 5)
    return traced(
        _Sentence(model),
        (ids, torch.ones_like(ids), *encoding.values()),
        (*TEXT_NAMES, *encoding),
        once_outputs(config),
        (tokens, tokens, *maps),
    )
