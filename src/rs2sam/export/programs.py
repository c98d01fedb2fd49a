"""`model.pt2`: an exported program (`torch-export`) or a compiled package (`aot`), both for torch without rs2sam."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from rs2sam.backends import BackendOutput
from rs2sam.backends.fixed_shapes import run_fixed
from rs2sam.backends.protocol import GPU_BATCH_SIZE, FloatArray, IntArray
from rs2sam.export.exported import Arrays, Shapes, TensorsOnly
from rs2sam.models.rs2sam import RS2SamModel
from rs2sam.pictures import as_taken

PROGRAM_FILE = "model.pt2"

ProgramFormat = Literal["torch-export", "aot"]


def write_program(model: RS2SamModel, kind: ProgramFormat, shapes: Shapes, file: Path) -> None:
    """Export a model.

    Args:
        model: in float32 or half precision (see `StagedModel`), on the device that it will run on.
        kind: `torch-export`: any machine, weights inside. `aot`: compiled for this machine's device; needs a C++
            compiler, and minutes.
        shapes: batch size and sentence length.
        file: what to write.
    """
    place = next(model.parameters()).device
    inputs = tuple(tensor.to(place) for tensor in shapes.example(model.config))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the exporter's own insides
        program = torch.export.export(TensorsOnly(model).eval(), inputs, dynamic_shapes=shapes.dynamic(model.config))
        if kind == "torch-export":
            torch.export.save(program, file)
        else:
            torch._inductor.aoti_compile_and_package(program, package_path=str(file))


class ProgramBackend:
    """A `model.pt2` as a backend.

    Args:
        call: tensors to tensors.
        outputs: their names, as the fields of `BackendOutput`.
        shapes: which sizes are fixed.
        device: where it runs.
    """

    def __init__(self, call: Callable[..., Any], outputs: list[str], shapes: Shapes, device: str) -> None:
        self._call, self._outputs, self._shapes, self._device = call, outputs, shapes, device
        self.batch_size = shapes.batch or (1 if device == "cpu" else GPU_BATCH_SIZE)
        self.has_presence, self.has_score = "presence_logits" in outputs, "iou_scores" in outputs
        self.name = "torch"

    @classmethod
    def from_file(
        cls, file: Path, kind: ProgramFormat, outputs: list[str], shapes: Shapes, device: str
    ) -> ProgramBackend:
        """Load what `write_program` wrote."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call: Callable[..., Any]
            if kind == "torch-export":
                call = torch.export.load(file).module()
            else:
                call = torch._inductor.aoti_load_package(str(file))
        return cls(call, outputs, shapes, device)

    def run(
        self,
        pixel_values: FloatArray,
        union_pixel_values: FloatArray,
        input_ids: IntArray,
        attention_mask: IntArray,
    ) -> BackendOutput:
        """Answer a batch; see `Backend.run`."""
        images = as_taken((pixel_values, union_pixel_values), len(input_ids), is_shared=self._shapes.batch is None)
        arrays = (*images, input_ids, attention_mask)
        return run_fixed(self._run, arrays, self._shapes.batch, self._shapes.length)

    def _run(self, arrays: Arrays) -> BackendOutput:
        with torch.no_grad():
            found = self._call(*(torch.from_numpy(np.ascontiguousarray(array)).to(self._device) for array in arrays))
        values = [tensor.float().cpu().numpy() for tensor in found]
        return BackendOutput(**dict(zip(self._outputs, values, strict=True)))
