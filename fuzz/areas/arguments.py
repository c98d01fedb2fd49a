"""Command lines: every command's own options with fitting and odd values, in any number and order."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

import click
from PIL import Image

from fuzz.areas.images import check_results
from fuzz.contract import Box, Try, command, strict_json
from fuzz.mutations import NUMBERS
from fuzz.mutations import TEXTS as ALL_TEXTS
from fuzz.standin import RED

COMMANDS = ("segment", "segment", "segment", "batch", "batch", "data check", "data convert", "data show", "data synth",
            "models", "demo-scene", "compare", "evaluate", "benchmark", "export", "convert", "train", "ablate", "-h",
            "nonsense")  # fmt: skip
WRITES_HERE = True
"""A name without a folder may be where results are to go."""
_COSTLY = {
    "segment": {"backend"},
    "batch": {"backend", "engine", "ray_address", "backoff", "actors"},
    "evaluate": {"backend", "processes", "precision"},
}
"""Options that start other processes, wait, or load torch."""
_NEEDS_NOTHING = ("benchmark", "export", "convert", "train", "ablate")
"""Commands that work for minutes where all is right: they get what is not there."""


TEXTS = tuple(text.replace("\0", "\\0") for text in ALL_TEXTS if "\ud800" not in text)
"""What a shell can pass on: neither NUL nor halves of surrogate pairs but those that stand for bytes."""
_NAMES = tuple(text for text in TEXTS if ".." not in text)
"""What may lie below the folder of results."""


def make(rng: random.Random, box: Box) -> Try:
    """A command line."""
    Image.new("RGB", (40, 30), (220, 30, 30)).save(box.inputs / "a.png")
    (box.inputs / "b.tif").write_bytes(b"II*\0nothing")
    (box.inputs / "list.txt").write_text("the roofs\n\nall ships\n", encoding="utf-8")
    (box.inputs / "set").mkdir()
    (box.inputs / "set" / "a.jsonl").write_text(
        '{"image": "../a.png", "sentence": "the roofs", "segmentation": {"size": [30, 40], "counts": [0, 1200]}}\n',
        encoding="utf-8",
    )
    name = rng.choice(COMMANDS)
    words = _words(rng, box, name)
    if rng.random() < 0.1:
        rng.shuffle(words)
    before = rng.sample(
        ("-v", "-vv", "-q", "--quiet", "--verbose", "--version", "--nonsense"), rng.choice((0, 0, 0, 1, 2))
    )
    arguments = [*before, *name.split(), *words]
    return lambda: _run(box, name, arguments)


def _words(rng: random.Random, box: Box, name: str) -> list[str]:
    """Arguments and options of a command."""
    found = _command(name)
    if found is None:
        return [rng.choice(TEXTS) for _ in range(rng.choice((0, 1, 3)))]
    words: list[str] = []
    costly = _COSTLY.get(name, set())
    for parameter in found.params:
        if isinstance(parameter, click.Argument):
            count = rng.choice((0, 1, 1, 1, 1, 2, 5)) if parameter.nargs == -1 or rng.random() < 0.1 else 1
            if name in _NEEDS_NOTHING and not parameter.required:
                count = max(1, count)  # `rs2sam benchmark` alone measures the shipped model, for minutes and rightly
            words += [_argument(rng, box, name, parameter.name or "") for _ in range(count)]
        elif isinstance(parameter, click.Option) and parameter.name not in costly:
            is_needed = parameter.required or parameter.name == "model"
            if (is_needed and rng.random() < 0.95) or rng.random() < 0.12:
                words += _option(rng, box, name, parameter)
    return words


@cache
def _command(name: str) -> click.Command | None:
    """A command of rs2sam by its words."""
    from rs2sam.cli import main

    found: Any = main
    for word in name.split():
        found = found.get_command(click.Context(found), word) if isinstance(found, click.Group) else None
    return found if isinstance(found, click.Command) else None


def _argument(rng: random.Random, box: Box, command_name: str, name: str) -> str:
    """A value of a positional argument."""
    fitting = {
        "image": "a.png", "input": "a.png", "inputs": "a.png", "folder": "set", "sentence": None, "source": "set",
        "a": "set", "b": "set",
        "dataset": "set", "recipe": "list.txt", "model": "gone", "number": None,
    }.get(name, "gone")  # fmt: skip
    if name == "number":
        return str(rng.choice((1, 2, 1, 0, -1, "x")))
    if name in ("out", "path"):
        return f"{box.out}/{rng.choice(('', 'x.png', 'x.tif', 'a/b', *_NAMES))}"
    if name == "sentence":
        return rng.choice(("the roofs", "all ships", "the largest roof", *TEXTS))
    if command_name in _NEEDS_NOTHING:
        return str(box.inputs / rng.choice(("gone", "list.txt")))
    return str(box.inputs / fitting) if fitting and rng.random() < 0.85 else _word(rng, box)


def _option(rng: random.Random, box: Box, command_name: str, option: click.Option) -> list[str]:
    """An option with a value of its type, or an odd one."""
    flag = rng.choice([*option.opts, *option.secondary_opts])
    if option.is_flag or option.count:
        return [flag]
    if option.name == "model":
        models = ("compact",) if command_name.startswith("data") else ()
        return [flag, rng.choice((str(box.models / RED),) * 12 + ("gone", "owner/name", str(box.inputs), *models))]
    if option.name in ("folder", "output", "out"):
        return [flag, str(box.out) if rng.random() < 0.9 else f"{box.out}/{rng.choice(_NAMES)}"]
    if option.name == "json_file":
        return [flag, rng.choice(("-", f"{box.out}/x.json"))]
    if rng.random() < 0.4:
        return [flag, rng.choice((*map(str, NUMBERS), *TEXTS))]
    kind = option.type
    if isinstance(kind, click.Choice):
        return [flag, rng.choice(list(kind.choices))]
    if isinstance(kind, click.IntRange) or kind is click.INT:
        return [flag, str(rng.choice((0, 1, 2, 3, 16, 64, 100, -1)))]
    if kind is click.FLOAT or isinstance(kind, click.FloatRange):
        return [flag, str(rng.choice((0, 0.1, 0.5, 1, 2, 8, -1, 1e9)))]
    if option.name in ("sentences_file",):
        return [flag, str(box.inputs / rng.choice(("list.txt", "gone", "a.png", "")))]
    return [flag, rng.choice((_word(rng, box), *_TEXT_VALUES.get(option.name or "", ("x",))))]


_TEXT_VALUES = {
    "bands": ("1", "3,2,1", "1,1", "0", "a", ",,"),
    "stretch": ("none", "percentile", "percentile:1,99", "fixed:0,255", "fixed:9,1", "fixed:nan,inf", "percentile:,"),
    "min_area": ("10", "40px", "25m2", "-1", "px", "1e400", "nanm2"),
    "memory": ("2GB", "500MB", "1", "0", "-1GB", "1e300GB", "nan"),
    "pattern": ("*.png", "*", "**", "[", "../*"),
    "shard": ("1/1", "1/2", "2/2", "0/1", "3/2", "1/0", "a/b", "/"),
    "device": ("cpu", "cuda", "cuda:0", "mps", "tpu"),
    "split": ("test", "train", ""),
}


def _word(rng: random.Random, box: Box) -> str:
    """A path or text of any kind."""
    return rng.choice((
        str(box.inputs), str(box.inputs / "b.tif"), str(box.inputs / "*.png"), str(box.inputs / "list.txt"),
        str(box.inputs / "gone"), str(box.inputs / "a.png" / "x"),
        str(Path("..") / "case" / "a" / "b" / "in" / "a.png"), *TEXTS,
    ))  # fmt: skip


def _run(box: Box, name: str, arguments: list[str]) -> None:
    """Run it; what was written has to be whole."""
    command(*arguments)
    if name == "segment" and list(box.out.rglob("*_result.json")):
        check_results(box.out)
    for report in box.out.rglob("*.json"):
        strict_json(report.read_text(encoding="utf-8"))
