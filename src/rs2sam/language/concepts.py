"""What a model is asked in place of what a sentence says.

One that reads short noun phrases: no article, no frame, the noun in the singular. One that was taught certain classes:
their usual names.

And what is said of a sentence that names one object, where several were found.

>>> noun_phrase("the storage tanks")
'storage tank'
>>> noun_phrase("Please show me all the buses near the terminal.")
'bus near the terminal'
>>> usual_phrase("all the white jetliners", ("airplane", "ship"))
'all the white airplanes'
>>> usual_phrase("the solar panels", ("airplane", "ship"))
'the solar panels'
>>> names_one("please show me the storage tank")
'storage tank'
>>> names_one("the storage tanks") is None
True
>>> number_remark("plane", [900, 850, 3])
'the sentence names one, and 2 of like size were found: say which ("the largest plane"), or ask for all ("the planes")'
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from rs2sam.datasets.english.training_nouns import TRAINING_NOUNS
from rs2sam.datasets.english.vocabulary import COLOUR_WORDS
from rs2sam.language.asking import phrase_of
from rs2sam.language.reading import read_sentence
from rs2sam.language.words import DETERMINER, MASS_NOUNS, STOP, is_plural, plural_of

_ALONE = re.compile(r"^(?:only|single|sole|lone|solitary|one)\s+(?=\w)", re.IGNORECASE)
_BEFORE_ES = re.compile(r"(?:(?<!o)us|ss|x|z|ch|sh|gas)$", re.IGNORECASE)


def noun_phrase(text: str) -> str:
    """A sentence, or what of it is left for a view, as a noun phrase.

    Words that say more than the noun ("near the terminal") stay: the model may read them.

    Args:
        text: English.

    Returns:
        The phrase; the text itself where nothing would be left of it.
    """
    phrase = _ALONE.sub("", DETERMINER.sub("", phrase_of(" ".join(text.split())))).strip(" ,")
    if not phrase:
        return text
    stop = STOP.search(phrase)
    head, rest = (phrase, "") if stop is None else (phrase[: stop.start()], phrase[stop.start() :])
    words = head.split()
    return " ".join([*words[:-1], singular_of(words[-1])]) + rest if words else phrase


def singular_of(noun: str) -> str:
    """Put a noun into the singular by the rules of spelling; what is no plural by its ending stays as it is."""
    if not is_plural(noun) or len(noun) < 3:
        return noun
    forms = [noun[:-2] if _BEFORE_ES.search(noun[:-2]) else "", f"{noun[:-3]}y", f"{noun[:-3]}f", noun[:-1]]
    return next((form for form in forms if form and plural_of(form).lower() == noun.lower()), noun)


_COLOUR = "|".join(sorted({word for words in COLOUR_WORDS.values() for word in words}, key=len, reverse=True))
_STATE = (
    "parked|moored|docked|anchored|berthed|stationary|moving|visible|individual|separate|single|other|outdoor|round"
    "|circular|oval|square|rectangular|l-shaped|curved|straight|flat|bright|dark|light|pale|big|large|small|little|huge"
    "|tiny|long|short|narrow|wide|broad"
)
"""Words before a noun that are no part of a name; of a name that has one, the whole is looked up first."""
_LOOKS = re.compile(rf"(?:\b(?:{_COLOUR}|{_STATE})(?:\s+|$))*", re.IGNORECASE)
_EACH = re.compile(r"(?:an?|every|each)\b", re.IGNORECASE)
_LONGEST_PHRASE = 200
"""Characters of a phrase in which a name is looked for: beyond, white space alone would take seconds."""


@cache
def _usual_names(classes: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Every name in small letters -> what its class is called, as the name of one and in the name's number.

    Names of two categories are left out, and so are categories that none or several of the classes name.
    """
    usual: dict[str, set[tuple[str, str]]] = {}
    firsts = {nouns[0].singular for nouns in TRAINING_NOUNS.values()}
    for first, *others in TRAINING_NOUNS.values():
        nouns = (first, *others)
        # A tree is vegetation, too: what is first elsewhere names that.
        own = [noun for noun in nouns if noun.singular in classes and (noun is first or noun.singular not in firsts)]
        one, several = (own[0].singular, own[0].plural) if len(own) == 1 else ("", "")
        for noun in nouns:
            usual.setdefault(noun.plural.lower().replace("-", " "), set()).add((one, several))
            if noun.singular != noun.plural:
                usual.setdefault(noun.singular.lower().replace("-", " "), set()).add((one, one))
    only = {name: forms.pop() for name, forms in usual.items() if len(forms) == 1}
    return {name: forms for name, forms in only.items() if forms[0]}


