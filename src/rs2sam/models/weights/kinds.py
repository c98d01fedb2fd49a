"""Which kind of model a folder holds: one of this project's two, a published one, or another."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rs2sam.errors import CheckpointError, words_of
from rs2sam.fields import parse_json

MODEL_TYPE = "rs2sam"
"""Models whose trunk reads the sentence."""
ENCODE_ONCE_MODEL_TYPE = "rs2sam-encode-once"
"""Models that read a picture once for any number of sentences."""
OWN_MODEL_TYPES = (MODEL_TYPE, ENCODE_ONCE_MODEL_TYPE)
PUBLISHED_MODEL_TYPE = "evf"
"""`model_type` in the config.json of published checkpoints (the code they derive from is EVF-SAM's)."""


ConceptKind = Literal["sam3", "clipseg"]
CONCEPT_MODEL_TYPES: dict[str, ConceptKind] = {"sam3": "sam3", "sam3_video": "sam3", "clipseg": "clipseg"}
"""`model_type` of models of transformers that find what a noun phrase names; facebook/sam3 is `sam3_video`, detector
and tracker in one."""


def model_type(folder: Path) -> str | None:
    """`model_type` of a folder's config.json, None without one."""
    file = folder / "config.json"
    if not file.is_file():
        return None
    try:
        return str(parse_json(file.read_text(encoding="utf-8")).get("model_type", "unknown"))
    except (ValueError, AttributeError) as error:
        raise CheckpointError(
            f"A config.json must be a JSON object: {file} is not ({words_of(error)}). Get it again."
        ) from error


def concept_kind(folder: Path) -> ConceptKind | None:
    """Which kind of concept model a folder holds; None where it holds another model."""
    return CONCEPT_MODEL_TYPES.get(model_type(folder) or "")


def lacking_beside(folder: Path) -> list[str]:
    """What the folder of a concept model lacks beside its weights: image settings, a tokenizer."""
    settings = ("processor_config.json", "preprocessor_config.json")
    tokenizers = ("tokenizer.json", "vocab.json")
    return [
        " or ".join(names) for names in (settings, tokenizers) if not any((folder / one).is_file() for one in names)
    ]


def refuse_concepts(folder: Path, what: str) -> None:
    """Raise CheckpointError where a folder holds a concept model.

    Args:
        folder: of a model.
        what: that concept models cannot do, e.g. "exported".
    """
    if folder.is_dir() and concept_kind(folder) is not None:
        raise CheckpointError(
            f"Models of this project can be {what}, concept models run as they are: {folder} holds a "
            f"`{model_type(folder)}` model of transformers. Name another model."
        )
