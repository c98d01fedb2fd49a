"""A model folder small enough to build, save and export in seconds; weights are random."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rs2sam.processing import ProcessingConfig, Processor

COMPACT = Path(__file__).parents[1] / "src" / "rs2sam" / "weights" / "compact"
IMAGE_SIZE, UNION_IMAGE_SIZE = 64, 32


def small_processor() -> Processor:
    """Inputs of the small model, with the compact tokenizer."""
    tokenizer = Processor.from_folder(COMPACT).tokenizer
    return Processor(ProcessingConfig(IMAGE_SIZE, UNION_IMAGE_SIZE, max_text_tokens=30), tokenizer)


def write_small_model(folder: Path, *, dtype: str = "float16", heads: bool = True, **sizes: Any) -> Path:
    """Write a folder as `save_pretrained` and `Processor.save` do; `sizes` are further ones of the configuration."""
    import torch

    from rs2sam.models import RS2SamConfig, RS2SamModel

    small: dict[str, Any] = {
        "image_size": IMAGE_SIZE,
        "union_image_size": UNION_IMAGE_SIZE,
        "vocab_size": 8192,
        "max_text_positions": 32,
        "union_layers": 1,
        "trunk_blocks": (1, 1, 1, 1),
        "trunk_global_blocks": (2,),
        # A fifth of the preset's parameters, which training tests write again and again.
        "decoder_width": 32,
        "decoder_mlp_width": 32,
        "text_pad_id": 1,
    }
    config = RS2SamConfig.preset("tiny", **{**small, "has_presence": heads, "has_score": heads, **sizes})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        RS2SamModel(config).to(getattr(torch, dtype)).save_pretrained(folder)
    small_processor().save(folder)
    return folder
