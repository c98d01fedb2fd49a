"""`rs2sam` with parameters spread over processes on a CPU; accelerate offers FSDP on accelerators only.

torchrun --nproc-per-node 2 -m tests.training.fsdp_on_cpu train RECIPE -o OUT
"""

from __future__ import annotations

import os
from typing import Any

import accelerate.state
import yaml
from accelerate.utils import DistributedType

from rs2sam.cli import main
from tests.conftest import REPOSITORY


def pretend() -> None:
    """Have accelerate take the CPU's processes for those of GPUs, and hand it what `accelerate launch` would."""
    begin = accelerate.state.PartialState.__init__

    def begin_as_gpus(self: Any, *arguments: Any, **keywords: Any) -> None:
        begin(self, *arguments, **keywords)
        if self.distributed_type == DistributedType.MULTI_CPU:
            self.distributed_type = DistributedType.MULTI_GPU

    accelerate.state.PartialState.__init__ = begin_as_gpus
    settings = yaml.safe_load((REPOSITORY / "recipes" / "accelerate" / "fsdp.yaml").read_text())["fsdp_config"]
    os.environ |= {name.upper(): str(value) for name, value in settings.items()}
    os.environ |= {
        "ACCELERATE_USE_FSDP": "true",
        "FSDP_TRANSFORMER_CLS_TO_WRAP": settings["fsdp_transformer_layer_cls_to_wrap"],
    }


if __name__ == "__main__":
    pretend()
    main()
