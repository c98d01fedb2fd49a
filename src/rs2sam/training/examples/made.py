"""Training images that are made of others: by a rule, by putting them together, by what a model said of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from rs2sam.datasets.base import AnnotatedImage
from rs2sam.datasets.mixing.mosaic import FAR_MOSAICS, far_mosaics, turned_mosaics
from rs2sam.datasets.readers.greenery import NAIP_GREENERY, UNLABELLED, naip_greenery
from rs2sam.datasets.readers.marked import NAIP_MARKED, POOLS, POOLS_MARKED, marked_photographs, marked_pools
from rs2sam.errors import InvalidInputError

MARKED_CELLS, MARKED_ROUNDS = 3, 3
"""Photographs of 256 px along a side of a mosaic of them, and how often all are put together anew."""

Images = Sequence[AnnotatedImage]


@dataclass(frozen=True)
class Ingredients:
    """What training images can be made of.

    Args:
        root: folder of the data sets.
        training: source -> its images of the split `train`, of every source under `root`.
        marked: folder of a model's marks, or None.
        seed: of what is put together.
    """

    root: Path
    training: Mapping[str, Images]
    marked: Path | None
    seed: int

    def of(self, source: str, made: str) -> Images:
        """The training images of a source.

        Raises:
            InvalidInputError: there are none.
        """
        if not self.training.get(source):
            raise InvalidInputError(
                f"`{made}` is made of training images of `{source}`, of which `{self.root}` holds none. Correct "
                f"`data.root`, or leave `{made}` out."
            )
        return self.training[source]

    def marks(self, made: str) -> Path:
        """The folder of marks.

        Raises:
            InvalidInputError: the recipe names none.
        """
        if self.marked is None:
            raise InvalidInputError(
                f"`data.marked` must name the folder of marks that `{made}` is made of; set it "
                "(`tools/compact/mark_by_model.py` writes one), or leave the source out"
            )
        return self.marked


@dataclass(frozen=True)
class MadeSource:
    """A source that is made of others.

    Args:
        make: makes its images.
        of: the source whose training images it needs, or None.
    """

    make: Callable[[Ingredients], Images]
    of: str | None = None


def _far(name: str, ingredients: Ingredients) -> Images:
    """Mosaics of a source seen from farther away."""
    form = FAR_MOSAICS[name]
    rng = np.random.default_rng((ingredients.seed, *name.encode()))
    return far_mosaics(ingredients.of(form.source, name), name, form, rng)


def _naip_marked(ingredients: Ingredients) -> Images:
    """Mosaics of photographs that a model marked."""
    tiles = marked_photographs(ingredients.marks(NAIP_MARKED), ingredients.root)
    rng = np.random.default_rng((ingredients.seed, *NAIP_MARKED.encode()))
    return turned_mosaics(tiles, MARKED_CELLS, MARKED_ROUNDS, rng)


def _pools_marked(ingredients: Ingredients) -> Images:
    """Images of pools with a model's marks of all else."""
    return marked_pools(ingredients.marks(POOLS_MARKED), ingredients.of(POOLS, POOLS_MARKED))


MADE_SOURCES: Mapping[str, MadeSource] = {
    NAIP_GREENERY: MadeSource(lambda ingredients: naip_greenery(ingredients.root / UNLABELLED)),
    NAIP_MARKED: MadeSource(_naip_marked),
    POOLS_MARKED: MadeSource(_pools_marked, of=POOLS),
    **{name: MadeSource(partial(_far, name), of=form.source) for name, form in FAR_MOSAICS.items()},
}
"""Name of a source -> how it is made. They train, and nothing is measured on them."""
