"""What a recipe says of training a model that encodes an image once: examples, rates and weights of its objective."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from rs2sam.fields import require, require_within
from rs2sam.training.recipes.loss_settings import MOST_WEIGHT


@dataclass(frozen=True)
class PartRates:
    """Rates of parts, as factors of `optimizer.learning_rate`; all other parts train at that rate itself.

    A part of rate 0 is at rest. With trunk and pyramid at rest a step costs a fraction, and what the model makes of an
    image stays as it is: for teaching words.

    Args:
        trunk: of the convolutional trunk.
        pyramid: of the pyramid and of the class maps that are read from it.
        text: of token embeddings, text positions and the layers over the sentence alone.
    """

    trunk: float = 0.6
    pyramid: float = 1.2
    text: float = 0.3

    def __post_init__(self) -> None:
        """Reject what is no factor."""
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            require_within(f"encode_once.rates.{entry.name}", value, 0, 1000)


@dataclass(frozen=True)
class TermWeights:
    """Weights of the terms of the objective; a weight of 0 leaves one out.

    With `classes` and `centres` alone no sentence is answered, so a step costs half: the image half by itself.

    Args:
        mask: focal cross entropy and Dice of every sentence's mask.
        classes: the same of a map a class, read from the pixel embedding by a head that is dropped.
        centres: the middles of objects, read likewise.
        presence: whether anything is meant.
        known: whether the sentence names something taught.
        named: the same of names without an image.
        alike: how far the text of a name lies from that of the first name of its category.
    """

    mask: float = 2.0
    classes: float = 1.0
    centres: float = 0.2
    presence: float = 0.3
    known: float = 0.2
    named: float = 0.2
    alike: float = 0.2

    def __post_init__(self) -> None:
        """Reject negative weights."""
        for entry in dataclasses.fields(self):
            require_within(f"encode_once.terms.{entry.name}", getattr(self, entry.name), 0, MOST_WEIGHT)
        is_some = self.mask > 0 or self.classes > 0
        require("encode_once.terms.mask", self.mask, is_some, "above 0 where `encode_once.terms.classes` is 0")


@dataclass(frozen=True)
class EncodeOnceRecipe:
    """How a model that encodes an image once is trained; of no other kind of model.

    Args:
        sentences: sentences about each image of a step; `batch_size` counts images. A referring data set
            (`data.dataset`) brings one an image.
        zoom: least and greatest factor between an image and what is shown of it, drawn log-uniformly.
        absent: share of the sentences that name what is certainly not there, in [0, 1].
        untaught: share of the sentences that name nothing taught, in [0, 1]; with `absent` below 1.
        framed: share of the sentences about a thing that get one of the many ways to ask of `english.frames`, in
            [0, 1].
        names: names beside the sentences about each image, without one, half of them of what is taught; see
            `rs2sam.datasets.english.naming`.
        class_maps: file `class_maps.safetensors` of the run that wrote `init`: the heads of training alone go on from
            it; null: they start anew.
        rates: see `PartRates`.
        terms: see `TermWeights`.
    """

    sentences: int = 6
    zoom: tuple[float, float] = (0.5, 2.0)
    absent: float = 0.27
    untaught: float = 0.18
    framed: float = 0.0
    names: int = 0
    class_maps: str | None = None
    rates: PartRates = field(default_factory=PartRates)
    terms: TermWeights = field(default_factory=TermWeights)

    def __post_init__(self) -> None:
        """Reject what cannot be drawn."""
        require_within("encode_once.sentences", self.sentences, 1, 1024)
        require_within("encode_once.names", self.names, 0, 4096)
        least, most = self.zoom
        require("encode_once.zoom", self.zoom, 0 < least <= most <= 64, "two factors above 0 in order, at most 64")
        for name in ("absent", "untaught", "framed"):
            require(f"encode_once.{name}", getattr(self, name), 0 <= getattr(self, name) <= 1, "in [0, 1]")
        together = self.absent + self.untaught
        require("encode_once.absent", self.absent, together < 1, "below 1 together with `encode_once.untaught`")
