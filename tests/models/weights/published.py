"""Checkpoints in published form, made from a tiny model of our own."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from rs2sam.models import RS2SamConfig, RS2SamModel
from rs2sam.models.weights.key_map import KeyMap
from tests.sentencepiece_files import sentencepiece_file, word_pieces

PREFIX = "module.evf_model."


def tiny_model(**changes: object) -> RS2SamModel:
    torch.manual_seed(0)
    return RS2SamModel(RS2SamConfig.preset("tiny", **changes)).eval()


def published_state(model: RS2SamModel) -> dict[str, torch.Tensor]:
    """The model's tensors under published names, and some that a published checkpoint also has."""
    keys = KeyMap(sum(model.config.trunk_blocks))
    state = {keys.published(name): tensor.clone() for name, tensor in model.state_dict().items()}
    assert None not in state
    last = sum(model.config.trunk_blocks) - 1
    fusion = f"visual_model.image_encoder.trunk.blocks.{last}.Space_Adapter"
    return {
        **state,
        "visual_model.maskmem_tpos_enc": torch.zeros(7, 1, 1, 64),
        "visual_model.memory_attention.layers.0.norm1.weight": torch.ones(8),
        "visual_model.memory_attention.layers.1.norm1.weight": torch.ones(8),
        "visual_model.sam_prompt_encoder.point_embeddings.0.weight": torch.zeros(1, 256),
        "mm_extractor.beit3.vision_embed.mask_token": torch.zeros(1, 1, 64),
        "meo_linear.weight": torch.zeros(256, 64),
        f"{fusion}.text_out_linear.weight": torch.zeros(256, 32),
    }


def write_config(folder: Path, **changes: object) -> None:
    """A config.json as the published code saves it."""
    values = {"model_type": "evf", "architectures": ["EvfSamModel"], "hidden_size": 64, "out_dim": 256, **changes}
    (folder / "config.json").write_text(json.dumps(values))


def published_tokenizer(size: int = 300) -> bytes:
    """A SentencePiece file as published that gives `size` ids, `<pad>`, `<mask>` and `[SEG]` among them."""
    return sentencepiece_file(*word_pieces(size - 6))


def published_folder(folder: Path, state: dict[str, torch.Tensor]) -> Path:
    """A `save_pretrained` folder of the published code with one .bin and a tokenizer."""
    folder.mkdir(parents=True)
    write_config(folder)
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "sentencepiece.bpe.model").write_bytes(published_tokenizer())
    return folder


def model_inputs(config: RS2SamConfig, batch: int = 2) -> dict[str, torch.Tensor]:
    """Noise of the smallest side that the trunk takes, and a sentence."""
    generator = torch.Generator().manual_seed(1)
    side, union = config.image_side_multiple, config.union_image_size
    return {
        "pixel_values": torch.randn(batch, 3, side, side, generator=generator),
        "union_pixel_values": torch.randn(batch, 3, union, union, generator=generator),
        "input_ids": torch.tensor([[0, 5, 6, 7, 2]] * batch),
        "attention_mask": torch.ones(batch, 5, dtype=torch.long),
    }


def relative_error_of_golden_logits(model: RS2SamModel, golden_dir: Path) -> float:
    """The largest relative L2 error of the low-resolution logits over both golden cases of batch 1."""
    goldens = load_file(golden_dir / "tiny" / "goldens.safetensors")
    errors = []
    for sample in (0, 1):
        ids = goldens[f"in.input_ids.single{sample}"]
        with torch.no_grad():
            output = model(
                pixel_values=goldens["in.images"][sample : sample + 1].to(model.dtype),
                union_pixel_values=goldens["in.images_evf"][sample : sample + 1].to(model.dtype),
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
            )
        wanted = goldens[f"single{sample}.low_res_logits"].double()
        errors.append(float((output.low_res_logits.double() - wanted).norm() / wanted.norm()))
    return max(errors)
