"""A training run small enough for a test: a model of one block a stage, images with one bright square."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rs2sam.processing import Processor
from rs2sam.training.examples.dataset import Examples, ReferringDataset, TrainingDraw
from rs2sam.training.initial import starting_point
from rs2sam.training.objective.training_model import TrainingModel
from rs2sam.training.recipes.loss_settings import LossSettings
from rs2sam.training.recipes.settings import DataRecipe, OptimizerRecipe, Recipe
from tests.small_model import IMAGE_SIZE, write_small_model

NUM_CLASSES = 2
SENTENCES = ("the bright square", "everything that is white on the left", "a square")


def toy_draw(index: int) -> TrainingDraw:
    """A bright square on a dark ground, at a place that depends on the index."""
    rng = np.random.default_rng(index)
    mask = np.zeros((IMAGE_SIZE, IMAGE_SIZE), dtype=bool)
    top, left = rng.integers(0, IMAGE_SIZE - 32, 2)
    mask[top : top + 24, left : left + 24] = True
    rgb = np.where(mask[..., None], 220, rng.integers(20, 60, (IMAGE_SIZE, IMAGE_SIZE, 3))).astype(np.uint8)
    known = np.array([True, index % 2 == 0])
    return TrainingDraw(
        rgb, SENTENCES[index % len(SENTENCES)], mask, np.stack([mask, ~mask]), known, index % 2, f"toy-{index}"
    )


TOY = Examples(toy_draw, NUM_CLASSES)


def toy_recipe(init: Path, **changes: Any) -> Recipe:
    """Four steps of two examples, from the folder that `toy_init` writes; no TensorBoard, which takes seconds."""
    recipe = Recipe(
        init=str(init),
        steps=4,
        batch_size=2,
        save_every=2,
        data=DataRecipe(side=IMAGE_SIZE, num_workers=0),
        loss=LossSettings(dice=2.0, boundary_form="soft", dice_reduction="mean"),
        optimizer=OptimizerRecipe(1e-3, 1e-3, warmup_steps=1, schedule="constant"),
        tensorboard=False,
    )
    return replace(recipe, **changes)


def toy_init(folder: Path, **sizes: int) -> Path:
    """A model folder to start from; `sizes` are changes to its configuration."""
    return write_small_model(folder, dtype="float32", **sizes)


def training_model(recipe: Recipe) -> TrainingModel:
    torch.manual_seed(0)
    return TrainingModel(starting_point(recipe)[0], recipe, NUM_CLASSES)


def batch(init: Path, size: int = 2) -> dict[str, torch.Tensor]:
    dataset = ReferringDataset(toy_draw, Processor.from_folder(init), size)
    return dataset.collate([dataset[index] for index in range(size)])
