"""What a view and a result are, and how a scene is cut into views.

An image whose longer side is at most `WHOLE_VIEW_FACTOR` times the model's input is one view: the model sees all of it,
so words such as "the largest" or "upper left" mean the whole image. A larger image is cut into overlapping tiles at
full resolution. Each tile then answers for itself: a class is found wherever it is; what a word that compares places or
sizes means is decided for the scene afterwards (`rs2sam.language.scope`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from rs2sam.errors import InvalidInputError
from rs2sam.fields import brief, checked, texts
from rs2sam.processing import FirstPass
from rs2sam.raster.scene import shrink_to
from rs2sam.raster.tiling import TileGrid
from rs2sam.vector.instances import Instances
from rs2sam.vector.vectorize import Region

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]
WHOLE_VIEW_FACTOR = 2
"""An image of up to this many times the model's input side is seen whole."""

Scope = Literal["tile", "scene"]


class View(Protocol):
    """What the segmenter says about one view."""

    @property
    def probability(self) -> FloatArray:
        """(h, w) float32 foreground probability in [0, 1]."""

    @property
    def presence(self) -> float | None:
        """Probability that the view holds what the sentence names, or None where the model does not tell."""

    @property
    def score(self) -> float | None:
        """Predicted IoU of the mask in [0, 1], or None where the model does not tell."""

    @property
    def known(self) -> float | None:
        """Probability that the sentence names something the model was taught, or None where it does not tell."""


def objects_in(view: View, threshold: float) -> Instances | None:
    """The objects that a view tells apart, as far as they are foreground; None where it tells none apart.

    Args:
        view: a `View` that may have `instances`, as `rs2sam.Segmentation` has.
        threshold: a pixel is foreground where its probability is above this.
    """
    found: Instances | None = getattr(view, "instances", None)
    if found is None:
        return None
    return found.changed(lambda labels: np.where(view.probability > threshold, labels, 0).astype(np.uint16))


class ViewSegmenter(Protocol):
    """What a scene asks of a model; `rs2sam.Segmenter` is one."""

    @property
    def image_size(self) -> int:
        """Side of the square that the model sees, in pixels."""

    def segment_views(self, pairs: Sequence[tuple[NDArray[np.uint8], str]], batch_size: int = ...) -> Sequence[View]:
        """Answer pairs of an (h, w, 3) uint8 view and a sentence, in order."""


@dataclass(frozen=True)
class MinArea:
    """The least area of a region that is kept.

    Args:
        value: at least 0.
        unit: `px` (pixels) or `m2` (square metres on the ellipsoid, for scenes with a CRS).
    """

    value: float
    unit: Literal["px", "m2"] = "px"

    def __post_init__(self) -> None:
        if not self.value >= 0:
            raise InvalidInputError(f"The least area must be at least 0, but it is {self.value:g}.")

    @classmethod
    def parse(cls, text: str) -> MinArea:
        """Read `40`, `40px` or `25m2`."""
        number = text.strip().lower()
        unit: Literal["px", "m2"] = "m2" if number.endswith("m2") else "px"
        try:
            return cls(float(number.removesuffix(unit)), unit)
        except ValueError as error:
            raise InvalidInputError(
                f"The least area is a number of pixels or of square metres, but it is {text!r}. "
                "Write for example `40px` or `25m2`."
            ) from error

    def __str__(self) -> str:
        return f"{self.value:g}{self.unit if self.value else ''}"


