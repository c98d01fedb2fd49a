"""Published RS2-SAM 2 checkpoints, read as a model of this project.

A published checkpoint is what the released code writes: a `save_pretrained` folder (config.json with `model_type` "evf"
and one or many .safetensors or .bin files), or one state dict, its names with or without `module.evf_model.`.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rs2sam.errors import CheckpointError, InvalidInputError, words_of
from rs2sam.fields import parse_json, some_of
from rs2sam.models.configuration import POSITION_OFFSET, PRESETS, RS2SamConfig
from rs2sam.models.rs2sam import RS2SamModel
from rs2sam.models.weights.classes import AnyConfig, build, read_config
from rs2sam.models.weights.files import Checkpoint, TensorSpec
from rs2sam.models.weights.key_map import KeyMap
from rs2sam.models.weights.kinds import MODEL_TYPE, PUBLISHED_MODEL_TYPE
from rs2sam.models.weights.matching import ConversionReport, match_tensors

__all__ = [
    "ConversionReport",
    "ConversionSource",
    "infer_config",
    "load_published",
    "load_published_with_report",
    "open_own",
    "open_published",
]

logger = logging.getLogger(__name__)

PREFIXES = ("", "module.evf_model.", "evf_model.", "module.")
"""What may stand before every published name: the trainer's wrappers."""

_ANCHOR = "text_feat_linear.weight"
"""A tensor that every published checkpoint has and its ancestors (EVF-SAM, SAM 2, BEiT-3) do not."""

_PUBLISHED_PAD_ID = 3


@dataclass(frozen=True)
class ConversionSource:
    """An opened checkpoint whose every tensor is accounted for.

    Args:
        checkpoint: the files.
        config: of the model they fit.
        report: which tensor becomes which.
    """

    checkpoint: Checkpoint
    config: AnyConfig
    report: ConversionReport

    def read(self, own_name: str) -> torch.Tensor:
        """Read one tensor of the model, checked to hold numbers.

        Raises:
            CheckpointError: it holds infinities or not-a-numbers.
        """
        name = self.report.mapped[own_name]
        tensor = self.checkpoint.read(name)
        if not is_finite(tensor):
            raise CheckpointError(
                f"Weights must be finite: `{name}` in {self.checkpoint.path} has infinities or not-a-numbers. The file "
                "is damaged, or its training diverged."
            )
        return tensor


def load_published(
    path: str | Path, config: RS2SamConfig | None = None, dtype: torch.dtype | None = None
) -> RS2SamModel:
    """Read a published checkpoint as a model.

    Args:
        path: a `save_pretrained` folder of the published code, or one file with its state dict.
        config: sizes, if they cannot be told from the tensors' shapes.
        dtype: of the weights; default: as in the checkpoint.

    Returns:
        The model on the CPU, in evaluation mode.

    Raises:
        DataNotFoundError: nothing is at `path`.
        CheckpointError: the file is damaged, holds code, or is not exactly such a model; the message names the tensors.
    """
    return load_published_with_report(path, config, dtype)[0]


def load_published_with_report(
    path: str | Path, config: RS2SamConfig | None = None, dtype: torch.dtype | None = None
) -> tuple[RS2SamModel, ConversionReport]:
    """As `load_published`, and say what was mapped and what was dropped."""
    source = open_published(path, config)
    state = {name: source.read(name).to(dtype) for name in source.report.mapped}
    source.checkpoint.release()
    assert isinstance(source.config, RS2SamConfig)
    with torch.device("meta"):
        model = RS2SamModel(source.config)
    model.load_state_dict(state, assign=True)
    model.config.dtype = common_dtype(tensor.dtype for tensor in state.values())
    logger.info("%s", source.report)
    return model.eval(), source.report


