"""Training examples of a model that encodes an image once: an image, several sentences, and what it shows of classes.

I images of a batch, B sentences (the same number about each image), S image side, h w = S/4 cells, K classes, L tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from rs2sam.datasets.english.naming import Naming, draw_namings
from rs2sam.datasets.mixing.known_pixels import (
    MOST_UNKNOWN,
    CentreTarget,
    ClassTargets,
    cell_means,
    centre_target,
    class_targets,
)
from rs2sam.datasets.mixing.questions import Question, QuestionMix, draw_questions
from rs2sam.datasets.mixing.shared_scenes import SharedScenes
from rs2sam.processing import Processor
from rs2sam.training.examples.dataset import Examples, TrainingDraw, resized
from rs2sam.training.examples.draws import examples_on, rule_made_sources
from rs2sam.training.examples.failures import READ_ERRORS, failed_batch, failed_example
from rs2sam.training.recipes.settings import Recipe

TARGET_STRIDE = 4
"""Pixels per cell of what the model answers with."""


@dataclass(frozen=True, eq=False)
class SharedDraw:
    """One image of a batch before it becomes the model's input.

    Args:
        rgb: (H, W, 3) uint8 at any size.
        questions: sentences with their targets (S, S); as many in every example of a run.
        classes: what the image teaches about every class; None where classes are not annotated.
        centres: what it teaches about the middles of objects; None with `classes`.
        names: names without an image; as many in every example of a run.
        has_untaught: whether some sentences of the run name nothing taught, so that telling them apart can be learned.
        id: names the example in messages; by default its index in the run.
    """

    rgb: NDArray[np.uint8]
    questions: Sequence[Question]
    classes: ClassTargets | None = None
    centres: CentreTarget | None = None
    names: Sequence[Naming] = ()
    has_untaught: bool = True
    id: str = ""


def shared_examples(recipe: Recipe) -> Examples:
    """Opens or makes the data of a recipe for a model that encodes an image once.

    Raises:
        DataNotFoundError: as `draws.examples_of`.
        InvalidInputError: as `draws.examples_of`.
    """
    return examples_on(recipe, shared_draw)


def shared_draw(recipe: Recipe) -> Callable[[int], SharedDraw]:
    """What a run draws from: index -> image with its sentences, the same in every process.

    Args:
        recipe: sources and their shares, of which only the training split is used, and what is asked about an image.

    Raises:
        InvalidInputError: a name in `recipe.data.weights` is no data set under `recipe.data.root`.
    """
    data, once, seed = recipe.data, recipe.encode_once, recipe.seed
    scenes = SharedScenes(rule_made_sources(data, seed), data.weights, data.side, once.zoom)
    scenes.preload()
    mix = QuestionMix(once.sentences, once.absent, once.untaught, data.kind_weights, once.framed)

    def draw(index: int) -> SharedDraw:
        rng = np.random.default_rng((seed, index))
        annotated = scenes.draw(rng)
        return SharedDraw(
            annotated.pixels(),
            draw_questions(annotated, rng, mix),
            class_targets(annotated, TARGET_STRIDE),
            centre_target(annotated, TARGET_STRIDE),
            draw_namings(rng, once.names, once.framed),
            id=f"{annotated.source}/{annotated.id}",
        )

    return draw


def with_one_question(drawn: TrainingDraw) -> SharedDraw:
    """An example of a referring data set, which has one sentence an image; its classes are left out."""
    known = np.ones(drawn.mask.shape, bool) if drawn.ignore is None else ~drawn.ignore
    question = Question(drawn.sentence, drawn.mask, known, kind="given", is_present=bool(drawn.mask.any()))
    return SharedDraw(drawn.rgb, [question], has_untaught=False, id=drawn.id)


class SharedDataset(Dataset[dict[str, Any]]):
    """Images drawn by index with their sentences, as the model takes them.

    Args:
        draw: index -> example; deterministic, so that neither worker count nor resuming changes anything.
        processor: makes the inputs; its `image_size` is the side that is trained at.
        length: number of images.
    """

    def __init__(self, draw: Callable[[int], SharedDraw | TrainingDraw], processor: Processor, length: int) -> None:
        self.draw = draw
        self.processor = processor
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        try:
            drawn = self.draw(index)
            if isinstance(drawn, TrainingDraw):
                drawn = with_one_question(drawn)
            sentences = [question.sentence for question in drawn.questions]
            self.processor.sentences(sentences)  # one that is too long is this example's failure
            pixel_values = self.processor.picture(resized(drawn.rgb, self.processor.config.image_size))
        except READ_ERRORS as error:
            return failed_example(index, error)
        known = [cell_means(question.known, TARGET_STRIDE) for question in drawn.questions]
        example = {
            "pixel_values": pixel_values,
            "target": np.stack([cell_means(question.target, TARGET_STRIDE) for question in drawn.questions]),
            "target_known": np.stack(known) > 1 - MOST_UNKNOWN,
            "is_present": np.array([bool(question.is_present) for question in drawn.questions], np.float32),
            "presence_known": np.array([question.is_present is not None for question in drawn.questions], np.float32),
            "sentences": sentences,
            "names": drawn.names,
            "id": drawn.id or str(index),
        }
        if drawn.has_untaught:
            example["is_taught"] = np.array([question.is_taught for question in drawn.questions], np.float32)
        if drawn.classes is not None and drawn.centres is not None:
            example |= {
                "class_shares": drawn.classes.shares,
                "class_known": drawn.classes.known,
                "centre_depth": drawn.centres.depth,
                "centre_known": drawn.centres.known,
            }
        return example

    def collate(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Stack examples; sentences are padded to the longest of the batch.

        Returns:
            Tensors by name: `pixel_values` (I, 3, S, S) float32; `input_ids` and `attention_mask` (B, L); `target` (B,
            h, w) float32, shares of cells; `target_known` (B, h, w) bool; `is_present` and `presence_known` (B,)
            float32; where every example has them `is_taught` (B,) float32, `class_shares` (I, K, h, w) float32,
            `class_known` (I, K, h, w) bool, `centre_depth` and `centre_known` (I, h, w) float32. With names: `name_ids`
            and `name_mask` (N, L), `name_is_taught` (N,) float32, `main_ids` and `main_mask` of the M that are taught.
            And `ids`, a list of I texts. Instead of all that a failure, where an example could not be made.
        """
        failed = failed_batch(examples)
        if failed is not None:
            return failed
        text = self.processor.sentences([sentence for example in examples for sentence in example["sentences"]])
        arrays = {"pixel_values": np.stack([example["pixel_values"] for example in examples])}
        for name in ("target", "target_known", "is_present", "presence_known", "is_taught"):
            if all(name in example for example in examples):
                arrays[name] = np.concatenate([example[name] for example in examples])
        for name in ("class_shares", "class_known", "centre_depth", "centre_known"):
            if all(name in example for example in examples):
                arrays[name] = np.stack([example[name] for example in examples])
        arrays |= {"input_ids": text.input_ids, "attention_mask": text.attention_mask}
        arrays |= self._names([name for example in examples for name in example["names"]])
        tensors = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}
        return tensors | {"ids": [example["id"] for example in examples]}

    def _names(self, names: Sequence[Naming]) -> dict[str, NDArray[Any]]:
        """The arrays of names without an image; none without names."""
        mains = [name.main for name in names if name.main]
        if not mains:
            return {}
        said, main = (self.processor.sentences(phrases) for phrases in ([name.phrase for name in names], mains))
        return {
            "name_ids": said.input_ids,
            "name_mask": said.attention_mask,
            "name_is_taught": np.array([bool(name.main) for name in names], np.float32),
            "main_ids": main.input_ids,
            "main_mask": main.attention_mask,
        }