@dataclass(frozen=True)
class SceneOptions:
    """How a scene is cut, answered and thresholded.

    Args:
        tile: side of a tile in pixels of the scene; None: the model's own side, and an image of up to
            `WHOLE_VIEW_FACTOR` times that side whole.
        overlap: least overlap of neighbouring tiles in pixels; None: a quarter of the tile.
        batch_size: views the model reads at once; None: as `run_scene` finds best for the model, else one.
        threshold: a pixel is foreground where its probability is above this.
        min_presence: a view whose presence is below this is empty; 0 and None switch it off, and `run_scene` takes
            the model's own for None.
        min_area: smaller regions are dropped.
        scope: what words that compare refer to in a scene of several tiles: `scene`, to all that was found; `tile`, to
            what each tile sees.
        choose_in_view: with scope `scene`, choose among what was found in a scene of one view too, instead of leaving
            words that compare to the model; None: as `run_scene` finds the model prefers it, else False.
        exhaustive: ask about every tile that has data; False: skip tiles by a first pass (`rs2sam.scenes.first_pass`);
            None: as `run_scene` finds the model prefers it, else every tile.
        first_pass: how tiles are skipped; None: as `run_scene` finds it in the model.
        gsd_m: ground resolution at which the model sees the scene [m/px]; None: the scene's own. Tiles then cover as
            much ground as the model's input does at this resolution, and no scene is seen whole because it is small.
        memory: what the engine may use beside the model [bytes].
        keep_probability: results hold their (H, W) probability, four bytes a pixel and sentence.
    """

    tile: int | None = None
    overlap: int | None = None
    batch_size: int | None = None
    threshold: float = 0.5
    min_presence: float | None = 0.0
    min_area: MinArea = field(default_factory=lambda: MinArea(0))
    scope: Scope = "scene"
    choose_in_view: bool | None = None
    exhaustive: bool | None = None
    first_pass: FirstPass | None = None
    gsd_m: float | None = None
    memory: int = 2_000_000_000
    keep_probability: bool = False

    def __post_init__(self) -> None:
        hints = get_type_hints(SceneOptions)
        for name in ("tile", "overlap", "batch_size", "threshold", "min_presence", "gsd_m", "memory"):
            object.__setattr__(self, name, checked(name, getattr(self, name), hints[name]))
        if self.scope not in get_args(Scope):
            raise InvalidInputError(f"`scope` is one of {', '.join(get_args(Scope))}, but it is {brief(self.scope)}.")
        if self.tile is not None and self.tile < 16:
            raise InvalidInputError(f"A tile must have at least 16 pixels a side, but `tile` is {self.tile}.")
        if self.batch_size is not None and self.batch_size < 1:
            raise InvalidInputError(f"`batch_size` must be at least 1, but it is {self.batch_size}.")
        if self.gsd_m is not None and not (self.gsd_m > 0 and math.isfinite(self.gsd_m)):
            raise InvalidInputError(
                f"A ground resolution is a finite length above 0 m per pixel, but `gsd_m` is {self.gsd_m:g}."
            )
        if self.gsd_m is not None and self.tile is not None:
            raise InvalidInputError("`gsd_m` decides the side of the tiles: leave `tile` out.")
        for name, value in (("threshold", self.threshold), ("min_presence", self.min_presence or 0.0)):
            if not 0 <= value <= 1:
                raise InvalidInputError(f"`{name}` is a probability in [0, 1], but it is {value:g}.")

    def chooses(self, num_views: int) -> bool:
        """Whether words that compare are decided among the regions found, not by the model."""
        return self.scope == "scene" and (num_views > 1 or bool(self.choose_in_view))

    def grid(self, size_hw: tuple[int, int], image_size: int, pixel_m: tuple[float, float] | None = None) -> TileGrid:
        """The tiles for a scene of this size and a model of this input side.

        Args:
            size_hw: of the scene in pixels.
            image_size: side of the model's input in pixels.
            pixel_m: width and height of a pixel in metres, needed with `gsd_m`.

        Raises:
            InvalidInputError: when the overlap does not fit, or `gsd_m` meets a scene without a place or smaller than
                one pixel of it.
        """
        side = max(size_hw)
        tile = self.tile or image_size
        if self.gsd_m is not None:
            if pixel_m is None:
                raise InvalidInputError(
                    "A ground resolution needs a scene whose CRS says where it lies, but this one has none. "
                    "Leave `gsd_m` out, or give the side of the tiles in pixels."
                )
            shrink = shrink_to(self.gsd_m, pixel_m, size_hw)
            tile = max(16, round(image_size * shrink))
        elif side <= (self.tile or WHOLE_VIEW_FACTOR * image_size):
            return TileGrid(size_hw, side, 0)
        return TileGrid(size_hw, tile, tile // 4 if self.overlap is None else self.overlap)


@dataclass(frozen=True)
class SentenceResult:
    """What one sentence found in a scene.

    Args:
        sentence: as it was given.
        mask: (H, W) bool; never True where the scene is invalid.
        regions: the connected pieces of the mask, largest first.
        area_m2: area of the mask on the ellipsoid; None where the CRS does not say where the scene lies.
        presence: highest presence of any view, or None where the model does not tell.
        score: predicted IoU, averaged over the views by their foreground, or None where the model does not tell.
        num_views: views the model was asked about.
        seconds: time in the model and for its polygons.
        probability: (H, W) float32 in [0, 1], 0 where the scene is invalid; None unless `keep_probability` asks for it.
        known: probability that the sentence names something the model was taught, or None where it does not tell.
        instances: which pixels of the mask belong to which object; None where the model tells none apart.
    """

    sentence: str
    mask: BoolArray
    regions: tuple[Region, ...]
    area_m2: float | None
    presence: float | None
    score: float | None
    num_views: int
    seconds: float
    probability: FloatArray | None = None
    known: float | None = None
    instances: Instances | None = None


def check_sentences(sentences: Sequence[str]) -> None:
    """Raise InvalidInputError unless there is a sentence, and each is text that is not blank."""
    texts("sentences", sentences)
    if not sentences:
        raise InvalidInputError('At least one sentence is needed, for example "the storage tanks near the river".')
    for number, sentence in enumerate(sentences, start=1):
        if not sentence.strip():
            raise InvalidInputError(
                f"A sentence must name what to find, but sentence {number} of {len(sentences)} is {sentence!r}."
            )
