"""What is asked about an image and a sentence, and how the answers to the parts become one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rs2sam.errors import InvalidInputError
from rs2sam.fields import a_text, brief
from rs2sam.imaging import ImageSource
from rs2sam.language.scope import ScopedSentence, read_sentence
from rs2sam.pictures import Picture
from rs2sam.raster.georeference import Georeference
from rs2sam.raster.read import scene_of
from rs2sam.raster.scene import Scene
from rs2sam.raster.source import ReadOptions
from rs2sam.vector.choosing import chosen
from rs2sam.views.options import SceneOptions, SentenceResult
from rs2sam.views.segmentation import Segmentation, thumbnail_of


@dataclass(frozen=True, eq=False)
class Shown:
    """An image that was read."""

    scene: Scene
    picture: Picture
    thumbnail: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Asked:
    """One image and sentence, with what the model is asked about it."""

    shown: Shown
    scoped: ScopedSentence
    is_one_view: bool

    @classmethod
    def of(cls, shown: Shown, sentence: str, options: SceneOptions, image_size: int) -> Asked:
        """Read the sentence where regions are to be chosen."""
        scene = shown.scene
        pixel_m = None if options.gsd_m is None else scene.georeference.pixel_size_m(scene.size_hw)
        num_views = len(options.grid(scene.size_hw, image_size, pixel_m))
        scoped = read_sentence(sentence) if options.chooses(num_views) else ScopedSentence(sentence, sentence)
        return cls(shown, scoped, num_views == 1 and options.gsd_m is None)

    @property
    def parts(self) -> list[str]:
        """What the model is asked: the sentence without what is decided afterwards, and what it is compared with."""
        return [self.scoped.local, *([] if self.scoped.landmark is None else [self.scoped.landmark])]

    def answer(self, found: Sequence[Segmentation]) -> Segmentation:
        """From what the model found of the parts to what the sentence means."""
        first = replace(found[0], sentence=self.scoped.sentence)
        if not self.scoped.claims:
            return first
        landmark = (found[1].mask, found[1].probability) if len(found) > 1 else None
        place = self.shown.scene.georeference
        mask, said = chosen(first.mask, first.probability, landmark, self.scoped, place)
        probability = np.where(first.mask & ~mask, np.float32(0), first.probability)
        return replace(first, mask=mask, probability=probability, warnings=(*first.warnings, *said))


def of_tiles(found: SentenceResult, shown: Shown) -> Segmentation:
    """What was blended from tiles, in the scene's place."""
    assert found.probability is not None
    view = Segmentation(found.sentence, found.mask, found.probability, found.presence, found.score)
    return _with_scene(view, shown)


def placed(view: Segmentation, shown: Shown, options: SceneOptions) -> Segmentation:
    """A view of a whole scene: without the invalid pixels, in the scene's place."""
    valid = shown.scene.valid
    # At 0.5 the logits decide, without the rounding of a probability.
    is_set = view.mask if options.threshold == 0.5 else view.probability > options.threshold
    return _with_scene(replace(view, mask=is_set & valid, probability=view.probability * valid), shown)


def _with_scene(view: Segmentation, shown: Shown) -> Segmentation:
    """A result with what is known of its image."""
    scene = shown.scene
    return replace(
        view,
        georeference=scene.georeference,
        warnings=scene.warnings,
        valid=scene.valid,
        thumbnail=shown.thumbnail,
        source=scene.source,
    )


def read_scenes(
    pairs: Iterable[tuple[ImageSource, str]], reading: ReadOptions, place: Georeference | None
) -> Iterator[tuple[Shown, str]]:
    """Scenes with their sentences; an image given several times in a row is read once."""
    last: object = object()  # held, so that no other object can take its place in memory
    for image, sentence in _checked_pairs(pairs):
        are_paths = isinstance(image, (str, Path)) and isinstance(last, (str, Path))
        if not (image is last or (are_paths and str(image) == str(last))):
            scene, last = scene_of(image, reading, place), image
            shown = Shown(scene, Picture(scene.rgb), thumbnail_of(scene.rgb))
        yield shown, sentence


def _checked_pairs(pairs: Iterable[tuple[ImageSource, str]]) -> Iterator[tuple[ImageSource, str]]:
    """Pairs of an image and a sentence; anything else is said before an image is read."""
    if isinstance(pairs, str | bytes | Path | np.ndarray) or not isinstance(pairs, Iterable):
        raise InvalidInputError(
            f"`pairs` must be a list of (image, sentence), received {type(pairs).__name__} {brief(pairs)}."
        )
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise InvalidInputError(f"A pair must be (image, sentence), received {type(pair).__name__} {brief(pair)}.")
        yield pair[0], a_text("sentence", pair[1])
