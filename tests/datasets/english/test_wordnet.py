"""Nouns of WordNet: what the files hold, how they are drawn, and the tool that makes them."""

from __future__ import annotations

import importlib
from collections import Counter
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from rs2sam.datasets.english import wordnet
from rs2sam.datasets.english.more_nouns import MORE_NOUNS
from rs2sam.datasets.english.trade_nouns import trade_nouns
from rs2sam.datasets.english.training_nouns import TRADE_SHARE, TRAINING_NOUNS, WORDNET_SHARE
from rs2sam.datasets.english.untaught import UNTAUGHT, plural, untaught_name
from rs2sam.datasets.english.vocabulary import CATEGORIES
from rs2sam.datasets.english.wordnet import WeightedNames, taught_nouns, untaught_nouns

TOOLS = Path(__file__).parents[3] / "tools" / "compact"
TAUGHT = {name for nouns in TRAINING_NOUNS.values() for noun in nouns for name in (noun.singular, noun.plural)}


def within(share: float, expected: float, count: int) -> bool:
    """Whether a share of draws is within five standard deviations of the binomial distribution."""
    return abs(share - expected) <= 5 * sqrt(expected * (1 - expected) / count)


def test_categories_of_the_file_are_known_and_their_weights_sum_to_one():
    assert set(taught_nouns()) <= set(CATEGORIES)
    assert len(taught_nouns()) >= 20
    for nouns in taught_nouns().values():
        assert all(noun.weight > 0 and noun.singular and noun.plural for noun in nouns)
        assert sum(noun.weight for noun in nouns) == pytest.approx(1, abs=5e-3)


def test_no_taught_noun_is_among_the_untaught():
    names = untaught_nouns().names
    assert 19_900 < len(names) == len(set(names)) == len(untaught_nouns().weights)
    assert (untaught_nouns().weights > 0).all()
    assert not TAUGHT & {one for name in (*names, *UNTAUGHT) for one in (name, plural(name))}
    of_trades = {name for nouns in trade_nouns().values() for noun in nouns for name in (noun.singular, noun.plural)}
    assert not (TAUGHT - of_trades) & {word for name in names for word in name.split()}


@pytest.mark.parametrize(
    "name", ["brothel", "cathouse", "loony bin", "slave ship", "whore", "half-breed", "gas chamber", "fuck", "hooker"]
)
def test_offensive_nouns_of_wordnet_are_left_out(name):
    assert name not in TAUGHT
    assert name not in untaught_nouns().names


def test_notice_of_wordnet_stands_in_the_head_of_both_files():
    for name in ("wordnet_nouns.tsv", "wordnet_untaught.tsv"):
        text = (Path(wordnet.__file__).parent / name).read_text(encoding="utf-8")
        head = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
        assert "WordNet 3.1 Copyright 2011 by Princeton University. All rights reserved." in " ".join(head.split())
        assert "Permission to use, copy, modify and distribute" in head
        assert 'PROVIDED "AS IS"' in head
        assert "tools/compact/wordnet_nouns.py" in head


@pytest.mark.parametrize("category", CATEGORIES)
def test_further_names_of_a_category_weigh_what_their_list_says(category):
    own = sum(noun.weight for noun in MORE_NOUNS[category])
    shares = ((taught_nouns(), WORDNET_SHARE), (trade_nouns(), TRADE_SHARE))
    expected = 1 + sum(share for further, share in shares if category in further)
    assert sum(noun.weight for noun in TRAINING_NOUNS[category]) / own == pytest.approx(expected, abs=5e-3)


def test_names_of_trades_name_one_category_each():
    names = [name for nouns in trade_nouns().values() for noun in nouns for name in {noun.singular, noun.plural}]
    assert set(trade_nouns()) == set(CATEGORIES)
    assert min(len(nouns) for nouns in trade_nouns().values()) >= 30
    assert len(names) == len(set(names))
    assert all(name == name.strip() and "  " not in name for name in names)


def test_six_in_ten_untaught_names_are_of_the_list_and_the_others_go_by_weight():
    rng, count = np.random.default_rng(3), 20_000
    drawn = Counter(untaught_name(rng) for _ in range(count))
    listed, names = set(UNTAUGHT), untaught_nouns()
    probabilities = names.weights / names.weights.sum()
    in_both = sum(p for name, p in zip(names.names, probabilities, strict=True) if name in listed)
    assert within(sum(n for name, n in drawn.items() if name in listed) / count, 0.6 + 0.4 * in_both, count)
    heaviest, probability = next(pair for pair in zip(names.names, probabilities, strict=True) if pair[0] not in listed)
    assert within(drawn[heaviest] / count, 0.4 * probability, count)


def test_weighted_names_are_drawn_by_weight():
    rng, names = np.random.default_rng(0), WeightedNames(("a", "b", "c"), np.array([1.0, 0.5, 2.5]))
    drawn = Counter(names.draw(rng) for _ in range(4000))
    assert all(within(drawn[name] / 4000, share, 4000) for name, share in (("a", 0.25), ("b", 0.125), ("c", 0.625)))


