"""Which classes make the model of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.encode_once.configuration import EncodeOnceConfig
from rs2sam.models.encode_once.model import EncodeOnceModel
from rs2sam.models.rs2sam import RS2SamModel
from rs2sam.models.weights.kinds import ENCODE_ONCE_MODEL_TYPE, model_type

AnyConfig: TypeAlias = RS2SamConfig | EncodeOnceConfig
AnyModel: TypeAlias = RS2SamModel | EncodeOnceModel


def read_config(folder: str | Path) -> AnyConfig:
    """The sizes of a model folder, of the class that its `model_type` says."""
    is_once = model_type(Path(folder)) == ENCODE_ONCE_MODEL_TYPE
    config: AnyConfig = (EncodeOnceConfig if is_once else RS2SamConfig).from_pretrained(str(folder))
    return config


def model_class(config: AnyConfig) -> type[AnyModel]:
    """The class of models of these sizes."""
    return EncodeOnceModel if isinstance(config, EncodeOnceConfig) else RS2SamModel


def build(config: AnyConfig) -> AnyModel:
    """A new model of these sizes."""
    return EncodeOnceModel(config) if isinstance(config, EncodeOnceConfig) else RS2SamModel(config)
