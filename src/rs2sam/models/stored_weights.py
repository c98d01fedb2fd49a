"""Layers that compute in float32 with weights as the file has them, in half precision and not copied.

Converted to float32, the weights of `large` are 3.5 GiB of fresh memory, which the kernel hands out page by page: ten
times the time of reading the file. A layer here keeps its mapped half-precision weight and converts it into one buffer,
used by all layers in turn, whenever it runs; that is exact, and about a hundredth of the layer's own time on a CPU.
"""

from __future__ import annotations

import math
import threading

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAST_ELEMENTS = 2**19
"""Smaller weights are converted when they are loaded: together they are a few per cent of `large`."""

_buffers = threading.local()


class StoredLinear(nn.Module):
    """`nn.Linear` whose weight has the dtype of its file; input and output have the bias's.

    Args:
        layer: the layer to stand in for; its parameters are taken over.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., in_features) to (..., out_features)."""
        return F.linear(tokens, converted(self.weight, tokens.dtype), self.bias)


class StoredEmbedding(nn.Module):
    """`nn.Embedding` whose table has the dtype of its file; the rows that are looked up become float32.

    Args:
        layer: the layer to stand in for; its table is taken over.
    """

    def __init__(self, layer: nn.Embedding) -> None:
        super().__init__()
        self.weight = layer.weight

    def forward(self, ids: Tensor) -> Tensor:
        """(...) int64 to (..., width) float32."""
        return F.embedding(ids, self.weight).float()


def keep_as_stored(model: nn.Module) -> set[str]:
    """Replace a model's large linear and embedding layers; call it before its weights are loaded.

    Returns:
        Names of the tensors that are to stay as the file has them.
    """
    names = set()
    for parent_name, parent in list(model.named_modules()):
        for name, layer in list(parent.named_children()):
            weight = getattr(layer, "weight", None)
            if weight is None or weight.numel() < LEAST_ELEMENTS:
                continue
            if type(layer) is nn.Linear:
                setattr(parent, name, StoredLinear(layer))
            elif type(layer) is nn.Embedding:
                setattr(parent, name, StoredEmbedding(layer))
            else:
                continue
            names.add(f"{parent_name}.{name}.weight".removeprefix("."))
    return names


def converted(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """A weight in another dtype, in a buffer of this thread that the next call may overwrite."""
    if weight.dtype == dtype:
        return weight
    if torch.is_grad_enabled():
        return weight.to(dtype)  # a backward pass would read what another layer has written
    buffer: Tensor | None = getattr(_buffers, "buffer", None)
    if buffer is None or buffer.numel() < weight.numel() or buffer.dtype != dtype or buffer.device != weight.device:
        with torch.inference_mode(False):  # or no call outside of that mode could write into it
            buffer = _buffers.buffer = torch.empty(math.prod(weight.shape), dtype=dtype, device=weight.device)
    return buffer[: weight.numel()].view(weight.shape).copy_(weight)
