"""Two report folders over the same samples: what differs, and whether by more than chance.

Confidence intervals are those of a paired bootstrap (Efron and Tibshirani, 1993): images are drawn with replacement,
each with all of its sentences, because sentences about one image succeed and fail together; both models are measured on
the same draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rs2sam.errors import InvalidInputError
from rs2sam.evaluation.analysis import GROUPINGS, grouped, ious_of
from rs2sam.evaluation.results import EvaluationReport, SampleResult
from rs2sam.evaluation.run_folder import RUN_FILE, SAMPLES_FILE, read_object, read_results
from rs2sam.fields import a_place
from rs2sam.metrics import PRECISION_THRESHOLDS, Protocol, SegmentationMetrics

DEFAULT_DRAWS, CONFIDENCE = 2000, 0.95
MIN_DRAWN = 5
"""A group of fewer images has no interval: too few to say how far others would differ."""
_DRAWS_AT_ONCE = 200
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Side:
    """One of the two evaluations.

    Args:
        name: of its folder, with those above it as far as the other's is called alike.
        run: the content of its `run.json`.
        results: of its samples, by id.
    """

    name: str
    run: Mapping[str, Any]
    results: Mapping[str, SampleResult]

    @property
    def protocol(self) -> Protocol:
        """Under which it was counted."""
        protocol: Protocol = self.run["protocol"]
        return protocol

    def as_dict(self) -> dict[str, Any]:
        """What was evaluated on what, ready for JSON."""
        return {"name": self.name, **{key: self.run.get(key) for key in ("model", "precision", "data", "split")}}

    def __str__(self) -> str:
        """Its name, the model and the data."""
        return _said(self.as_dict())


def read_sides(a: Path, b: Path) -> tuple[Side, Side]:
    """Read two report folders, under names that differ; see `read_side`."""
    sides = read_side(a), read_side(b)
    parts = a.resolve().parts, b.resolve().parts
    length = next((n for n in range(1, len(parts[0])) if parts[0][-n:] != parts[1][-n:]), 1)
    first, second = (replace(one, name="/".join(names[-length:])) for one, names in zip(sides, parts, strict=True))
    return first, second


def read_side(folder: Path) -> Side:
    """Read a report folder.

    Raises:
        DataNotFoundError: it is not there, or no report folder.
        InvalidInputError: a file of it is damaged, or its evaluation was not finished.
    """
    run = read_object(a_place("folder", folder) / RUN_FILE, "`rs2sam evaluate` writes it into its report folder")
    results = {result.id: result for result in read_results(folder / SAMPLES_FILE)}
    if run.get("protocol") not in ("published", "native"):
        raise InvalidInputError(f"{folder / RUN_FILE} names no protocol. Evaluate again with --overwrite.")
    if len(results) != run.get("num_samples"):
        raise InvalidInputError(
            f"{folder} holds {len(results)} results of {run.get('num_samples')}: the evaluation was not finished. "
            "Finish it with `rs2sam evaluate ... --resume`."
        )
    return Side(folder.resolve().name, run, results)


def compare(
    a: Side, b: Side, *, common: bool = False, seed: int = 0, draws: int = DEFAULT_DRAWS, most: int = 10
) -> dict[str, Any]:
    """Compare two evaluations; differences are B - A.

    Args:
        a: the one that is compared with.
        b: the other.
        common: leave out samples that the two do not share, instead of refusing.
        seed: of the bootstrap.
        draws: of the bootstrap.
        most: how many samples are listed that became better, and worse.

    Returns:
        Ready for JSON: `metrics` and `by_kind`, `by_category`, `by_size` (rows of `name`, `a`, `b`, `difference`,
        `low`, `high`; shares in [0, 1]), `improved` and `worsened` samples, and how it was made.

    Raises:
        InvalidInputError: the protocols differ, or the samples do.
    """
    if a.protocol != b.protocol:
        raise InvalidInputError(
            f"Two reports can be compared under one protocol only, received `{a.protocol}` ({a.name}) and "
            f"`{b.protocol}` ({b.name}). Evaluate one of them again."
        )
    left_out = differing_samples(a, b)
    if any(left_out.values()) and not common:
        what = ", ".join(f"{count} {words}" for words, count in left_out.items() if count)
        raise InvalidInputError(
            f"Two reports can be compared over the same samples only, but of {a} and {b} {what}. Evaluate both on the "
            "same data, or compare what they share with --common."
        )
    ids = [name for name in a.results if name in b.results and not _differs(a.results[name], b.results[name])]
    if not ids:
        raise InvalidInputError(f"{a} and {b} share no sample. Compare evaluations of the same data.")
    of_a, of_b = ([side.results[name] for name in ids] for side in (a, b))
    clusters, by_image = _clusters(of_a)
    bootstrap = _Bootstrap(clusters, seed, draws)
    return {
        "a": a.as_dict(),
        "b": b.as_dict(),
        "protocol": a.protocol,
        "num_samples": len(ids),
        "left_out": left_out,
        "bootstrap": {
            "drawn": "images" if by_image else "samples",
            "num_drawn": int(clusters.max()) + 1,
            "draws": draws,
            "seed": seed,
            "confidence": CONFIDENCE,
        },
        "metrics": _metric_rows(of_a, of_b, a.protocol, bootstrap),
        "presence_auc": {
            side: EvaluationReport(tuple(results), a.protocol).presence_auc()
            for side, results in (("a", of_a), ("b", of_b))
        },
        **{f"by_{by}": _group_rows(of_a, of_b, a.protocol, bootstrap, by) for by in GROUPINGS},
        **_changed_most(of_a, of_b, a.protocol, most),
    }


def _said(side: Mapping[str, Any]) -> str:
    """One of the two, as `Side.as_dict` gives it, in words."""
    precision = "" if side["precision"] in (None, "float32") else f" in {side['precision']}"
    split = "all samples" if side["split"] is None else side["split"]
    return f"{side['name']} (model {side['model']}{precision} on {side['data']}, {split})"


def differing_samples(a: Side, b: Side) -> dict[str, int]:
    """How many samples the two do not share, by reason."""
    shared = [name for name in a.results if name in b.results]
    return {
        f"samples are in {a.name} only": len(a.results) - len(shared),
        f"samples are in {b.name} only": len(b.results) - len(shared),
        "samples of one id have another sentence or target": sum(
            _differs(a.results[name], b.results[name]) for name in shared
        ),
    }


def _differs(one: SampleResult, other: SampleResult) -> bool:
    """Whether two results of one id are of different samples; targets compare only where they were counted alike."""
    if one.sentence != other.sentence or one.is_empty != other.is_empty:
        return True
    return one.everything.union == other.everything.union and one.everything != other.everything


def _clusters(results: Sequence[SampleResult]) -> tuple[NDArray[np.int64], bool]:
    """Number of the image of each sample: (n,) int64 from 0; of the sample itself where an image is not named."""
    by_image = all(result.image_id is not None for result in results)
    names = [result.image_id if by_image else result.id for result in results]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], dtype=np.int64), by_image


class _Bootstrap:
    """Draws of clusters, the same for every figure.

    Args:
        clusters: (n,) int64, cluster of each sample.
        seed: of the draws.
        draws: how many.
    """

    def __init__(self, clusters: NDArray[np.int64], seed: int, draws: int) -> None:
        if draws < 1:
            raise InvalidInputError(f"`draws` must be at least 1, received {draws}.")
        self._clusters = clusters
        self._seed = seed
        self._draws = draws

    def num_drawn(self, inside: NDArray[np.bool_]) -> int:
        """How many clusters have one of these samples, (n,) bool."""
        return len(np.unique(self._clusters[inside]))

    def sums(self, columns: Array) -> Array:
        """Sums over the samples of each draw.

        Args:
            columns: (n, k) float64, what is summed.

        Returns:
            (draws, k) float64.
        """
        num_clusters = int(self._clusters.max()) + 1
        per_cluster = np.zeros((num_clusters, columns.shape[1]))
        np.add.at(per_cluster, self._clusters, columns)
        rng = np.random.default_rng(self._seed)
        parts = []
        for start in range(0, self._draws, _DRAWS_AT_ONCE):
            count = min(_DRAWS_AT_ONCE, self._draws - start)
            drawn = rng.integers(num_clusters, size=(count, num_clusters))
            times = np.stack([np.bincount(row, minlength=num_clusters) for row in drawn])
            parts.append(times @ per_cluster)
        return np.concatenate(parts)


def _interval(differences: Array) -> tuple[float | None, float | None]:
    """Percentiles that hold the middle of the draws; None where there is none."""
    known = differences[np.isfinite(differences)]
    if not known.size:
        return None, None
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(known, [tail, 100 - tail])
    return float(low), float(high)


def _row(name: str, a: float, b: float, differences: Array) -> dict[str, Any]:
    """One figure of both, and the interval of its difference."""
    low, high = _interval(differences)
    return {"name": name, "a": a, "b": b, "difference": b - a, "low": low, "high": high}


def _ratio(above: Array, below: Array) -> Array:
    """Quotient; not a number where the divisor is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(below > 0, above / below, np.nan))


