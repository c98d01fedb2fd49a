"""What is asked about an image and a sentence, and how the answers to the parts become one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rasterio import Affine

from rs2sam.errors import InvalidInputError
from rs2sam.fields import a_text, brief
from rs2sam.imaging import RGB, ImageSource
from rs2sam.language.scope import ScopedSentence, read_sentence
from rs2sam.pictures import Picture
from rs2sam.processing_config import Calibration
from rs2sam.raster.georeference import Georeference
from rs2sam.raster.read import scene_of
from rs2sam.raster.scene import Scene
from rs2sam.raster.source import ReadOptions
from rs2sam.vector.choosing import FoundMask, chosen, said_of_number
from rs2sam.views.options import SceneOptions, SentenceResult
from rs2sam.views.segmentation import Segmentation, thumbnail_of


@dataclass(frozen=True, eq=False)
class Shown:
    """An image that was read.

    Args:
        scene: the image.
        picture: its pixels, with what the model made of them.
        thumbnail: (h, w, 3) uint8, see `Segmentation`.
    """

    scene: Scene
    picture: Picture
    thumbnail: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, image: ImageSource, reading: ReadOptions, place: Georeference | None) -> Shown:
        """Read an image; see `scene_of`."""
        scene = scene_of(image, reading, place)
        return cls(scene, Picture(scene.rgb), thumbnail_of(scene.rgb))

    def num_views(self, options: SceneOptions, image_size: int) -> int:
        """Views that a model of this input side sees of it."""
        scene = self.scene
        pixel_m = None if options.gsd_m is None else scene.georeference.pixel_size_m(scene.size_hw)
        return len(options.grid(scene.size_hw, image_size, pixel_m))

    def is_one_view(self, options: SceneOptions, image_size: int) -> bool:
        """Whether the model sees it whole, as it is."""
        return options.gsd_m is None and self.num_views(options, image_size) == 1


@dataclass(frozen=True)
class Asked:
    """One image and sentence, with what the model is asked about it."""

    shown: Shown
    scoped: ScopedSentence
    is_one_view: bool

    @classmethod
    def of(cls, shown: Shown, sentence: str, options: SceneOptions, image_size: int) -> Asked:
        """Read the sentence where regions are to be chosen."""
        num_views = shown.num_views(options, image_size)
        scoped = read_sentence(sentence) if options.chooses(num_views) else ScopedSentence(sentence, sentence)
        return cls(shown, scoped, shown.is_one_view(options, image_size))

    @property
    def parts(self) -> list[str]:
        """What the model is asked: the sentence without what is decided afterwards, and what it is compared with."""
        return list(self.scoped.parts)

    def answer(self, found: Sequence[Segmentation]) -> Segmentation:
        """From what the model found of the parts to what the sentence means."""
        first = replace(found[0], sentence=self.scoped.sentence)
        if not self.scoped.claims:
            said = said_of_number(FoundMask(first.mask, first.probability, first.labels), first.sentence)
            return replace(first, warnings=(*first.warnings, *said))
        return decided(self.scoped, found, self.shown.scene.georeference)


def decided(scoped: ScopedSentence, found: Sequence[Segmentation], place: Georeference) -> Segmentation:
    """What a sentence with claims means of what was found.

    Args:
        scoped: the sentence.
        found: of `scoped.local`, and of `scoped.landmark` where there is one.
        place: where the pixels lie.
    """
    masks = [FoundMask(one.mask, one.probability, one.labels) for one in found]
    first = found[0]
    confidence = None if first.calibration is None else first.calibration.share_of
    mask, said = chosen(masks[0], masks[1] if len(masks) > 1 else None, scoped, place, confidence)
    probability = np.where(first.mask & ~mask, np.float32(0), first.probability)
    warnings = dict.fromkeys(warning for part in found for warning in part.warnings)
    return replace(first, sentence=scoped.sentence, mask=mask, probability=probability, warnings=(*warnings, *said))


def decide_views(
    pairs: Sequence[tuple[RGB, str]], ask: Callable[[list[tuple[RGB, str]]], Sequence[Segmentation]]
) -> list[Segmentation]:
    """Answer pairs of a view and a sentence, words that compare decided among what was found of the rest.

    Args:
        pairs: (H, W, 3) uint8 arrays and sentences.
        ask: answers pairs as the model does.
    """
    scoped = [read_sentence(sentence) for _, sentence in pairs]
    found = iter(ask([(rgb, part) for (rgb, _), one in zip(pairs, scoped, strict=True) for part in one.parts]))
    answers = []
    for one in scoped:
        of_parts = [next(found) for _ in one.parts]
        if one.claims:
            answers.append(decided(one, of_parts, Georeference(Affine.identity())))
        else:
            answers.append(replace(of_parts[0], sentence=one.sentence))
    return answers


def of_tiles(found: SentenceResult, shown: Shown, calibration: Calibration | None) -> Segmentation:
    """What was blended from tiles, in the scene's place."""
    assert found.probability is not None
    said = found.presence, found.score
    view = Segmentation(
        found.sentence,
        found.mask,
        found.probability,
        *said,
        known=found.known,
        calibration=calibration,
        instances=found.instances,
    )
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
        warnings=(*scene.warnings, *view.warnings),
        valid=scene.valid,
        thumbnail=shown.thumbnail,
        source=scene.source,
    )


def read_scenes(
    pairs: Iterable[tuple[ImageSource | Shown, str]], reading: ReadOptions, place: Georeference | None
) -> Iterator[tuple[Shown, str]]:
    """Scenes with their sentences; an image given several times in a row is read once, one that was read is taken.

    Raises:
        InvalidInputError: pairs are none, or `reading` says how to read an image that was read already.
    """
    last: object = object()  # held, so that no other object can take its place in memory
    for image, sentence in _checked_pairs(pairs):
        are_paths = isinstance(image, (str, Path)) and isinstance(last, (str, Path))
        if isinstance(image, Shown):
            if reading != ReadOptions():
                raise InvalidInputError(
                    "`bands` and `stretch` say how an image is read, but an encoded one was read already. Give them to "
                    "`Segmenter.encode`."
                )
            shown, last = image, image
        elif not (image is last or (are_paths and str(image) == str(last))):
            shown, last = Shown.of(image, reading, place), image
        yield shown, sentence


def in_batches(
    read: Iterable[tuple[Shown, str]], options: SceneOptions, image_size: int
) -> Iterator[list[tuple[Shown, str]]]:
    """As many as are answered at once, and all that is asked about the last image of them where that is cut into tiles.

    Images that are seen whole need no such care: what the model made of one stays with it from batch to batch.
    """
    batch: list[tuple[Shown, str]] = []
    for one in read:
        is_full = len(batch) >= (options.batch_size or 1)
        if is_full and (one[0] is not batch[-1][0] or one[0].is_one_view(options, image_size)):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def _checked_pairs(pairs: Iterable[tuple[ImageSource | Shown, str]]) -> Iterator[tuple[ImageSource | Shown, str]]:
    """Pairs of an image and a sentence; anything else is said before an image is read."""
    if isinstance(pairs, str | bytes | Path | np.ndarray) or not isinstance(pairs, Iterable):
        raise InvalidInputError(
            f"`pairs` must be a list of (image, sentence), received {type(pairs).__name__} {brief(pairs)}."
        )
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise InvalidInputError(f"A pair must be (image, sentence), received {type(pair).__name__} {brief(pair)}.")
        yield pair[0], a_text("sentence", pair[1])
