"""Training examples for a recipe: annotated real images and rendered scenes, varied, each with a sentence."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from rs2sam.datasets.base import AnnotatedImage
from rs2sam.datasets.mixture import ReferringMixture, of_split, semantic
from rs2sam.datasets.sources import read_sources
from rs2sam.datasets.synthetic import generate_scene
from rs2sam.datasets.vocabulary import CATEGORIES
from rs2sam.errors import InvalidInputError
from rs2sam.training.examples import TrainingDraw
from rs2sam.training.recipe import DataRecipe

logger = logging.getLogger(__name__)

SYNTHETIC = "synthetic"
NUM_CLASSES = len(CATEGORIES)


def referring_draw(recipe: DataRecipe, seed: int) -> Callable[[int], TrainingDraw]:
    """What `training.train` draws from: index -> example, the same in every process.

    Args:
        recipe: sources and their shares; only their training split is used.
        seed: of scenes, order, variation and wording.

    Raises:
        InvalidInputError: a name in `recipe.weights` is no data set under `recipe.root`.
    """
    weights = {name: share for name, share in recipe.weights.items() if share > 0}
    wanted = set(weights)
    sources: dict[str, Sequence[AnnotatedImage]] = {}
    if wanted - {SYNTHETIC}:
        if recipe.root is None:
            raise InvalidInputError(f"`data.root` must name the folder of {sorted(wanted - {SYNTHETIC})}; set it")
        sources.update(_real(Path(recipe.root), wanted - {SYNTHETIC}))
    if SYNTHETIC in wanted:
        sources[SYNTHETIC] = [_rendered(seed, index, recipe.side) for index in range(recipe.num_synthetic)]
    mixture = ReferringMixture(
        sources,
        weights,
        recipe.side,
        rng_seed=seed,
        kind_weights=dict(recipe.kind_weights),
        mosaic_share=recipe.mosaic,
        company=SYNTHETIC,
    )
    logger.info("%d MB of images in memory", mixture.preload() // 2**20)

    def draw(index: int) -> TrainingDraw:
        annotated, expression = mixture.draw_contrast(index) if recipe.contrast else mixture.draw(index)
        rgb, labels, known = semantic(annotated)
        return TrainingDraw(
            rgb, expression.sentence, expression.mask(annotated), labels, known, CATEGORIES.index(expression.category)
        )

    return draw


def _real(root: Path, names: set[str]) -> Mapping[str, Sequence[AnnotatedImage]]:
    """The training split of the named data sets."""
    found = of_split(read_sources(root), "train")
    unknown = sorted(names - set(found))
    if unknown:
        raise InvalidInputError(
            f"`data.weights` names {unknown}, which `{root}` does not hold; it holds {sorted(found)}. "
            "Correct `data.root` or the names."
        )
    return {name: found[name] for name in names}


def _rendered(seed: int, index: int, side: int) -> AnnotatedImage:
    """One synthetic scene, half again as wide as what is trained at, so that crops of it lose little."""
    return generate_scene(np.random.default_rng((seed, index)), side=side * 3 // 2)