def usual_phrase(phrase: str, classes: tuple[str, ...]) -> str:
    """A phrase with a class's own name in place of another of its names.

    A model answers best by the name that it met most often.

    Args:
        phrase: English: an article, how the things look, a name, and perhaps where they are ("near the terminal").
            Where the name is none of those of training, all stays as it is.
        classes: what a model says that it was taught, in the singular.
    """
    if len(phrase) > _LONGEST_PHRASE:
        return phrase
    names = _usual_names(classes)
    article = DETERMINER.match(phrase)
    before, named = ("", phrase) if article is None else (article[0], phrase[article.end() :])
    stop = STOP.search(named)
    ends = [len(named)] if stop is None else [len(named), stop.start()]  # "body of water", "planes near the terminal"
    for end in ends:
        words = named[:end].split()
        # The longest name first: words on how things look may be part of it ("small vehicle").
        for start in range(len(words)):
            forms = names.get(" ".join(words[start:]).lower().replace("-", " "))
            looks = " ".join(words[:start])
            if forms is not None and _LOOKS.fullmatch(looks):
                name = forms[0 if _EACH.match(before) else 1]
                return f"{before}{looks}{' ' if looks else ''}{name}{named[end:]}"
    return phrase


ALIKE_SHARE = 0.25
"""A region is like the largest one where it has at least this share of its area; smaller ones are specks of it."""

# What is all over an image is named in the singular too: "the road", "the river".
_SPREAD = frozenset(
    {
        "road",
        "street",
        "highway",
        "motorway",
        "avenue",
        "lane",
        "path",
        "track",
        "railway",
        "river",
        "stream",
        "canal",
        "lake",
        "sea",
        "coast",
        "shore",
        "beach",
        "forest",
        "vegetation",
        "area",
        "region",
        "surface",
        "shadow",
        "city",
        "town",
        "village",
    }
)
_ONE = re.compile(r"(?:the|that|this)\s+(?!(?:only|whole|entire)\b)", re.IGNORECASE)


def names_one(sentence: str) -> str | None:
    """The noun phrase of a sentence about one definite thing ("the plane") that does not say which; else None.

    Args:
        sentence: English.
    """
    phrase = phrase_of(" ".join(sentence.split()))
    noun = noun_phrase(sentence)
    last = noun.split()[-1].lower() if noun.split() else ""
    stands_there = re.search(rf"\b{re.escape(noun)}\b", phrase)  # a plural was put into the singular
    says_one = _ONE.match(phrase) and stands_there and len(noun.split()) <= 3
    if not says_one or is_plural(last) or last in MASS_NOUNS | _SPREAD or read_sentence(sentence).claims:
        return None
    return noun


def number_remark(noun: str, areas: Sequence[float]) -> str | None:
    """What is said where a sentence names one thing and several of like size were found.

    Args:
        noun: what the sentence names, see `names_one`.
        areas: of the regions found [px].

    Returns:
        The remark; None where there is nothing to say.
    """
    num_alike = sum(area >= ALIKE_SHARE * max(areas) for area in areas) if areas else 0
    if num_alike < 2:
        return None
    return (
        f"the sentence names one, and {num_alike} of like size were found: say which "
        f'("the largest {noun}"), or ask for all ("the {plural_of(noun)}")'
    )
