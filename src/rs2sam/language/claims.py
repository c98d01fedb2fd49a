"""What only a scene can decide: place, rank, direction from something else, number; and what it chooses among."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from rs2sam.errors import InvalidInputError

CELLS: tuple[str, ...] = (
    "upper left",
    "upper center",
    "upper right",
    "center left",
    "center",
    "center right",
    "lower left",
    "lower center",
    "lower right",
    "left",
    "right",
    "top",
    "bottom",
)
"""Places in a scene. The same words, with the same meaning, are in the sentences that models are trained on."""

Measure: TypeAlias = Literal["largest", "smallest", "longest", "shortest", "nearest", "farthest", "toward"]
"""What candidates are ordered by: area, diagonal of the rectangle around, distance to the anchor, or to a side of the
scene (`toward`)."""

ORDINALS: tuple[str, ...] = (
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
)


@dataclass(frozen=True)
class Anchor:
    """The other object of a relation.

    Args:
        sentence: what tiles are asked for to find it; None: others of the same kind are meant ("its fellow").
        claims: what singles it out among those found; places and ranks only.
        is_plural: all of them together are meant ("the storage tanks").
        is_any: of the same kind, but one of them is enough ("another ship" rather than "the others").
    """

    sentence: str | None
    claims: tuple[Claim, ...] = ()
    is_plural: bool = False
    is_any: bool = False

    def __str__(self) -> str:
        name = f"[{self.sentence}]" if self.sentence is not None else "another" if self.is_any else "the other"
        return " | ".join([name, *map(str, self.claims)])


@dataclass(frozen=True)
class Place:
    """Somewhere in the scene: "in the upper left".

    Args:
        cell: one of `CELLS`.
        in_corner: the very corner is meant.
        by_compass: said as "north-west", which is the upper left only where north is up.
    """

    cell: str
    in_corner: bool = False
    by_compass: bool = False

    def __post_init__(self) -> None:
        _check_cell(self.cell)

    def __str__(self) -> str:
        return f"in {self.cell}{' corner' if self.in_corner else ''}{' (compass)' if self.by_compass else ''}"


@dataclass(frozen=True)
class Rank:
    """One or several at the end of an order: "the largest", "the two northernmost", "the second from the left".

    Args:
        measure: the order.
        cell: where to, for `toward`: one of `CELLS`.
        first: rank of the first one meant, from 1.
        number: how many are meant; None: those that no other clearly surpasses ("the largest tanks").
        anchor: what `nearest` and `farthest` are measured from.
        by_compass: `cell` was said by the compass.
    """

    measure: Measure
    cell: str | None = None
    first: int = 1
    number: int | None = 1
    anchor: Anchor | None = None
    by_compass: bool = False

    def __post_init__(self) -> None:
        if self.measure == "toward":
            _check_cell(self.cell)
        if self.measure in ("nearest", "farthest") and (self.anchor is None or self.anchor.sentence is None):
            raise InvalidInputError(
                f"The rank `{self.measure}` needs an anchor with a sentence; received {self.anchor}."
            )
        if not 1 <= self.first <= len(ORDINALS) or (self.number is not None and self.number < 1):
            raise InvalidInputError(
                f"A rank begins at 1 to {len(ORDINALS)} and means at least one region; received `first` "
                f"{self.first} and `number` {self.number}."
            )

    def __str__(self) -> str:
        words = [] if self.first == 1 else [ORDINALS[self.first - 1]]
        words += [] if self.number == 1 else ["several" if self.number is None else str(self.number)]
        words += [self.measure, *([self.cell] if self.cell else []), *([str(self.anchor)] if self.anchor else [])]
        return " ".join(words) + (" (compass)" if self.by_compass else "")


@dataclass(frozen=True)
class Direction:
    """To one side of another object: "left of the bridge".

    Args:
        cell: side or corner of the anchor: `left`, `top`, `upper left`, ...
        anchor: the other object.
        by_compass: said as "north of".
    """

    cell: str
    anchor: Anchor
    by_compass: bool = False

    def __post_init__(self) -> None:
        _check_cell(self.cell)
        if "center" in self.cell:
            raise InvalidInputError(f"A direction is a side or a corner of the anchor, but it is {self.cell!r}.")

    def __str__(self) -> str:
        return f"{self.cell} of {self.anchor}{' (compass)' if self.by_compass else ''}"


@dataclass(frozen=True)
class Count:
    """How many there are: "the three ships".

    Args:
        number: at least 1.
    """

    number: int

    def __post_init__(self) -> None:
        if self.number < 1:
            raise InvalidInputError(f"A number of objects is at least 1, but it is {self.number}.")

    def __str__(self) -> str:
        return f"count {self.number}"


def _check_cell(cell: str | None) -> None:
    """Raise InvalidInputError unless it is a place."""
    if cell not in CELLS:
        raise InvalidInputError(f"A place is one of {', '.join(CELLS)}; received {cell!r}.")


Claim: TypeAlias = Place | Rank | Direction | Count


class CandidateLike(Protocol):
    """What is asked of a region; those of a region store and `Candidate` have it."""

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Least x, least y, greatest x, greatest y in pixels of the scene."""

    @property
    def area_px(self) -> float:
        """Number of pixels."""

    @property
    def mean_probability(self) -> float:
        """Mean foreground probability inside, in [0, 1]."""


@dataclass(frozen=True)
class Candidate:
    """A region that tiles found.

    Args:
        bounds: least x, least y, greatest x, greatest y in pixels of the scene; the greatest are exclusive.
        area_px: number of pixels, above 0.
        mean_probability: mean foreground probability inside, in [0, 1].
    """

    bounds: tuple[float, float, float, float]
    area_px: float
    mean_probability: float = 1.0


@dataclass(frozen=True)
class ScopedSentence:
    """A sentence, divided between tiles and scene.

    Args:
        sentence: as it was given.
        local: what tiles are asked; equal to `sentence` where there are no claims.
        claims: what `choose` decides among all that the tiles found, in the order of `choose`.
        means_one: a single thing at a place is named, and nothing tells it from others there.
    """

    sentence: str
    local: str
    claims: tuple[Claim, ...] = ()
    means_one: bool = False

    @property
    def landmark(self) -> str | None:
        """What tiles are asked to find the other object of a relation, or None where there is none."""
        anchors = (claim.anchor for claim in self.claims if isinstance(claim, Rank | Direction) and claim.anchor)
        return next((anchor.sentence for anchor in anchors if anchor.sentence is not None), None)

    @property
    def parts(self) -> tuple[str, ...]:
        """What a model is asked: `local`, and the other object of a relation where there is one."""
        return (self.local,) if self.landmark is None else (self.local, self.landmark)

    @property
    def by_compass(self) -> bool:
        """Whether a point of the compass is named, so that it matters where north is."""
        return any(not isinstance(claim, Count) and claim.by_compass for claim in self.claims)

    def describe(self) -> dict[str, object]:
        """The reading as plain values for a record."""
        return {"local": self.local, "claims": [str(claim) for claim in self.claims], "landmark": self.landmark}