def _metric_rows(
    of_a: Sequence[SampleResult], of_b: Sequence[SampleResult], protocol: Protocol, bootstrap: _Bootstrap
) -> list[dict[str, Any]]:
    """Every figure of the metric row."""
    columns = [np.ones(len(of_a))]
    for results in (of_a, of_b):
        ious = ious_of(results, protocol)
        pixels = np.array([(one.counts.intersection, one.counts.union) for one in results], dtype=np.float64)
        columns += [ious, pixels[:, 0], pixels[:, 1], *((ious >= x).astype(np.float64) for x in PRECISION_THRESHOLDS)]
    sums = bootstrap.sums(np.stack(columns, axis=1))
    num, width = sums[:, 0], 3 + len(PRECISION_THRESHOLDS)
    sides = [sums[:, 1 + side * width : 1 + (side + 1) * width] for side in (0, 1)]
    drawn: dict[str, list[Array]] = {
        "mIoU": [_ratio(side[:, 0], num) for side in sides],
        "oIoU": [_ratio(side[:, 1], side[:, 2]) for side in sides],
    }
    for place, x in enumerate(PRECISION_THRESHOLDS):
        drawn[f"Pr@{x}"] = [_ratio(side[:, 3 + place], num) for side in sides]
    a, b = (SegmentationMetrics.of([one.counts for one in results], protocol).as_dict() for results in (of_a, of_b))
    return [_row(name, float(a[name]), float(b[name]), with_b - with_a) for name, (with_a, with_b) in drawn.items()]


