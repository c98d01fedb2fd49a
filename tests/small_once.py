"""The small model that encodes pictures once: its folder, and one export of it for all tests that read one."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from click.testing import CliRunner

from rs2sam.processing import ProcessingConfig, Processor
from tests.small_exports import temporary_folder
from tests.small_model import COMPACT

IMAGE_SIZE = 128


def once_processor(image_size: int = IMAGE_SIZE, **changes) -> Processor:
    """Inputs of the model, with the compact tokenizer."""
    config = ProcessingConfig(
        image_size,
        union_image_size=0,
        max_text_tokens=30,
        image_mean=(127 / 255,) * 3,
        image_std=(128 / 255,) * 3,
        keeps_aspect=True,
        **{"min_known": 0.0, **changes},  # the head knows nothing
    )
    return Processor(config, Processor.from_folder(COMPACT).tokenizer)


def write_once_model(
    folder: Path, *, folded: bool = False, has_decoder: bool = True, dtype: str = "float16", **changes
) -> Path:
    """Write a folder as `save_pretrained` and `Processor.save` do."""
    import torch

    from tests.models.encode_once.small import small_once

    parts = {"has_decoder": has_decoder, "has_score": has_decoder}
    model = small_once(vocab_size=8192, image_size=IMAGE_SIZE, **parts)
    if folded:
        model.fold()
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    once_processor(classes=("ship", "storage tank"), **changes).save(folder)
    return folder


@functools.cache
def once_export() -> Path:
    """A model whose norms were not folded, exported to ONNX by the command; read only."""
    from rs2sam.cli import main

    source, out = write_once_model(temporary_folder() / "model"), temporary_folder() / "onnx"
    result = CliRunner().invoke(main, ["export", str(source), str(out), "--to", "onnx", "--json"])
    assert result.exit_code == 0, result.output
    outputs = ["low_res_logits", "presence_logits", "known_logits", "iou_scores"]
    assert json.loads(result.stdout)["outputs"] == outputs
    return out
