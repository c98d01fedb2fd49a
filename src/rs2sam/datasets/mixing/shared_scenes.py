"""Images that several sentences share, without end: a source by its share, an image by its rare classes, a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from rs2sam.datasets.base import AnnotatedImage
from rs2sam.datasets.mixing.augment import Box, crop, fit, turn
from rs2sam.datasets.mixing.mixture import image_shares
from rs2sam.datasets.mixing.recolour import recolour
from rs2sam.errors import InvalidInputError

MAX_SIDE = 1600
"""Images are kept in memory, shrunk to this longer side [px]."""
_RARITY_POWER = 0.6
_WHOLE_SHARE, _CENTRED_SHARE = 0.15, 0.7
_CLOSE, _FAR = 0.15, 0.85
"""Where in a window the object lies that it was drawn around, as shares of its sides."""
_LEAST_FILLED = 0.6
"""An image whose shorter side is this share of the widest window or more is cut to squares, which keep its aspect."""

_ZOOMS: Mapping[str, tuple[float, float]] = {
    "cats_drone_vehicles": (0.45, 0.0),
    "openaerialmap_buildings": (0.9, 0.6),
    "dronedeploy_chips": (0.9, 0.6),
    "massachusetts_roads": (1.0, 0.9),
}
"""Source -> factor of its zoom, and least zoom: what is photographed from very near or far is brought nearer to the
others."""


class SharedScenes:
    """Images of several sources with their annotation, varied.

    Args:
        sources: name -> annotated images.
        weights: name -> how often the source is drawn, relative to the others; those without a name here are not drawn.
        side: height and width of the result [px].
        zoom: least and greatest factor between image and result, drawn log-uniformly.

    Raises:
        InvalidInputError: no source has a weight and images.
    """

    def __init__(
        self,
        sources: Mapping[str, Sequence[AnnotatedImage]],
        weights: Mapping[str, float],
        side: int,
        zoom: tuple[float, float],
    ) -> None:
        self.side, self.zoom = side, zoom
        self._sources = {name: images for name, images in sources.items() if weights.get(name, 0) > 0 and images}
        if not self._sources:
            raise InvalidInputError(
                f"`weights` must give positive weights to sources with images ({', '.join(sources)}); "
                f"received {dict(weights)}."
            )
        self._names = list(self._sources)
        shares = np.array([weights[name] for name in self._names], dtype=np.float64)
        self._shares = shares / shares.sum()
        self._image_shares = {name: image_shares(images, _RARITY_POWER) for name, images in self._sources.items()}
        self._cache: dict[tuple[str, int], AnnotatedImage] = {}

    def preload(self) -> int:
        """Read every image into memory, so that worker processes forked afterwards share them; returns the bytes."""
        for name, images in self._sources.items():
            for position in range(len(images)):
                self._image(name, position)
        return sum(annotated.pixels().nbytes for annotated in self._cache.values())

    def draw(self, rng: np.random.Generator) -> AnnotatedImage:
        """Draw an image of (side, side) pixels, which are in memory."""
        name = self._names[int(rng.choice(len(self._names), p=self._shares))]
        position = int(rng.choice(len(self._sources[name]), p=self._image_shares[name]))
        annotated = self._image(name, position)
        shown = crop(annotated, self._window(annotated, rng), self.side)
        shown = turn(shown, int(rng.integers(4)), bool(rng.integers(2)))
        return replace(shown, image=recolour(shown.pixels(), rng))

    def _image(self, name: str, position: int) -> AnnotatedImage:
        """An image of a source, read once."""
        key = (name, position)
        if key not in self._cache:
            self._cache[key] = fit(self._sources[name][position], MAX_SIDE)
        return self._cache[key]

    def _window(self, annotated: AnnotatedImage, rng: np.random.Generator) -> Box:
        """Draw the part of an image that is shown: all of it, around an object, or anywhere."""
        height, width = annotated.size_hw
        factor, least = _ZOOMS.get(annotated.source, (1.0, 0.0))
        zoom = max(float(np.exp(rng.uniform(*np.log(self.zoom)))) * factor, least)
        if rng.random() < _WHOLE_SHARE:
            return 0, 0, width, height
        w, h = min(round(self.side / zoom), width), min(round(self.side / zoom), height)
        if min(width, height) >= self.side * _LEAST_FILLED / self.zoom[1]:
            w = h = min(w, h)
        x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
        if annotated.instances and rng.random() < _CENTRED_SHARE:
            categories = sorted({instance.category for instance in annotated.instances})
            category = categories[int(rng.integers(len(categories)))]
            objects = [instance for instance in annotated.instances if instance.category == category]
            centre = objects[int(rng.integers(len(objects)))].center_xy
            x, y = centre[0] - w * rng.uniform(_CLOSE, _FAR), centre[1] - h * rng.uniform(_CLOSE, _FAR)
        left, top = int(np.clip(x, 0, width - w)), int(np.clip(y, 0, height - h))
        return left, top, left + w, top + h
