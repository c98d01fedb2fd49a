"""What a model that reads short noun phrases is asked: no article, no frame, the noun in the singular.

>>> noun_phrase("the storage tanks")
'storage tank'
>>> noun_phrase("Please show me all the buses near the terminal.")
'bus near the terminal'
"""

from __future__ import annotations

import re

from rs2sam.language.frames import unframed
from rs2sam.language.words import DETERMINER, STOP, is_plural, plural_of

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
    phrase = _ALONE.sub("", DETERMINER.sub("", unframed(" ".join(text.split())))).strip(" ,")
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