def _group_rows(
    of_a: Sequence[SampleResult], of_b: Sequence[SampleResult], protocol: Protocol, bootstrap: _Bootstrap, by: str
) -> list[dict[str, Any]]:
    """The mIoU of every group; groups are those of A."""
    names = list(grouped(of_a, by))
    place_of = {name: place for place, name in enumerate(names)}
    member = np.zeros((len(of_a), len(names)))
    member[np.arange(len(of_a)), [place_of[GROUPINGS[by](one)] for one in of_a]] = 1
    ious = [ious_of(results, protocol)[:, None] for results in (of_a, of_b)]
    sums = bootstrap.sums(np.concatenate([member, *(member * values for values in ious)], axis=1))
    num, drawn_a, drawn_b = np.split(sums, 3, axis=1)
    rows = []
    for place, name in enumerate(names):
        inside = member[:, place] > 0
        a, b = (float(values[inside].mean()) for values in ious)
        differences = _ratio(drawn_b[:, place] - drawn_a[:, place], num[:, place])
        few = bootstrap.num_drawn(inside) < MIN_DRAWN
        rows.append({**_row(name, a, b, differences[:0] if few else differences), "n": int(inside.sum())})
    return rows


def _changed_most(
    of_a: Sequence[SampleResult], of_b: Sequence[SampleResult], protocol: Protocol, most: int
) -> dict[str, list[dict[str, Any]]]:
    """The samples whose IoU rose and fell most."""
    pairs = list(zip(of_a, of_b, strict=True))
    changes = ious_of(of_b, protocol) - ious_of(of_a, protocol)
    order = np.argsort(changes, kind="stable").tolist()

    def listed(places: Sequence[int]) -> list[dict[str, Any]]:
        return [
            {
                **{name: getattr(pairs[k][0], name) for name in ("id", "sentence", "kind", "category")},
                "a": pairs[k][0].counts.iou(protocol),
                "b": pairs[k][1].counts.iou(protocol),
                "difference": float(changes[k]),
            }
            for k in places
        ]

    return {
        "improved": listed([k for k in order[::-1][:most] if changes[k] > 0]),
        "worsened": listed([k for k in order[:most] if changes[k] < 0]),
    }


