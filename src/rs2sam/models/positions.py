"""Where the cells of a map lie, as SAM 2 encodes it."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers.models.sam2.modeling_sam2 import Sam2PositionalEmbedding


def position_encoding(embedding: Sam2PositionalEmbedding, height: int, width: int) -> Tensor:
    """Random Fourier features of the cell centres in [0, 1]^2: (1, C, height, width)."""
    frequencies = embedding.positional_embedding
    rows = (torch.arange(height, device=frequencies.device, dtype=frequencies.dtype) + 0.5) / height
    columns = (torch.arange(width, device=frequencies.device, dtype=frequencies.dtype) + 0.5) / width
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    encoding: Tensor = embedding(torch.stack([x, y], dim=-1))  # (height, width, C)
    return encoding.permute(2, 0, 1)[None]
