"""Which tensor of a foreign checkpoint becomes which of the model's, and why the others do not.

Strict: every tensor of the checkpoint is either mapped or dropped for a reason that is known by name; every tensor of
the model that is asked for must come; shapes must be equal. Anything else is an error that names tensors and shapes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rs2sam.errors import CheckpointError
from rs2sam.fields import some_of
from rs2sam.models.weights.files import TensorSpec

MOST_NAMED = 8
"""How many tensors a message names before it counts the rest."""


@dataclass(frozen=True)
class ConversionReport:
    """What became of a checkpoint's tensors.

    Args:
        source: the checkpoint.
        mapped: name in the model -> name in the checkpoint.
        dropped: name in the checkpoint -> why the model has no place for it.
        missing: tensors of the model that the checkpoint does not have, and need not.
        num_elements: numbers in the mapped tensors.
    """

    source: str
    mapped: Mapping[str, str]
    dropped: Mapping[str, str]
    missing: tuple[str, ...]
    num_elements: int

    def __str__(self) -> str:
        lines = [f"{self.source}: {len(self.mapped)} tensors mapped ({self.num_elements:,} numbers)"]
        lines.append(f"dropped: {len(self.dropped)} tensors" if self.dropped else "dropped: nothing")
        by_reason: defaultdict[str, list[str]] = defaultdict(list)
        for name, reason in self.dropped.items():
            by_reason[reason].append(name)
        for reason, names in by_reason.items():
            lines.append(f"  {reason}: {len(names)}")
            lines.extend(f"    {line}" for line in _folded(names))
        lines.append(f"missing: {len(self.missing)} tensors" if self.missing else "missing: nothing")
        lines.extend(f"  {line}" for line in _folded(self.missing))
        return "\n".join(lines)


def match_tensors(
    source: str,
    found: Mapping[str, TensorSpec],
    wanted: Mapping[str, TensorSpec],
    *,
    own_name: Callable[[str], str | None],
    reason_dropped: Callable[[str], str | None],
    may_miss: Callable[[str], bool] = lambda name: False,
) -> ConversionReport:
    """Match the tensors of a checkpoint with those of a model.

    Args:
        source: the checkpoint, for messages.
        found: the checkpoint's tensors.
        wanted: the model's tensors.
        own_name: the model's name of a checkpoint's tensor, None if there is none.
        reason_dropped: why a checkpoint's tensor has no place, None if nobody knows it.
        may_miss: whether the checkpoint need not have a tensor of the model.

    Raises:
        CheckpointError: a tensor is unexplained, missing, of another shape, or not of floating point numbers.
    """
    mapped: dict[str, str] = {}
    dropped: dict[str, str] = {}
    unexplained: list[str] = []
    for name in found:
        own, reason = own_name(name), reason_dropped(name)
        if own is not None and own in wanted and own not in mapped:
            mapped[own] = name
        elif reason is not None:
            dropped[name] = reason
        else:
            unexplained.append(name)
    absent = [name for name in wanted if name not in mapped]
    problems = {
        "tensors that nobody explains": [_described(name, found[name]) for name in unexplained],
        "tensors that are not in the file": [_described(name, wanted[name]) for name in absent if not may_miss(name)],
        "tensors of another shape": [
            f"{name} {_shape(found[name])}, in the model {own} {_shape(wanted[own])}"
            for own, name in mapped.items()
            if found[name].shape != wanted[own].shape
        ],
        "tensors that hold no floating point numbers": [
            _described(name, found[name]) for name in mapped.values() if not found[name].dtype.is_floating_point
        ],
    }
    if any(problems.values()):
        raise CheckpointError(_complaint(source, problems))
    return ConversionReport(
        source=source,
        mapped=mapped,
        dropped=dropped,
        missing=tuple(absent),
        num_elements=sum(wanted[name].num_elements for name in mapped),
    )


def _complaint(source: str, problems: Mapping[str, list[str]]) -> str:
    lines = [
        f"A checkpoint must hold the model's tensors, all of them, and nothing that is not known: {source} does not. "
        "It is of another model or another size; check the file, or pass the configuration it was trained with."
    ]
    for kind, entries in problems.items():
        if entries:
            lines.append(f"{len(entries)} {kind}:")
            lines.extend(f"  {some_of([entry], longest=300)}" for entry in entries[:MOST_NAMED])
            lines.extend([f"  ... and {len(entries) - MOST_NAMED} more"] if len(entries) > MOST_NAMED else [])
    return "\n".join(lines)


def _described(name: str, spec: TensorSpec) -> str:
    return f"{name} {_shape(spec)} {str(spec.dtype).removeprefix('torch.')}"


def _shape(spec: TensorSpec) -> str:
    return f"({', '.join(map(str, spec.shape))})"


def _folded(names: tuple[str, ...] | list[str]) -> list[str]:
    """Names in order, those that differ only in numbers on one line with their count."""
    counts: dict[str, list[str]] = {}
    for name in names:
        counts.setdefault(re.sub(r"(?<=\.)\d+(?=\.)", "*", name), []).append(name)
    return [group[0] if len(group) == 1 else f"{pattern} ({len(group)})" for pattern, group in counts.items()]