def open_published(path: str | Path, config: RS2SamConfig | None = None) -> ConversionSource:
    """Open a published checkpoint and account for every tensor, reading none.

    Args:
        path: as for `load_published`.
        config: as for `load_published`.

    Raises:
        DataNotFoundError: nothing is at `path`.
        CheckpointError: the file is damaged, holds code, or is not exactly such a model.
    """
    path = Path(path)
    said = _published_config(path)
    checkpoint = Checkpoint(path)
    prefix = _prefix(checkpoint)
    found = {name.removeprefix(prefix): spec for name, spec in checkpoint.specs.items()}
    for key, tensor in (("hidden_size", "text_hidden_fcs.0.0.weight"), ("out_dim", _ANCHOR)):
        if key in said and tensor in found and said[key] != found[tensor].shape[0]:
            raise CheckpointError(
                f"config.json and weights must agree: {path} says {key} {said[key]}, `{tensor}` is "
                f"{found[tensor].shape}. They come from different models; get the folder again."
            )
    config = infer_config(found) if config is None else config
    keys = KeyMap(sum(config.trunk_blocks))
    report = match_tensors(str(path), found, model_specs(config), own_name=keys.own, reason_dropped=keys.reason_dropped)
    mapped = {own: f"{prefix}{name}" for own, name in report.mapped.items()}
    report = ConversionReport(report.source, mapped, report.dropped, report.missing, report.num_elements)
    return ConversionSource(checkpoint, config, report)


def open_own(folder: str | Path) -> ConversionSource:
    """Open a folder in this project's format the same way, e.g. to write it again in another dtype.

    Raises:
        DataNotFoundError: the folder holds no weights.
        CheckpointError: the weights are damaged or do not fit its config.json.
    """
    folder = Path(folder)
    config = read_config(folder)
    checkpoint = Checkpoint(folder)
    report = match_tensors(
        str(folder), checkpoint.specs, model_specs(config), own_name=str, reason_dropped=lambda name: None
    )
    return ConversionSource(checkpoint, config, report)


def model_specs(config: AnyConfig) -> dict[str, TensorSpec]:
    """Names, shapes and dtypes of a model's tensors, without making them."""
    with torch.device("meta"):
        model = build(config)
    return {name: TensorSpec(tuple(tensor.shape), tensor.dtype) for name, tensor in model.state_dict().items()}


def is_finite(tensor: torch.Tensor) -> bool:
    """Whether a tensor has neither infinities nor not-a-numbers, found without a temporary of its size."""
    if tensor.numel() == 0:
        return True
    return all(bool(torch.isfinite(extreme)) for extreme in torch.aminmax(tensor))  # not-a-numbers propagate


def common_dtype(dtypes: Iterable[torch.dtype]) -> torch.dtype:
    """The dtype that most tensors have."""
    return Counter(dtypes).most_common(1)[0][0]


def infer_config(found: Mapping[str, TensorSpec]) -> RS2SamConfig:
    """Sizes of a published checkpoint, from its tensors' shapes.

    Heads, attention windows, global blocks and the image size leave no trace in the shapes; they come from the preset
    with the same trunk and union encoder.

    Args:
        found: tensors under published names, without prefix.

    Raises:
        CheckpointError: shapes that tell the sizes are missing, or no preset has that trunk and union encoder.
    """
    try:
        sizes = _shape_sizes(found)
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise CheckpointError(
            f"A published checkpoint must hold the tensors that tell its sizes: {error} is not there as expected. Pass "
            "`config`, or check that this is an RS2-SAM 2 checkpoint."
        ) from error
    keys = ("trunk_widths", "trunk_blocks", "union_width")
    for preset in PRESETS:
        config = RS2SamConfig.preset(preset)
        same_window = config.trunk_windows[0] == sizes["first_window"]
        if same_window and all(getattr(config, key) == sizes[key] for key in keys):
            sizes.pop("first_window")
            try:
                return RS2SamConfig.preset(
                    preset, **sizes, text_pad_id=_PUBLISHED_PAD_ID, has_presence=False, has_score=False
                )
            except InvalidInputError as error:
                raise CheckpointError(f"The tensors' shapes must make a model: {error}") from error
    described = ", ".join(f"{key} {sizes[key]}" for key in keys)
    raise CheckpointError(
        f"Windows and heads of a trunk are not in its tensors' shapes, and no preset ({', '.join(PRESETS)}) has "
        f"{described}, first window {sizes['first_window']}. Pass `config` (`--config` on the command line)."
    )


