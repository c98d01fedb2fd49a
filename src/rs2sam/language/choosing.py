"""Which of the regions found in a scene a sentence means, decided in scene coordinates.

The meaning of a word is that of the training sentences (`rs2sam.datasets.english.properties`), whose three answers
(true, false, too close to call) become two here: what is true there is chosen, what is false there is not, and in
between stands the boundary. Lengths are in pixels of the scene; the place of an object is the centre of the rectangle
around it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rs2sam.errors import InvalidInputError
from rs2sam.language.claims import Anchor, CandidateLike, Claim, Count, Direction, Place, Rank

Confidence: TypeAlias = Callable[[float], float]
"""Mean probability of a region -> share of such regions that are right, in [0, 1]."""

ToMap: TypeAlias = tuple[float, float, float, float]
"""(a, b, d, e) of an affine transform: a step of (x, y) pixels goes a x + b y east and d x + e y north."""

SPECK_PX, SPECK_SHARE, DOUBTFUL_SHARE, DOUBTFUL_CROWD, CERTAIN_SHARE = 25, 0.03, 0.2, 3, 0.85
"""Ranks and numbers go by all objects, and leave out what is none: regions of fewer pixels than the first figure that
are smaller than the second figure's share of the typical one (half of all pixels lie in regions of at least its size),
as "the smallest ship" is not a stray pixel; and small regions that the model is less sure of, their mean probability
below the last share of the mean over all pixels. These are left out below the second share of the typical area, or
below the third where they outnumber the others by the fourth figure, as when a model litters a scene."""

_HALF = 0.46  # between the centres that are certainly left (0.4) and certainly not (0.53)
_MIDDLE = 0.2  # between 0.13 (certainly in the middle) and 0.26 (certainly not)
_CORNER = 0.28
_CERTAINLY_NOT = {"half": 0.53, "middle": 0.26}
_SIZE_RATIO = 1.4  # a region smaller by more than this is not among "the largest"
_GAP = 0.05  # and one farther by more than this share of the scene not among "the leftmost"

_OBJECT_POWER = 2.5
"""Of a confidence as a share of the surest one's, for how likely a region is an object that has a rank. A confidence is
of areas too, of which more are right: of 665 regions of countable classes on validation images 0 % were right where it
said 0.2 to 0.3, 9 % at 0.4 to 0.5, 51 % at 0.6 to 0.7, 92 % above 0.9."""
_PASSED_OVER = 4096
"""Regions that may be passed over for a rank at most, which bounds the time."""

_PAIRS_AT_ONCE = 2**20  # of regions and other objects, which bounds the memory

_UP_IS_NORTH: ToMap = (1.0, 0.0, 0.0, -1.0)
_Floats: TypeAlias = NDArray[np.float64]
_Truth: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class _Frame:
    """Where regions lie, in pixels and in parts of the scene; up is either the image's or north.

    Args:
        boxes: (N, 4) least x, least y, greatest x, greatest y in pixels.
        origin: (2,) least x and y of the scene.
        size: (2,) width and height of the scene.
    """

    boxes: _Floats
    origin: _Floats
    size: _Floats

    @property
    def centers(self) -> _Floats:
        """(N, 2) centres in pixels."""
        return (self.boxes[:, :2] + self.boxes[:, 2:]) / 2

    @property
    def places(self) -> _Floats:
        """(N, 2) centres in parts of the scene, in [0, 1]."""
        return (self.centers - self.origin) / self.size


def choose(
    candidates: Sequence[CandidateLike],
    claims: Sequence[Claim],
    size_hw: tuple[int, int],
    landmark_candidates: Sequence[CandidateLike] = (),
    to_map: ToMap | None = None,
    confidence: Confidence | None = None,
) -> list[int]:
    """Decide which regions a sentence means.

    First the places hold, each alone; then directions from other objects; of what is left, ranks pick ("the largest
    tank in the north" is the largest of those in the north); a number alone keeps those of most pixels, weighted by
    their probability. Where several ranks name different regions ("the smallest and leftmost"), the least sum of ranks
    wins. Where nothing is clearly at a place, what is not clearly elsewhere is taken. A relation to an object that was
    not found is left out (`remarks` says so).

    Args:
        candidates: the regions that tiles found for `ScopedSentence.local`.
        claims: of that sentence.
        size_hw: height and width of the scene in pixels.
        landmark_candidates: the regions that tiles found for `ScopedSentence.landmark`.
        to_map: linear part (a, b, d, e) of the scene's transform to map coordinates, for the points of the compass;
            None: north is taken to be up.
        confidence: how often regions of a mean probability are right, where that was measured: a rank is then what
            most likely has it, as "the leftmost ship" is not the first thing from the left that is hardly one.

    Returns:
        Indices of the regions that are meant, ascending; all of them where there are no claims. The order of the
        candidates does not matter: ties go to the upper, then to the left region.

    Raises:
        InvalidInputError: the scene has no pixels, or `to_map` does not turn pixels into places.
    """
    if min(size_hw) < 1:
        raise InvalidInputError(f"A scene has at least one pixel a side, but `size_hw` is {size_hw}.")
    if to_map is not None and to_map[0] * to_map[3] == to_map[1] * to_map[2]:
        raise InvalidInputError(f"`to_map` must be invertible, but it is {to_map}; leave it out where it is unknown.")
    chooser = _Chooser(candidates, landmark_candidates, size_hw, to_map or _UP_IS_NORTH, confidence)
    return chooser.choose(np.arange(len(candidates)), claims)


class _Chooser:
    """Candidates, measured once in the image's axes and once in those of the compass."""

    def __init__(
        self,
        candidates: Sequence[CandidateLike],
        landmarks: Sequence[CandidateLike],
        size_hw: tuple[int, int],
        to_map: ToMap,
        confidence: Confidence | None,
    ) -> None:
        self.areas = np.array([c.area_px for c in candidates], dtype=np.float64)
        self.specks = _specks(candidates)
        self.masses = self.areas * np.array([c.mean_probability for c in candidates], dtype=np.float64)
        self.confidence = confidence
        self.existence = None
        if confidence is not None:
            shares = np.nan_to_num(np.array([confidence(c.mean_probability) for c in candidates], dtype=np.float64))
            # Of the surest one: where all are equally sure, the order alone decides.
            surest = shares.max(initial=0.0) or 1.0
            self.existence = (shares / surest) ** _OBJECT_POWER
        self.size_hw = size_hw
        self.landmarks = landmarks
        self.to_map = to_map
        self.frames = [_frame(candidates, size_hw, axes) for axes in (_UP_IS_NORTH, to_map)]
        self.landmark_frames = [_frame(landmarks, size_hw, axes) for axes in (_UP_IS_NORTH, to_map)]

    def choose(self, chosen: NDArray[np.intp], claims: Sequence[Claim]) -> list[int]:
        """Narrow down `chosen` by all claims."""
        for place in (c for c in claims if isinstance(c, Place)):
            chosen = _first_nonempty(chosen, _place_tiers(place, self.frames[place.by_compass].places))
        for direction in (c for c in claims if isinstance(c, Direction)):
            chosen = self._in_direction(chosen, direction)
        ranks = [c for c in claims if isinstance(c, Rank)]
        ranks = [rank for rank in ranks if rank.anchor is None or len(self._anchors(rank.anchor))]
        if ranks:
            chosen = self._ranked(self._without_specks(chosen), ranks)
        for count in (c for c in claims if isinstance(c, Count)):
            chosen = self._without_specks(chosen)
            chosen = self._ordered(chosen, -self.masses[chosen])[: count.number]
        return sorted(int(index) for index in chosen)

    def _without_specks(self, chosen: NDArray[np.intp]) -> NDArray[np.intp]:
        objects = chosen[~self.specks[chosen]]
        return objects if len(objects) else chosen

    def _anchors(self, anchor: Anchor) -> NDArray[np.intp]:
        """The landmarks, or others of the kind, that an anchor means."""
        if anchor.sentence is None:
            everything = self._without_specks(np.arange(len(self.areas)))
            return np.array(self.choose(everything, anchor.claims), dtype=np.intp) if anchor.claims else everything
        found = np.array(
            choose(self.landmarks, anchor.claims, self.size_hw, (), self.to_map, self.confidence), dtype=np.intp
        )
        return found[~_specks([self.landmarks[index] for index in found])]

    def _in_direction(self, chosen: NDArray[np.intp], direction: Direction) -> NDArray[np.intp]:
        """Keep what lies to one side: of each other, of any other, of any landmark or of all landmarks together."""
        anchor, anchors = direction.anchor, self._anchors(direction.anchor)
        of_kind = anchor.sentence is None
        frame = self.frames[direction.by_compass]
        boxes = (frame if of_kind else self.landmark_frames[direction.by_compass]).boxes[anchors]
        is_ranked = any(isinstance(claim, Rank) for claim in anchor.claims)
        if not len(boxes) or (of_kind and len(self.areas) < 2 and not is_ranked):
            return chosen
        if anchor.is_plural:
            boxes = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])[None]
        anchor_centers = (boxes[:, :2] + boxes[:, 2:]) / 2
        tiers = [np.zeros(len(self.areas), dtype=np.bool_) for _ in range(4 if of_kind and not anchor.is_any else 2)]
        rows = max(1, _PAIRS_AT_ONCE // len(boxes))
        for part in (chosen[start : start + rows] for start in range(0, len(chosen), rows)):
            steps = frame.centers[part][:, None] - anchor_centers  # (n, M, 2)
            # Nothing leads from a region to itself, but to each *other* it may.
            own = (part[:, None] == anchors) if of_kind else np.zeros((len(part), len(boxes)), dtype=np.bool_)
            leads = [_leads(direction.cell, steps, mainly=mainly) for mainly in (True, False)]
            tests = [lead.any(axis=1) for lead in leads]
            if len(tiers) > len(tests):
                tests = [*((lead | own).all(axis=1) & lead.any(axis=1) for lead in leads), *tests]
            for tier, test in zip(tiers, tests, strict=True):
                tier[part] = test
        return _first_nonempty(chosen, tiers)

    def _ranked(self, chosen: NDArray[np.intp], ranks: Sequence[Rank]) -> NDArray[np.intp]:
        """The regions at the ranks that are named; of several orders, by the sum of ranks."""
        if len({rank.number for rank in ranks}) > 1:  # "the left one of the two largest"
            for rank in ranks:
                chosen = self._ranked(chosen, [rank])
            return chosen
        values = [self._values(rank)[chosen] for rank in ranks]
        if len(ranks) > 1:
            places = np.add.reduce([np.searchsorted(np.sort(value), value).astype(np.float64) for value in values])
            order = self._ordered(chosen, places, then=values[0])
        else:
            order = self._ordered(chosen, values[0])
        rank = ranks[0]
        if rank.number is not None:
            return order[self._at_ranks(order, rank.first, rank.number)]
        order = order[self._at_ranks(order, 1, 1)[0] :] if len(order) else order
        return order[self._are_close(rank, self._values(rank)[order])]

    def _at_ranks(self, order: NDArray[np.intp], first: int, number: int) -> NDArray[np.intp]:
        """Where in `order` the regions stand that have the ranks from `first` on, `number` of them, among all objects.

        The first one is what most likely is an object with none before it; each further one the same of what is left.
        """
        if self.existence is None:
            return np.arange(first - 1, min(first - 1 + number, len(order)))
        exists = self.existence[order]
        places: list[int] = []
        while len(places) < min(first - 1 + number, len(order)):
            start = places[-1] + 1 if places else 0
            if start == len(order):  # fewer than are asked for: who was passed over is one after all
                return np.arange(first - 1, min(first - 1 + number, len(order)))
            rest = exists[start : start + _PASSED_OVER]
            none_before = np.concatenate([[1.0], np.cumprod(1.0 - rest[:-1])])
            places.append(start + int(np.argmax(rest * none_before)))
        return np.array(places[first - 1 :], dtype=np.intp)

    def _are_close(self, rank: Rank, values: _Floats) -> _Truth:
        """(n,) whether regions belong with the first one to "the largest", "the northernmost"."""
        leader = values[:1]
        if rank.measure in ("largest", "longest"):
            return np.asarray(-values * _SIZE_RATIO >= -leader)
        if rank.measure in ("smallest", "shortest"):
            return np.asarray(values <= leader * _SIZE_RATIO)
        return np.asarray(values - leader <= _GAP * max(self.size_hw))

    def _values(self, rank: Rank) -> _Floats:
        """(N,) what regions are ordered by; the least comes first."""
        frame = self.frames[rank.by_compass]
        if rank.measure in ("largest", "smallest"):
            return -self.areas if rank.measure == "largest" else self.areas
        if rank.measure in ("longest", "shortest"):
            lengths = np.asarray(np.hypot(*(frame.boxes[:, 2:] - frame.boxes[:, :2]).T))
            return -lengths if rank.measure == "longest" else lengths
        if rank.measure == "toward":
            return _distances_to_side(rank.cell or "center", frame)
        assert rank.anchor is not None
        distances = np.full(len(self.areas), np.inf)
        for box in self.landmark_frames[0].boxes[self._anchors(rank.anchor)]:
            distances = np.minimum(distances, _box_distances(self.frames[0].boxes, box))
        return -distances if rank.measure == "farthest" else distances

    def _ordered(self, chosen: NDArray[np.intp], values: _Floats, then: _Floats | None = None) -> NDArray[np.intp]:
        """Sort `chosen` by their values, then by others, then from top to bottom and from left to right."""
        boxes = self.frames[0].boxes[chosen]
        ties = (boxes[:, 3], boxes[:, 2], boxes[:, 0], boxes[:, 1])
        return chosen[np.lexsort((*ties, *(() if then is None else (then,)), values))]


def _frame(candidates: Sequence[CandidateLike], size_hw: tuple[int, int], axes: ToMap) -> _Frame:
    """Turn the rectangles of regions, and the scene, so that the second axis points down or south."""
    a, b, d, e = axes
    # Lengths stay in pixels: only the direction of the axes matters.
    turn = np.array([[a, b], [-d, -e]]) / np.sqrt(abs(a * e - b * d))
    boxes = np.array([c.bounds for c in candidates], dtype=np.float64).reshape(-1, 4)
    turned = _turned(np.concatenate([boxes, [[0.0, 0.0, size_hw[1], size_hw[0]]]]), turn)
    return _Frame(turned[:-1], turned[-1, :2], turned[-1, 2:] - turned[-1, :2])


def _turned(boxes: _Floats, turn: _Floats) -> _Floats:
    """(N, 4) rectangles around turned rectangles."""
    corners = np.stack([boxes[:, [0, 1]], boxes[:, [2, 1]], boxes[:, [0, 3]], boxes[:, [2, 3]]], axis=1) @ turn.T
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def _first_nonempty(chosen: NDArray[np.intp], tiers: Sequence[_Truth]) -> NDArray[np.intp]:
    """What passes the first test that anything passes."""
    for tier in tiers:
        if tier[chosen].any():
            return chosen[tier[chosen]]
    return chosen[:0]


def _specks(candidates: Sequence[CandidateLike]) -> _Truth:
    """(N,) whether regions are no objects beside the typical one; see `SPECK_PX`."""
    if not len(candidates):
        return np.zeros(0, dtype=np.bool_)
    areas = np.array([one.area_px for one in candidates], dtype=np.float64)
    certainty = np.array([one.mean_probability for one in candidates], dtype=np.float64)
    order = np.sort(areas)[::-1]
    typical = order[np.searchsorted(np.cumsum(order), areas.sum() / 2)]
    is_doubtful = certainty < CERTAIN_SHARE * np.average(certainty, weights=areas)
    is_litter = is_doubtful & (areas < DOUBTFUL_SHARE * typical)
    if is_litter.sum() < DOUBTFUL_CROWD * (~is_litter).sum():
        is_litter &= areas < SPECK_SHARE * typical
    return np.asarray(is_litter | ((areas < SPECK_PX) & (areas < SPECK_SHARE * typical)))


def _place_tiers(place: Place, xy: _Floats) -> list[_Truth]:
    """(N,) truths: in the very corner if that is said, at the place, not certainly elsewhere."""
    sides = {"left": (xy[:, 0], "right"), "upper": (xy[:, 1], "lower"), "top": (xy[:, 1], "bottom")}
    tiers = []
    for half, middle in ((_HALF, _MIDDLE), (_CERTAINLY_NOT["half"], _CERTAINLY_NOT["middle"])):
        true = np.ones(len(xy), dtype=np.bool_)
        for low, (values, high) in sides.items():
            if low in place.cell.split():
                true &= values < half
            elif high in place.cell.split():
                true &= values > 1 - half
        if "center" in place.cell.split():
            across = [
                axis
                for axis, words in ((0, ("left", "right")), (1, ("upper", "lower")))
                if not any(word in place.cell for word in words)
            ]
            for axis in across:
                true &= abs(xy[:, axis] - 0.5) < middle
        tiers.append(true)
    if place.in_corner:
        tiers.insert(0, tiers[0] & (np.minimum(xy, 1 - xy) < _CORNER).all(axis=1))
    return tiers


def _leads(cell: str, steps: _Floats, *, mainly: bool) -> _Truth:
    """(N, M) whether a step goes to one side; `mainly`: rather there than to a neighbouring side."""
    dx, dy = steps[..., 0], steps[..., 1]
    tests: dict[str, Callable[[], _Truth]] = {
        "left": lambda: dx < 0,
        "right": lambda: dx > 0,
        "top": lambda: dy < 0,
        "bottom": lambda: dy > 0,
        "upper": lambda: dy < 0,
        "lower": lambda: dy > 0,
    }
    words = cell.split()
    true = np.logical_and.reduce([tests[word]() for word in words if word in tests])
    if mainly and len(words) == 1:
        true &= abs(dy) <= abs(dx) if cell in ("left", "right") else abs(dx) <= abs(dy)
    return np.asarray(true)


def _distances_to_side(cell: str, frame: _Frame) -> _Floats:
    """(N,) pixels from a side, a corner or the middle of the scene to the centres."""
    points = {"left": (0.0, None), "right": (1.0, None), "top": (None, 0.0), "bottom": (None, 1.0)}
    columns, rows = {"left": 0.0, "right": 1.0}, {"upper": 0.0, "lower": 1.0}
    x, y = points.get(cell) or (
        next((at for word, at in columns.items() if word in cell), 0.5),
        next((at for word, at in rows.items() if word in cell), 0.5),
    )
    steps = frame.centers - frame.origin - frame.size * np.array([0.0 if x is None else x, 0.0 if y is None else y])
    if x is None or y is None:
        return np.asarray(abs(steps[:, 0 if y is None else 1]))
    return np.asarray(np.hypot(steps[:, 0], steps[:, 1]))


def _box_distances(boxes: _Floats, box: _Floats) -> _Floats:
    """(N,) pixels between rectangles, 0 where they touch."""
    gaps = np.maximum(np.maximum(boxes[:, :2] - box[2:], box[:2] - boxes[:, 2:]), 0)
    return np.asarray(np.hypot(gaps[:, 0], gaps[:, 1]))
