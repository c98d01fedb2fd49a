"""Tiny concept models with random weights, saved in the form in which the hub has the real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, CLIPTokenizer, Sam3VideoConfig, Sam3VideoModel

SAM3_SIDE, CLIPSEG_SIDE = 56, 64
_START, _END = 512, 513  # of the tokenizer: two for every byte, inside a word and at its end, then these


def write_sam3(folder: Path, *, seed: int = 0, image_side: int = SAM3_SIDE) -> Path:
    """Detector and tracker in one checkpoint of type `sam3_video`, as facebook/sam3 has them."""
    torch.manual_seed(seed)
    vision = {
        "model_type": "sam3_vision_model",
        "fpn_hidden_size": 32,
        "backbone_feature_sizes": [[image_side // 7 * scale // 2] * 2 for scale in (8, 4, 2)],
        "backbone_config": {
            "model_type": "sam3_vit_model",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": image_side,
            "patch_size": 7,
            "pretrain_image_size": image_side // 2,
            "window_size": 4,
            "global_attn_indexes": [1],
        },
    }
    small = {"hidden_size": 32, "num_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    detector = {
        "model_type": "sam3",
        "vision_config": vision,
        "text_config": _text(max_position_embeddings=32),
        "geometry_encoder_config": small,
        "detr_encoder_config": small,
        "detr_decoder_config": {**small, "num_queries": 6},
        "mask_decoder_config": {"hidden_size": 32, "num_attention_heads": 4, "num_upsampling_stages": 3},
    }
    prompts = {"hidden_size": 32, "image_size": image_side, "patch_size": 7}
    tracker = {
        "model_type": "sam3_tracker_video",
        "vision_config": vision,
        "prompt_encoder_config": prompts,
        "mask_decoder_config": {
            "hidden_size": 32,
            "mlp_dim": 64,
            "num_attention_heads": 4,
            "iou_head_hidden_dim": 32,
        },
        "memory_attention_hidden_size": 32,
        "memory_attention_num_layers": 1,
        "memory_attention_feed_forward_hidden_size": 64,
        "memory_attention_rope_feat_sizes": [image_side // 7] * 2,
        "memory_encoder_hidden_size": 32,
        "memory_encoder_output_channels": 16,
        "mask_downsampler_embed_dim": 32,
        "memory_fuser_embed_dim": 32,
        "memory_fuser_intermediate_dim": 64,
    }
    config = Sam3VideoConfig(detector_config=detector, tracker_config=tracker)
    config.image_size = image_side  # it does not reach the tracker's prompts otherwise
    model = Sam3VideoModel(config)
    _excite(model)
    with torch.no_grad():  # so that some of its objects count
        model.detector_model.detr_decoder.presence_head.layer3.bias += 0.2
    model.save_pretrained(folder)
    _save_processor(folder, "processor_config.json", "Sam3ImageProcessorFast", "Sam3VideoProcessor", image_side)
    return folder


def write_clipseg(folder: Path, *, seed: int = 0) -> Path:
    """As CIDAS/clipseg-rd64-refined."""
    torch.manual_seed(seed)
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "image_size": 32,
        "patch_size": 8,
    }
    config = CLIPSegConfig(
        text_config=_text(max_position_embeddings=77),
        vision_config=vision,
        projection_dim=32,
        extract_layers=[0, 1, 2],
        reduce_dim=16,
        decoder_intermediate_size=32,
    )
    model = CLIPSegForImageSegmentation(config)
    _excite(model)
    model.save_pretrained(folder)
    _save_processor(folder, "preprocessor_config.json", "ViTImageProcessor", "CLIPSegProcessor", CLIPSEG_SIDE)
    return folder


def _excite(model: torch.nn.Module) -> None:
    """Larger weights: as they are drawn, every answer is nearly the same."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "norm" not in name:
                parameter *= 8


def _save_processor(folder: Path, file: str, image_processor: str, processor: str, side: int) -> None:
    values: dict[str, Any] = {
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "image_processor_type": image_processor,
        "resample": 2,
        "rescale_factor": 1 / 255,
        "size": {"height": side, "width": side},
    }
    if file == "processor_config.json":
        values = {"image_processor": values, "target_size": side}
    (folder / file).write_text(json.dumps({**values, "processor_class": processor}))
    letters = [chr(code) for code in _byte_letters()]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    CLIPTokenizer(vocab=vocabulary, merges=[], pad_token="<|endoftext|>").save_pretrained(folder)


def _byte_letters() -> list[int]:
    """The letters that stand for bytes in such vocabularies."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [*printable, *range(256, 256 + 256 - len(printable))]


def _text(**changes: Any) -> dict[str, Any]:
    return {
        "vocab_size": 514,
        "hidden_size": 32,
        "intermediate_size": 64,
        "projection_dim": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "bos_token_id": _START,
        "eos_token_id": _END,
        "pad_token_id": _END,
        **changes,
    }