def _shape_sizes(found: Mapping[str, TensorSpec]) -> dict[str, Any]:
    """The fields of a configuration that shapes tell, and `first_window`."""
    beit3, trunk = "mm_extractor.beit3", "visual_model.image_encoder.trunk"
    decoder, prompt = "visual_model.sam_mask_decoder", "visual_model.sam_prompt_encoder"

    def size(name: str, axis: int) -> int:
        return found[name].shape[axis]

    vocab_size, union_width = found[f"{beit3}.text_embed.weight"].shape
    patch = size(f"{beit3}.vision_embed.proj.weight", -1)
    grid = round((size(f"{beit3}.encoder.embed_positions.A.weight", 0) - 1 - POSITION_OFFSET) ** 0.5)
    widths = [size(f"{trunk}.blocks.{i}.attn.proj.weight", 0) for i in range(_count(found, f"{trunk}.blocks"))]
    first_width = widths[0]
    return {
        "vocab_size": vocab_size,
        "union_width": union_width,
        "union_patch_size": patch,
        "union_image_size": grid * patch,
        "union_layers": _count(found, f"{beit3}.encoder.layers"),
        "union_ffn_width": size(f"{beit3}.encoder.layers.0.ffn.A.fc1.weight", 0),
        "max_text_positions": size(f"{beit3}.encoder.embed_positions.B.weight", 0),
        "trunk_widths": tuple(dict.fromkeys(widths)),
        "trunk_blocks": tuple(Counter(widths).values()),
        "trunk_position_size": size(f"{trunk}.pos_embed", -1),
        "trunk_mlp_ratio": size(f"{trunk}.blocks.0.mlp.layers.0.weight", 0) / first_width,
        "adapter_ratio": size(f"{trunk}.blocks.0.MLP_Adapter.D_fc1.weight", 0) / first_width,
        "first_window": size(f"{trunk}.pos_embed_window", -1),
        "decoder_width": size(_ANCHOR, 0),
        "decoder_mlp_width": size(f"{decoder}.transformer.layers.0.mlp.layers.0.weight", 0),
        "mask_prompt_channels": size(f"{prompt}.mask_downscaling.3.weight", 0),
    }


def _count(found: Mapping[str, TensorSpec], path: str) -> int:
    """How many numbered children a module has."""
    pattern = re.compile(rf"^{re.escape(path)}\.(\d+)\.")
    return len({match[1] for match in map(pattern.match, found) if match})


def _prefix(checkpoint: Checkpoint) -> str:
    """What stands before every published name."""
    for prefix in PREFIXES:
        if f"{prefix}{_ANCHOR}" in checkpoint.specs:
            return prefix
    names = list(checkpoint.specs)
    raise CheckpointError(
        f"A published RS2-SAM 2 checkpoint must hold `{_ANCHOR}`: {checkpoint.path} has {len(names)} tensors, "
        f"{some_of(names, 5)}. SAM 2 and BEiT-3 weights initialise a model for training "
        "(rs2sam.models.weights.pretrained); a folder of this project is loaded with `RS2SamModel.from_pretrained`."
    )


def _published_config(path: Path) -> dict[str, Any]:
    """The config.json beside published weights, {} without one."""
    file = path / "config.json"
    if not file.is_file():
        return {}
    try:
        said: dict[str, Any] = dict(parse_json(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise CheckpointError(
            f"A config.json must be a JSON object: {file} is not ({words_of(error)}). Get it again."
        ) from error
    kind = said.get("model_type", PUBLISHED_MODEL_TYPE)
    if kind == PUBLISHED_MODEL_TYPE:
        return said
    remedy = "Load it with `RS2SamModel.from_pretrained`" if kind == MODEL_TYPE else "Check the folder"
    raise CheckpointError(
        f"A published checkpoint must have `model_type` {PUBLISHED_MODEL_TYPE}: {file} says {kind}. {remedy}."
    )
