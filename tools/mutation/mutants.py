"""Mutants of a source file: what Cosmic Ray's operators make of it, one for each place and kind of change."""

from __future__ import annotations

import ast
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names


@dataclass(frozen=True)
class Place:
    """Something in a file that can be changed, and the ways it can be.

    Args:
        file: path from the root of the repository.
        line: from 1.
        column: from 0.
        kind: of change, as `ReplaceBinaryOperator`.
        ways: operator of Cosmic Ray, and which of its occurrences in the file it is.
    """

    file: str
    line: int
    column: int
    kind: str
    ways: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Mutant:
    """A file with one change.

    Args:
        place: where it is changed.
        operator: of Cosmic Ray.
        source: the whole file, changed.
        was: the line before.
        now: the line after.
    """

    place: Place
    operator: str
    source: str
    was: str
    now: str


def places(root: Path, file: str) -> list[Place]:
    """Every place of a file, in its order."""
    tree = get_ast((root / file).read_text(encoding="utf-8"))
    nodes = list(ast_nodes(tree))
    found: defaultdict[tuple[int, int, str], list[tuple[str, int]]] = defaultdict(list)
    for name, operator in _operators():
        positions = (start for node in nodes for start, _ in operator.mutation_positions(node))
        for occurrence, (line, column) in enumerate(positions):
            found[line, column, _kind(name)].append((name, occurrence))
    return [Place(file, line, column, kind, tuple(ways)) for (line, column, kind), ways in sorted(found.items())]


def _operators() -> Iterator[tuple[str, object]]:
    """Cosmic Ray's operators that need no arguments."""
    for name in operator_names():
        operator = get_operator(name)
        if not operator.arguments():
            yield name, operator()


def _kind(operator: str) -> str:
    """`core/ReplaceBinaryOperator_Add_Sub` -> `ReplaceBinaryOperator`."""
    return operator.partition("/")[2].partition("_")[0]


def sample(root: Path, files: Sequence[str], number: int, seed: int) -> tuple[list[Mutant], int]:
    """Mutants of some files, as many as asked or as there are, one at a place; and how many places there are.

    A place counts once, however many operators there are for it: a plus becomes any of eleven others, most of which end
    in an error at once, and would fill a sample with what is easily found. What nothing that runs can tell apart is
    left out: annotations, which are never evaluated, and docstrings.

    Args:
        root: of the repository.
        files: paths from there.
        number: of mutants.
        seed: the same for the same sample.
    """
    everywhere = [place for file in files for place in places(root, file)]
    chance = random.Random(seed)
    chance.shuffle(everywhere)
    chosen: list[Mutant] = []
    left_out = 0
    for place in everywhere:
        if len(chosen) == number:
            break
        mutant = _mutant(root, place, chance.choice(place.ways))
        if mutant is None:
            left_out += 1
        else:
            chosen.append(mutant)
    chosen.sort(key=lambda one: (one.place.file, one.place.line, one.place.column, one.place.kind))
    return chosen, len(everywhere) - left_out


def _mutant(root: Path, place: Place, way: tuple[str, int]) -> Mutant | None:
    """The mutant of a place; None where what runs is the same."""
    source = (root / place.file).read_text(encoding="utf-8")
    name, occurrence = way
    changed = mutate_code(source, get_operator(name)(), occurrence)
    if changed is None or _runs(changed) == _runs(source):
        return None
    was, now = _difference(source, changed)
    return Mutant(place, name, changed, was, now)


def _difference(source: str, changed: str) -> tuple[str, str]:
    """The lines that are not alike, without their indentation."""
    before, after = source.splitlines(), changed.splitlines()
    start = next(index for index, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1])
    end = 0
    while before[-1 - end] == after[-1 - end] and len(before) - end > start + 1 and len(after) - end > start:
        end += 1
    return _joined(before[start : len(before) - end]), _joined(after[start : len(after) - end])


def _joined(lines: Sequence[str]) -> str:
    return " ".join(" ".join(lines).split())


class _WithoutAnnotations(ast.NodeTransformer):
    """Annotations are strings with `from __future__ import annotations`, which every file has."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        self.generic_visit(node)
        node.annotation = ast.Constant("")
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.returns = None
        return node


def _runs(source: str) -> str:
    """What of a file is evaluated, in a form that can be compared; a file that is no Python is never like another."""
    try:
        tree = _WithoutAnnotations().visit(ast.parse(source))
    except SyntaxError:
        return source
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Pass()
    return ast.dump(tree)
