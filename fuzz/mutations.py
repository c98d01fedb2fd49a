"""Bytes, numbers, texts and JSON turned into odd ones, by a seeded generator."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

NUMBERS: tuple[Any, ...] = (
    0, -1, 1, 2, 3, 7, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53 + 1, 2**63 - 1,
    2**63, 2**64, 10**30, -(2**31), -(2**63), 0.5, -0.5, 1.5, 1e-9, 1e-300, 1e9, 1e30, 1e300, -1e300,
    float("nan"), float("inf"), float("-inf"),
)  # fmt: skip

HUGE = 10**400
"""What JSON can say and no float can hold."""

TEXTS: tuple[str, ...] = (
    "", " ", "\t\n", "a", "the roofs", "\0", "a\0b", "../x", "../../../../etc/passwd", "/etc/passwd", "/dev/zero",
    "a/b", "..", ".", "~", "C:\\x", "\\\\host\\x", "x" * 300, "x" * 5000, "%s%n", "{}", "null", "nan", "1e999", "-0",
    "\u202eabc", "\ud800", "\udcff", "é", "船", "🛢", "a\u0301" * 40, "<b>&amp;", "'; DROP TABLE x;--", '"', "\\",
    "`id`", "$(id)", "--help", "-", "http://127.0.0.1:9/x", "file:///etc/passwd", "/vsimem/x", "\ufeff", "\x7f\x1b[31m",
)  # fmt: skip


def odd(rng: random.Random) -> Any:
    """A value of any type that JSON has, seldom what anybody meant."""
    kind = rng.randrange(8)
    if kind < 3:
        return rng.choice((*NUMBERS, HUGE))
    if kind < 5:
        return rng.choice(TEXTS)
    if kind == 5:
        return rng.choice((None, True, False))
    if kind == 6:
        return [rng.choice((*NUMBERS, HUGE)) for _ in range(rng.choice((0, 1, 2, 3, 40)))]
    return rng.choice(({}, [], [[]], {"a": 1}, {"": None}, [None], [{}], [[[[[]]]]], {"size": [4, 4], "counts": "0"}))


def mutate_bytes(rng: random.Random, content: bytes, most: int = 8) -> bytes:
    """Flip, cut, repeat, insert, swap or overwrite some bytes."""
    data = bytearray(content)
    for _ in range(rng.randint(1, most)):
        if not data:
            return bytes(data)
        # Headers are where a byte matters most.
        span = len(data) if rng.random() < 0.5 else min(len(data), 400)
        at = rng.randrange(span)
        kind = rng.randrange(8)
        if kind < 3:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 3:
            data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind == 4:
            width = rng.choice((2, 4, 8))
            value = rng.choice((0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63, rng.getrandbits(32)))
            data[at : at + width] = (value % 2 ** (8 * width)).to_bytes(width, rng.choice(("little", "big")))
        elif kind == 5 and rng.random() < 0.4:
            del data[at:]
        elif kind == 6:
            del data[at : at + rng.choice((1, 4, 64))]
        else:
            piece = data[at : at + rng.choice((1, 8, 64))] if rng.random() < 0.5 else rng.randbytes(rng.choice((1, 8)))
            data[at:at] = piece
    return bytes(data)


def mutate_text(rng: random.Random, text: str, words: tuple[str, ...] = TEXTS) -> str:
    """Cut, repeat, swap or insert pieces of a text."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(text))
        end = min(len(text), at + rng.choice((1, 3, 20)))
        kind = rng.randrange(5)
        if kind == 0:
            text = text[:at] + text[end:]
        elif kind == 1:
            text = text[:at] + rng.choice(words) + text[at:]
        elif kind == 2:
            text = text[:at] + text[at:end] * rng.choice((2, 3, 50)) + text[end:]
        elif kind == 3:
            text = text[:at] + rng.choice(words) + text[end:]
        else:
            text = text[at:] + text[:at]
    return text


def mutate_tree(rng: random.Random, tree: Any, most: int = 3) -> Any:
    """A copy of a JSON value in which some nodes are odd, gone, doubled or of another place."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.randint(1, most)):
        places = list(_places(tree))
        if not places:
            return odd(rng)
        holder, key = rng.choice(places)
        kind = rng.randrange(10)
        if kind < 5:
            holder[key] = odd(rng)
        elif kind == 5:
            other, there = rng.choice(places)
            holder[key] = copy.deepcopy(other[there])
        elif kind == 6:
            del holder[key]
        elif kind == 7 and isinstance(holder, list):
            holder.extend(copy.deepcopy(holder[key]) for _ in range(rng.choice((1, 2, 30))))
        elif kind == 8 and isinstance(holder, dict):
            holder[rng.choice(TEXTS)] = odd(rng)
        elif isinstance(holder[key], bool | int | float) and holder[key] != HUGE:
            holder[key] = holder[key] * rng.choice((-1, 2, 1000)) + rng.choice((0, 1, -1, 0.5))
        elif isinstance(holder[key], str):
            holder[key] = mutate_text(rng, holder[key])
    return tree


def as_json(rng: random.Random, tree: Any) -> str:
    """JSON of a value; seldom nested deeply, with equal keys, or damaged."""
    text = json.dumps(tree, ensure_ascii=rng.random() < 0.5)
    kind = rng.random()
    if kind < 0.03:
        depth = rng.choice((50, 2000, 100_000))
        return text.replace("null", "[" * depth + "]" * depth, 1) if "null" in text else "[" * depth + text
    if kind < 0.08:
        return mutate_text(rng, text, ("{", "}", "[", "]", ",", ":", '"', "NaN", "1e999", "9" * 5000, "\\ud800"))
    return text


def written(text: str) -> bytes:
    """Bytes of a text that may hold what UTF-8 cannot."""
    return text.encode("utf-8", "surrogatepass")


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every holder and key of a JSON value, the root's aside."""
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        for key in keys:
            found.append((holder, key))
            waiting.append(holder[key])
    return found
