"""The model of RS2-SAM 2. It needs `rs2sam[torch]`; names are imported on first use.

`weights` has what finds, loads and converts its weights; finding and downloading need no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rs2sam.models.configuration import RS2SamConfig
    from rs2sam.models.encode_once.configuration import EncodeOnceConfig
    from rs2sam.models.encode_once.model import EncodeOnceModel, EncodeOnceOutput
    from rs2sam.models.processor import RS2SamProcessor
    from rs2sam.models.rs2sam import RS2SamModel, RS2SamOutput

__all__ = [
    "EncodeOnceConfig",
    "EncodeOnceModel",
    "EncodeOnceOutput",
    "RS2SamConfig",
    "RS2SamModel",
    "RS2SamOutput",
    "RS2SamProcessor",
]

_HOME = {
    "EncodeOnceConfig": "rs2sam.models.encode_once.configuration",
    "EncodeOnceModel": "rs2sam.models.encode_once.model",
    "EncodeOnceOutput": "rs2sam.models.encode_once.model",
    "RS2SamConfig": "rs2sam.models.configuration",
    "RS2SamModel": "rs2sam.models.rs2sam",
    "RS2SamOutput": "rs2sam.models.rs2sam",
    "RS2SamProcessor": "rs2sam.models.processor",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