def test_plural_is_that_of_the_head():
    names = (
        "block of flats",
        "ship of the line",
        "man-of-war",
        "bus",
        "overpass",
        "aircraft",
        "woman",
        "human",
        "stairs",
    )
    plurals = [
        "blocks of flats",
        "ships of the line",
        "men-of-war",
        "buses",
        "overpasses",
        "aircraft",
        "women",
        "humans",
    ]
    assert [plural(name) for name in names] == [*plurals, "stairs"]


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("wordnet_nouns")


# (synset, nouns, synsets below, examples of the first noun); "bank" has its first sense outside.
SYNSETS = [
    ("01", ["entity"], ["02", "10"], 0),
    ("02", ["bridge", "span"], ["03", "04", "05"], 9),
    ("03", ["swing_bridge"], ["06"], 0),
    ("04", ["Tower_Bridge"], [], 2),
    ("05", ["bad_bridge"], [], 0),
    ("06", ["arch"], [], 31),
    ("10", ["artifact"], ["11", "12", "13", "14", "20"], 3),
    ("11", ["cup"], [], 8),
    ("12", ["bridge_lamp"], [], 5),
    ("13", ["rude_thing"], [], 5),
    ("14", ["bank", "spoon"], [], 1),
    ("20", ["material"], ["21"], 7),
    ("21", ["wood"], [], 7),
    ("30", ["bank"], [], 4),
]
WORDS = """
[seeds]
bridge: bridge 1
[extra]
bridge: foot crossing|bridge
tennis_court: clay court
[adjectives]
bridge: steel|foot
[mass]
bridge: bridge
[unfit]
any: bad bridge
[roots]
artifact 1: 0.5
[near]
all: material
first: bridge
[edges]
letters: zzz
[unfit untaught]
words: rude
names: nothing
"""


@pytest.fixture
def folder(tmp_path):
    senses = {"bank": ["30", "14"]}
    data, index, tagged = ["  1 The notice.  ", "  2   ", "  3 It goes on.  "], ["  1 The notice.  "], []
    for synset, nouns, below, count in SYNSETS:
        words = " ".join(f"{noun} 0" for noun in nouns)
        pointers = " ".join(f"~ {child} n 0000" for child in below)
        data.append(f"{synset} 06 n {len(nouns):02x} {words} {len(below) + 1:03d} @ 99 n 0000 {pointers} | what it is")
        for noun in nouns:
            senses.setdefault(noun.lower(), [synset])
            tagged.append(f"{noun.lower()}%1:06:00:: {synset} 1 {count if noun == nouns[0] else 0}")
    for lemma, found in senses.items():
        index.append(f"{lemma} n {len(found)} 1 @ {len(found)} 0 {' '.join(found)}")
    tagged.append("run%2:38:00:: 99 1 100")
    (tmp_path / "dict").mkdir()
    for name, lines in (("data.noun", data), ("index.noun", index), ("index.sense", tagged)):
        (tmp_path / "dict" / name).write_text("\n".join(lines) + "\n", encoding="latin-1")
    (tmp_path / "words.txt").write_text(WORDS, encoding="utf-8")
    return tmp_path


def rows(path: Path) -> list[list[str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def test_tool_takes_nouns_by_first_sense_and_weighs_them_by_examples(tool, folder):
    tool.main([str(folder / "dict"), str(folder / "out"), "--words", str(folder / "words.txt")])
    taught = {
        name: (category, many, float(w)) for category, name, many, w in rows(folder / "out" / "wordnet_nouns.tsv")
    }
    # Of its own names `bridge` is gone; so are the proper name, what is unfit, and "foot foot crossing".
    assert set(taught) == {
        "span",
        "swing bridge",
        "arch",
        "foot crossing",
        "steel foot crossing",
        "steel bridge",
        "foot bridge",
        "clay court",
    }
    assert taught["arch"][2] / taught["span"][2] == pytest.approx(32**0.4, rel=1e-3)
    assert taught["span"][2] / taught["swing bridge"][2] == pytest.approx(1.5, rel=1e-3)
    assert taught["clay court"] == ("tennis_court", "clay courts", 1.0)
    assert taught["swing bridge"][1] == "swing bridge"
    assert sum(w for category, _, w in taught.values() if category == "bridge") == pytest.approx(1, abs=1e-3)

    untaught = {name: float(w) for name, w in rows(folder / "out" / "wordnet_untaught.tsv")}
    assert list(untaught) == ["cup", "artifact", "spoon"]
    # Shares are those among all nouns below the root, also those that are left out by their words.
    total = sum(sqrt(1 + n) for n in (3, 8, 5, 5, 0))
    assert untaught["cup"] == pytest.approx(0.5 * 3 / total, rel=1e-3)
    head = (folder / "out" / "wordnet_nouns.tsv").read_text(encoding="utf-8")
    assert "# The notice.\n#\n# It goes on.\n" in head


def test_tool_writes_nothing_without_wordnet_or_a_sense(tool, folder):
    with pytest.raises(SystemExit, match=r"has no data\.noun: give the folder"):
        tool.main([str(folder), str(folder / "out")])
    (folder / "words.txt").write_text(WORDS.replace("bridge 1", "bridge 4"), encoding="utf-8")
    with pytest.raises(SystemExit, match="WordNet has 1 senses of 'bridge' as a noun; the words ask for sense 4"):
        tool.main([str(folder / "dict"), str(folder / "out"), "--words", str(folder / "words.txt")])
    assert not (folder / "out").exists()
