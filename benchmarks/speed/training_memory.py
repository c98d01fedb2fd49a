"""Memory a card that training `large` takes, computed: no GPU and no weights are needed.

    python -m benchmarks.speed.training_memory            # a minute; writes benchmarks/results/training_memory.json

The model is built and run with tensors that have a shape and no contents. Weights, gradients and AdamW's two states are
counted; activations are the tensors that autograd keeps for the backward pass, bf16 copies of weights included. What is
not in it: the CUDA context (half a GB), work space of kernels, and what the allocator loses to fragments. Take a
tenth more.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers.modeling_layers import GradientCheckpointingLayer

from benchmarks.files import RESULTS, write_json
from rs2sam.benchmarking.machine import describe_machine
from rs2sam.models import RS2SamConfig, RS2SamModel
from rs2sam.training.objective.training_model import TrainingModel
from rs2sam.training.recipes.loss_settings import LossSettings
from rs2sam.training.recipes.settings import DataRecipe, Recipe

NUM_TOKENS = 20
FLOAT32 = 4
GIB = 2**30

PUBLISHED = Recipe(
    preset="large",
    batch_size=1,
    precision="bf16",
    freeze_trunk=True,
    data=DataRecipe(side=1024),
    loss=LossSettings(scope="sample"),
)
CASES = {
    "as published": PUBLISHED,
    "as published, activation_checkpointing": replace(PUBLISHED, activation_checkpointing=True),
    "as published in float32": replace(PUBLISHED, precision="float32"),
    "everything trains (freeze_trunk: false)": replace(PUBLISHED, freeze_trunk=False),
    "everything trains, activation_checkpointing": replace(
        PUBLISHED, freeze_trunk=False, activation_checkpointing=True
    ),
    "lora_rank: 16": replace(PUBLISHED, lora_rank=16),
    "lora_rank: 16, activation_checkpointing": replace(PUBLISHED, lora_rank=16, activation_checkpointing=True),
}


@dataclass(frozen=True)
class Memory:
    """Bytes on one card that trains alone.

    Args:
        weights: all parameters and buffers.
        gradients: of the parameters that train.
        optimizer: AdamW's two averages of these.
        activations: what autograd keeps; with checkpointing the layers' inputs, the rest of the model, and all of the
            largest layer, which is there while it is computed again.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """All of it at once: an upper bound, since gradients grow while activations shrink."""
        return self.weights + self.gradients + self.optimizer + self.activations

    def spread(self, num_cards: int) -> int:
        """The total where parameters, gradients and states are spread over cards (FSDP); activations are not."""
        return (self.weights + self.gradients + self.optimizer) // num_cards + self.activations


def memory_of(recipe: Recipe) -> Memory:
    """What a recipe with the preset `large` takes."""
    with torch.device("meta"):
        model = TrainingModel(RS2SamModel(RS2SamConfig.preset("large")), recipe, 0)
    with FakeTensorMode():
        training = without_contents(model).train()
        weights = sum(t.numel() * t.element_size() for t in (*training.parameters(), *training.buffers()))
        trained = FLOAT32 * sum(p.numel() for p in training.parameters() if p.requires_grad)
        return Memory(weights, trained, 2 * trained, kept_activations(training, batch(recipe)))


def without_contents(model: TrainingModel) -> TrainingModel:
    """The model with parameters that a mode without contents computes with as if they were on the CPU."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, name, nn.Parameter(torch.empty(parameter.shape), parameter.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, torch.empty(buffer.shape))
    return model


def batch(recipe: Recipe) -> dict[str, Any]:
    """A batch as `ReferringDataset.collate` makes it, without contents."""
    config = RS2SamConfig.preset("large")
    size, side, union = recipe.batch_size, recipe.data.side, config.union_image_size
    return {
        "pixel_values": torch.empty(size, 3, side, side),
        "union_pixel_values": torch.empty(size, 3, union, union),
        "input_ids": torch.zeros(size, NUM_TOKENS, dtype=torch.long),
        "attention_mask": torch.ones(size, NUM_TOKENS, dtype=torch.long),
        "target": torch.zeros(size, side, side, dtype=torch.bool),
    }


def kept_activations(training: TrainingModel, inputs: dict[str, Any]) -> int:
    """Bytes that are held for the backward pass of one batch."""
    own = {_storage(t) for t in (*training.parameters(), *training.buffers())}
    kept: dict[int, tuple[Tensor, int]] = {}
    largest_layer = 0

    def keep(tensor: Tensor) -> Tensor:
        if _storage(tensor) not in own:
            kept[_storage(tensor)] = tensor, tensor.untyped_storage().nbytes()
        return tensor

    layers = [m for m in training.rs2sam.modules() if isinstance(m, GradientCheckpointingLayer)]
    checkpointed = [layer for layer in layers if layer.gradient_checkpointing]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), _inputs_of(checkpointed, keep):
        training(inputs)["total"]
    if checkpointed:
        largest_layer = max(_largest_layers(training, inputs, own))
    return sum(size for _, size in kept.values()) + largest_layer


def _largest_layers(training: TrainingModel, inputs: dict[str, Any], own: set[int]) -> Iterator[int]:
    """Bytes that each checkpointed layer keeps while it is computed again."""
    layers = [m for m in training.rs2sam.modules() if isinstance(m, GradientCheckpointingLayer)]
    sizes: list[int] = []
    for layer in layers:
        layer.gradient_checkpointing = False

    def measured(layer: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        kept: dict[int, tuple[Tensor, int]] = {}

        def keep(tensor: Tensor) -> Tensor:
            if _storage(tensor) not in own:
                kept[_storage(tensor)] = tensor, tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            type(layer).forward(layer, *arguments, **keywords)
        sizes.append(sum(size for _, size in kept.values()))

    handles = [layer.register_forward_pre_hook(measured, with_kwargs=True) for layer in layers]
    training(inputs)
    for handle in handles:
        handle.remove()
    return iter(sizes)


@contextmanager
def _inputs_of(layers: list[nn.Module], keep: Any) -> Iterator[None]:
    """Also counts the inputs of layers, which checkpointing holds itself."""

    def hold(_: nn.Module, arguments: tuple[Any, ...]) -> None:
        for value in arguments:
            if isinstance(value, Tensor):
                keep(value)

    handles = [layer.register_forward_pre_hook(hold) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _storage(tensor: Tensor) -> int:
    """What two views of one tensor share."""
    return int(tensor.untyped_storage()._cdata)


def table(found: dict[str, Memory]) -> str:
    """Markdown, in GiB."""
    rows = [
        "| GiB | weights | gradients | AdamW | activations | one card | each of 8, FSDP |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, memory in found.items():
        parts = (memory.weights, memory.gradients, memory.optimizer, memory.activations, memory.total, memory.spread(8))
        rows.append(f"| {name} | {' | '.join(f'{part / GIB:.1f}' for part in parts)} |")
    return "\n".join(rows)


def main() -> None:
    """Compute, print, write."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    found = {name: memory_of(recipe) for name, recipe in CASES.items()}
    print(table(found))
    values = {
        name: asdict(memory) | {"total": memory.total, "of 8": memory.spread(8)} for name, memory in found.items()
    }
    write_json({"computed": values, "machine": describe_machine()}, RESULTS / "training_memory.json")


if __name__ == "__main__":
    main()
