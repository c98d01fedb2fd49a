"""Sentences: words of the grammar in any order, and text of any kind; read, chosen by, tokenized and asked."""

from __future__ import annotations

import random

import numpy as np

from fuzz.contract import Box, Try, WrongResultError, command, require
from fuzz.mutations import TEXTS, mutate_text
from fuzz.standin import RED

_WORDS = tuple(
    """
    the a an all every each some no two three 3 10 twelve hundred first second third last largest smallest longest
    shortest biggest taller closest nearest farthest leftmost topmost northernmost left right upper lower top
    bottom center middle north south east west northwest south-eastern corner edge side half of in on at to near
    next beside between above below from with without not except and or but that which is are was has have does do
    it its them they other others another ship ships tank tanks storage roof roofs house houses tree trees road
    water river pool pools grass plane airplanes car white red blue small large round long by size area than more
    less most least only exactly about over under 500 m2 > < = me my image scene picture quarter third one ones
    both pair group cluster
    """.split()  # noqa: SIM905 - words that a person reads
)
_SENTENCES = (
    "the storage tanks left of the largest storage tank", "the second largest ship in the upper left",
    "top 3 tanks by size", "roofs > 500 m2", "the ship at the lower left", "the pool between the two houses",
    "the ship closest to the bridge", "the three westernmost planes", "all buildings except the red one",
    "the smallest of the four tanks at the lower right corner",
)  # fmt: skip
_JOINTS = (" ", " ", " ", " ", "  ", "-", ", ", "\n", "\t", "\u00a0", "", "'s ", ". ", "; ", "/", " \u200b")


def make(rng: random.Random, box: Box) -> Try:
    """A sentence and what is done with it."""
    sentence = _sentence(rng)
    kind = rng.random()
    if kind < 0.75:
        choices = random.Random(rng.getrandbits(32))
        return lambda: _read(sentence, choices)
    if kind < 0.9:
        return lambda: _ask(box, sentence)
    others = [_sentence(rng) for _ in range(rng.choice((0, 1, 3)))]
    return lambda: _by_command(box, [sentence, *others])


def _sentence(rng: random.Random) -> str:
    """Text that may be a sentence."""
    kind = rng.random()
    if kind < 0.5:
        length = rng.choice((1, 2, 3, 5, 8, 13, 20, 60, 70)) if rng.random() < 0.95 else rng.choice((500, 5000))
        return "".join(f"{rng.choice(_WORDS)}{rng.choice(_JOINTS)}" for _ in range(length)).strip()
    if kind < 0.75:
        return mutate_text(rng, rng.choice(_SENTENCES), (*TEXTS, *_WORDS))
    if kind < 0.85:
        return (
            rng.choice(_WORDS) * rng.choice((1, 50, 3000))
            if rng.random() < 0.5
            else f"{rng.choice(_WORDS)} " * rng.choice((5, 480, 4000))
        )
    if kind < 0.95:
        return "".join(
            chr(rng.choice((rng.randrange(128), rng.randrange(0x3000), rng.randrange(0x110000))))
            for _ in range(rng.choice((1, 10, 100, 2000)))
        )
    return rng.choice(TEXTS)


def _read(sentence: str, rng: random.Random) -> None:
    """Read it, choose among regions by it, and make it tokens."""
    from rs2sam.language.scope import Candidate, choose, read_sentence, remarks
    from rs2sam.processing import Processor
    from tests.small_model import COMPACT

    scoped = read_sentence(sentence)
    require(scoped.sentence == sentence, "another sentence")
    is_part = scoped.local == sentence or scoped.local in " ".join(sentence.split())  # less its frame
    require(bool(scoped.claims) or is_part, "reworded, and nothing is claimed")
    require(bool(scoped.local.strip()) or not sentence.strip(), "nothing is left to ask")
    regions = [_region(rng, Candidate) for _ in range(rng.choice((0, 1, 2, 7, 60)))]
    landmarks = [_region(rng, Candidate) for _ in range(rng.choice((0, 1, 3)))]
    to_map = rng.choice((None, (0.6, 0.0, 0.0, -0.6), (0.0, 1.0, 1.0, 0.0), (-1.0, 0.0, 0.0, 1.0)))
    kept = choose(regions, scoped.claims, (1000, 1000), landmarks, to_map)
    require(len(set(kept)) == len(kept) and set(kept) <= set(range(len(regions))), "regions that are none")
    require(bool(scoped.claims) or len(kept) == len(regions), "chosen without a claim")
    require(all(map(str.strip, remarks(scoped, to_map, len(landmarks), len(kept)))), "an empty remark")
    ids = Processor.from_folder(COMPACT).sentences([sentence]).input_ids
    require(ids.shape[0] == 1 and ids.min() >= 0 and ids.max() < 8192, "ids that are none")


def _region(rng: random.Random, kind: type) -> object:
    """A region anywhere."""
    x, y, w, h = (rng.randrange(900), rng.randrange(900), rng.choice((1, 5, 20, 100)), rng.choice((1, 5, 20, 100)))
    return kind((x, y, x + w, y + h), max(1, w * h // rng.choice((1, 2))), rng.choice((0.5, 0.6, 0.9, 1.0)))


def _ask(box: Box, sentence: str) -> None:
    """Ask the model in Python."""
    from rs2sam import Segmenter

    picture = np.full((48, 48, 3), (40, 120, 50), np.uint8)
    picture[5:15, 5:15] = picture[20:40, 20:40] = (220, 30, 30)
    result = Segmenter.load(box.models / RED, threads=1).segment(picture, sentence)
    require(result.sentence == sentence, "another sentence")
    require(bool(result.mask.any() or result.warnings), "red is there, and nothing is found without a word")


def _by_command(box: Box, sentences: list[str]) -> None:
    """Ask by the command line: a preview shows every sentence."""
    from PIL import Image

    from fuzz.areas.images import check_results

    scene = box.inputs.parent / "scene.png"
    Image.new("RGB", (48, 48), (220, 30, 30)).save(scene)
    try:
        command(
            "segment",
            str(scene),
            "-o",
            str(box.out),
            "--model",
            str(box.models / RED),
            "--threads",
            "1",
            "--",
            *sentences,
        )
    finally:
        scene.unlink()
    asked = [found["sentence"] for found in check_results(box.out)["sentences"]]
    if asked != [one for one in sentences if one in asked] or not asked:
        raise WrongResultError(f"asked {sentences!r}, answered {asked!r}")
