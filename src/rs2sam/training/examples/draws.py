"""Training examples for a recipe, drawn by index, and the samples that it is validated on.

Two kinds: the samples of a referring data set, which has an end and so epochs; and annotated real images and rendered
scenes, varied, with sentences made by rules, without end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rs2sam.datasets.base import AnnotatedImage, Sample
from rs2sam.datasets.english.vocabulary import CATEGORIES
from rs2sam.datasets.mixing.mixture import ReferringMixture, evaluation_samples, of_split, semantic
from rs2sam.datasets.mixing.variation import VariedSamples
from rs2sam.datasets.readers.reading import open_dataset
from rs2sam.datasets.readers.sources import read_sources
from rs2sam.datasets.synthetic import generate_scene
from rs2sam.errors import InvalidInputError
from rs2sam.training.examples.dataset import Examples, TrainingDraw
from rs2sam.training.examples.made import MADE_SOURCES, Ingredients
from rs2sam.training.recipes.settings import DataRecipe, Recipe

logger = logging.getLogger(__name__)

SYNTHETIC = "synthetic"
NUM_CLASSES = len(CATEGORIES)
NUM_VALIDATION_SCENES = 24
"""Rendered scenes that a run on rendered scenes is validated on."""


def examples_of(recipe: Recipe) -> Examples:
    """Opens or makes the data of a recipe.

    Raises:
        DataNotFoundError: a folder is not there, holds no data set, or not the split.
        InvalidInputError: the data set is malformed, or none of the named sources is there.
    """
    return examples_on(recipe, lambda one: referring_draw(one.data, one.seed))


def examples_on(recipe: Recipe, rule_made_draw: Callable[[Recipe], Callable[[int], Any]]) -> Examples:
    """As `examples_of`, with rule-made examples of any form.

    Args:
        recipe: the run.
        rule_made_draw: makes what is drawn from where the recipe names no referring data set.
    """
    data = recipe.data
    asked = bool(recipe.validate.every_steps or recipe.validate.every_epochs)
    if data.dataset is None:
        rule_made = validation_samples(recipe) if asked else []
        counts = {data.val_split: len(rule_made)} if asked else {}
        return Examples(rule_made_draw(recipe), NUM_CLASSES, validation=rule_made, counts=counts)
    found = open_dataset(data.dataset)
    training = found.samples(data.train_split)
    validation = found.samples(data.val_split) if asked else []
    draw = DatasetDraw(training, data, recipe.seed)
    counts = {data.train_split or "all": len(training)} | ({data.val_split: len(validation)} if asked else {})
    return Examples(draw, epoch_size=len(draw), validation=validation, counts=counts)


def validation_samples(recipe: Recipe) -> list[Sample]:
    """What a model of this recipe is measured on, whether or not the run does so itself.

    Raises:
        DataNotFoundError: as for `examples_of`.
        InvalidInputError: as for `examples_of`.
    """
    data = recipe.data
    return _rule_made_validation(recipe) if data.dataset is None else open_dataset(data.dataset).samples(data.val_split)


class DatasetDraw:
    """Training examples from a referring data set: index -> example, shuffled anew in every pass.

    Index i is example i mod n of pass i // n, so that what is drawn depends on the seed alone: neither on the batch
    size nor on the number of processes or workers.

    Args:
        samples: of the training split; pixels and masks are read when they are drawn.
        recipe: side, variation and whether a reference's sentences take turns.
        seed: of order, sentences and variation.

    Raises:
        InvalidInputError: there is no sample.
    """

    def __init__(self, samples: Sequence[Sample], recipe: DataRecipe, seed: int) -> None:
        if not samples:
            raise InvalidInputError(f"a training split must have samples: {recipe.dataset!r} has none; name another")
        self.samples = VariedSamples(samples, seed, recipe.side, recipe.variation)
        self.seed = seed
        self.published_sentences = recipe.published_sentences
        references: dict[str, list[int]] = {}
        for number, sample in enumerate(samples):
            shared = sample.ref_id if recipe.one_sentence_per_ref else None
            references.setdefault(f"ref {shared}" if shared is not None else f"sample {number}", []).append(number)
        self.references = list(references.values())
        self._order: tuple[int, list[int]] = (-1, [])

    def __len__(self) -> int:
        """Examples in one pass."""
        return len(self.references)

    def __call__(self, index: int) -> TrainingDraw:
        """Draws one example."""
        epoch, position = divmod(index, len(self))
        number = self.number(epoch, position)
        varied = self.samples.draw(number, epoch)
        sentence = varied.sentence
        if self.published_sentences:  # the white space around the sentence stays where variation rewords it
            sample = self.samples.samples[number]
            sentence = sample.published_sentence.replace(sample.sentence, sentence)
        return TrainingDraw(varied.image, sentence, varied.mask, id=varied.sample_id, ignore=varied.ignore)

    def number(self, epoch: int, position: int) -> int:
        """Which sample stands at a position of a pass."""
        if self._order[0] != epoch:
            rng = np.random.default_rng((self.seed, epoch))
            self._order = epoch, rng.permutation(len(self)).tolist()
        reference = self._order[1][position]
        sentences = self.references[reference]
        if len(sentences) == 1:
            return sentences[0]
        return sentences[int(np.random.default_rng((self.seed, epoch, reference)).integers(len(sentences)))]


def referring_draw(recipe: DataRecipe, seed: int) -> Callable[[int], TrainingDraw]:
    """What `training.train` draws from: index -> example, the same in every process.

    Args:
        recipe: sources and their shares; only their training split is used.
        seed: of scenes, order, variation and wording.

    Raises:
        InvalidInputError: a name in `recipe.weights` is no data set under `recipe.root`.
    """
    sources = rule_made_sources(recipe, seed)
    mixture = ReferringMixture(
        sources,
        {name: recipe.weights[name] for name in sources},
        recipe.side,
        rng_seed=seed,
        kind_weights=dict(recipe.kind_weights),
    )
    logger.info("%d MB of images in memory", mixture.preload() // 2**20)

    def draw(index: int) -> TrainingDraw:
        """An image of the mixture with one sentence, and its classes."""
        annotated, expression = mixture.draw_contrast(index) if recipe.contrast else mixture.draw(index)
        rgb, labels, known = semantic(annotated)
        return TrainingDraw(
            rgb,
            expression.sentence,
            expression.mask(annotated),
            labels,
            known,
            CATEGORIES.index(expression.category),
            id=f"{annotated.source}/{annotated.id}",
            ignore=annotated.unknown,
        )

    return draw


def rule_made_sources(recipe: DataRecipe, seed: int) -> dict[str, Sequence[AnnotatedImage]]:
    """The training images of every source that has a share, rendered ones among them.

    Raises:
        InvalidInputError: a name in `recipe.weights` is no data set under `recipe.root`.
    """
    sources = _sources(recipe, "train", seed)
    if SYNTHETIC in sources:
        sources[SYNTHETIC] = [_rendered(seed, index, recipe.side) for index in range(recipe.num_synthetic)]
    return sources


def _sources(recipe: DataRecipe, split: str, seed: int) -> dict[str, Sequence[AnnotatedImage]]:
    """The sources that have a share, with their images of a split; the rendered one is still empty."""
    wanted = {name for name, share in recipe.weights.items() if share > 0}
    real = wanted - {SYNTHETIC}
    sources: dict[str, Sequence[AnnotatedImage]] = {}
    if real:
        if recipe.root is None:
            raise InvalidInputError(f"`data.root` must name the folder of {sorted(real)}; set it")
        sources.update(_real(recipe, Path(recipe.root), real, split, seed))
    return sources | ({SYNTHETIC: ()} if SYNTHETIC in wanted else {})


def _real(
    recipe: DataRecipe, root: Path, names: set[str], split: str, seed: int
) -> Mapping[str, Sequence[AnnotatedImage]]:
    """One split of the named data sets, and of what is made of data sets."""
    made = {name: source for name, source in MADE_SOURCES.items() if name in names}
    is_read = names - set(made) or any(source.of for source in made.values())
    read = read_sources(root) if is_read else {}
    found: dict[str, Sequence[AnnotatedImage]] = dict(of_split(read, split))
    is_training = split == "train"
    if not is_training:  # a data set may have images for training alone; one that is not there at all is told below
        found |= {name: () for name in read if name not in found}
    ingredients = Ingredients(root, dict(found), Path(recipe.marked) if recipe.marked else None, seed)
    for name, source in made.items():
        found[name] = source.make(ingredients) if is_training else ()
    missing = sorted(names - set(found))
    if missing or not any(found[name] for name in names):
        raise InvalidInputError(
            f"`data.weights` names {missing or sorted(names)}, of which `{root}` holds no images of the split "
            f"{split!r}; it holds {sorted(name for name, images in found.items() if images)}. Correct `data.root` or "
            "the names."
        )
    return {name: found[name] for name in sorted(names)}  # the order decides what is drawn


def _rule_made_validation(recipe: Recipe) -> list[Sample]:
    """A fixed list of sentences about real images of the validation split, or about rendered scenes without any."""
    data = recipe.data
    sources = _sources(data, data.val_split, recipe.seed)
    if set(sources) == {SYNTHETIC}:
        # Scenes of another seed than those that are trained on.
        scenes = [_rendered(recipe.seed + 1, index, data.side) for index in range(NUM_VALIDATION_SCENES)]
        sources = {SYNTHETIC: [replace(scene, split=data.val_split) for scene in scenes]}
    return evaluation_samples({k: v for k, v in sources.items() if v}, data.val_split)


def _rendered(seed: int, index: int, side: int) -> AnnotatedImage:
    """One synthetic scene, half again as wide as what is trained at, so that crops of it lose little."""
    return generate_scene(np.random.default_rng((seed, index)), side=side * 3 // 2)