def comparison_as_markdown(comparison: Mapping[str, Any]) -> str:
    """The content of `compare.md`."""
    a, b, bootstrap = comparison["a"], comparison["b"], comparison["bootstrap"]
    left_out = ", ".join(f"{count} {words}" for words, count in comparison["left_out"].items() if count)
    draws = f"{bootstrap['draws']} paired draws of {bootstrap['num_drawn']} {bootstrap['drawn']}"
    parts = [
        f"# {b['name']} against {a['name']}",
        f"A = {_said(a)}, B = {_said(b)}: {comparison['num_samples']} "
        f"samples, protocol `{comparison['protocol']}`, in percent. In brackets: {100 * bootstrap['confidence']:.0f} % "
        f"interval of B - A by {draws}, seed {bootstrap['seed']}; * where it does not hold 0.",
        *([f"Left out: {left_out}."] if left_out else []),
        _table("", comparison["metrics"]),
    ]
    auc = comparison["presence_auc"]
    if None not in auc.values():
        parts.append(f"Presence, area under the curve: A {auc['a']:.3f}, B {auc['b']:.3f}.")
    for key, heading in (("by_kind", "kind of sentence"), ("by_category", "category"), ("by_size", "size of target")):
        parts += [f"## mIoU by {heading}", _table(heading, comparison[key])]
    for key, heading in (("improved", "Improved most"), ("worsened", "Worsened most")):
        if comparison[key]:
            parts += [f"## {heading}", _changes(comparison[key])]
    return "\n\n".join(parts) + "\n"


def _table(heading: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """A row a figure."""
    with_count = bool(rows) and "n" in rows[0]
    head = [heading, *(["n"] if with_count else []), "A", "B", "B - A", "interval"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for row in rows:
        low, high = row["low"], row["high"]
        sure = low is not None and (low > 0 or high < 0)
        interval = "-" if low is None else f"[{100 * low:+.2f}, {100 * high:+.2f}]{' *' if sure else ''}"
        cells = [row["name"].replace("|", "\\|"), *([str(row["n"])] if with_count else [])]
        cells += [f"{100 * row['a']:.2f}", f"{100 * row['b']:.2f}", f"{100 * row['difference']:+.2f}", interval]
        lines.append(cells)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _changes(changes: Sequence[Mapping[str, Any]]) -> str:
    """A row a sample."""
    lines = ["| sample | sentence | A | B | B - A |", "| --- | --- | ---: | ---: | ---: |"]
    for one in changes:
        name, sentence = (" ".join(str(one[key]).split()).replace("|", "\\|") for key in ("id", "sentence"))
        shares = f"{100 * one['a']:.1f} | {100 * one['b']:.1f} | {100 * one['difference']:+.1f}"
        lines.append(f"| {name} | {sentence} | {shares} |")
    return "\n".join(lines)
