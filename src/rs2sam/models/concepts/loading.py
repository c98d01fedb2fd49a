"""Concept models from folders, every tensor accounted for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, CLIPSegForImageSegmentation, Sam3Model, Sam3TrackerConfig, Sam3TrackerModel
from transformers.utils import logging

from rs2sam.errors import CheckpointError, words_of
from rs2sam.models.concepts.clipseg import ClipSegConcepts
from rs2sam.models.concepts.sam3 import Sam3Concepts
from rs2sam.models.weights.files import Checkpoint
from rs2sam.models.weights.kinds import concept_kind, model_type

_TRACKER_PREFIXES = {
    "tracker_model.tracker_model.": "",  # as transformers writes it when it saves the two together
    "tracker_model.": "",
    "tracker_neck.": "vision_encoder.neck.",
    "detector_model.vision_encoder.backbone.": "vision_encoder.backbone.",
}
"""Where the tensors of a checkpoint of detector and tracker stand in the tracker for images."""


def load_concepts(folder: str | Path, device: torch.device) -> Sam3Concepts | ClipSegConcepts:
    """Load a model folder of transformers.

    Args:
        folder: of a model of type `sam3`, `sam3_video` or `clipseg`.
        device: where it goes.

    Raises:
        CheckpointError: its files are damaged or not all there.
    """
    folder = Path(folder)
    if concept_kind(folder) == "clipseg":
        return ClipSegConcepts(_loaded(CLIPSegForImageSegmentation, folder, device))
    detector = _loaded(Sam3Model, folder, device)
    if model_type(folder) != "sam3_video":
        return Sam3Concepts(detector)
    return Sam3Concepts(detector, lambda: _load_tracker(folder, detector, device))


def _loaded(kind: Any, folder: Path, device: torch.device) -> Any:
    """A model in evaluation mode; nothing is left as it was drawn."""
    try:
        with _silent():
            model, found = kind.from_pretrained(
                folder, local_files_only=True, output_loading_info=True, dtype=torch.float32
            )
    except Exception as error:  # readers of damaged files raise whatever they happen to say
        reason = words_of(f"{type(error).__name__}: {error}".strip().partition("\n")[0][:300])
        raise CheckpointError(
            f"{folder} cannot be loaded as {kind.__name__} ({reason}). Its files are damaged or of another model: copy "
            "or download the whole folder again."
        ) from error
    absent = sorted({str(name) for part in ("missing_keys", "mismatched_keys") for name in found.get(part, ())})
    if absent:
        raise CheckpointError(
            f"Every tensor of a model must be in its folder: {folder} lacks {len(absent)} of {kind.__name__}, or has "
            f"them in other sizes ({', '.join(absent[:3])}, ...). Copy or download it again."
        )
    return model.eval().to(device)


def _load_tracker(folder: Path, detector: Sam3Model, device: torch.device) -> Sam3TrackerModel:
    """The head for points and boxes; its backbone is the detector's, in memory once."""
    with _silent():
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        parts = {
            name: dict(getattr(config.tracker_config, name).to_dict())
            for name in ("prompt_encoder_config", "mask_decoder_config")
        }
        for part in parts.values():
            part.pop("model_type", None)
        vision = config.detector_config.vision_config.to_dict()
        with torch.device("meta"):
            tracker = Sam3TrackerModel(Sam3TrackerConfig(vision_config=vision, **parts))
    tracker.vision_encoder.backbone = torch.nn.Module()
    checkpoint = Checkpoint(folder)
    wanted = dict(tracker.state_dict())
    state = {}
    for name in checkpoint.specs:
        for prefix, put in _TRACKER_PREFIXES.items():
            target = put + name.removeprefix(prefix)
            if name.startswith(prefix) and target in wanted:
                state[target] = checkpoint.read(name).float()
    lacking = sorted(set(wanted) - set(state))
    if lacking:
        raise CheckpointError(
            f"Points and boxes need the tracker of SAM 3: {folder} lacks {len(lacking)} of its tensors "
            f"({', '.join(lacking[:3])}, ...). Copy or download it again."
        )
    tracker.load_state_dict(state, strict=True, assign=True)
    tracker.vision_encoder.backbone = detector.vision_encoder.backbone
    return tracker.eval().to(device)


@contextmanager
def _silent() -> Iterator[None]:
    """Without transformers' bars and reports: what matters of them is an error here."""
    level, shown = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
