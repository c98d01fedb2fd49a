"""Which kind of model a folder holds: one of this project's two, a published one, or another."""

from __future__ import annotations

import json
from pathlib import Path

from rs2sam.errors import CheckpointError

MODEL_TYPE = "rs2sam"
"""Models whose trunk reads the sentence."""
ENCODE_ONCE_MODEL_TYPE = "rs2sam-encode-once"
"""Models that read a picture once for any number of sentences."""
OWN_MODEL_TYPES = (MODEL_TYPE, ENCODE_ONCE_MODEL_TYPE)
PUBLISHED_MODEL_TYPE = "evf"
"""`model_type` in the config.json of published checkpoints (the code they derive from is EVF-SAM's)."""


def model_type(folder: Path) -> str | None:
    """`model_type` of a folder's config.json, None without one."""
    file = folder / "config.json"
    if not file.is_file():
        return None
    try:
        return str(json.loads(file.read_text(encoding="utf-8")).get("model_type", "unknown"))
    except (ValueError, AttributeError) as error:
        raise CheckpointError(f"A config.json must be a JSON object: {file} is not ({error}). Get it again.") from error
