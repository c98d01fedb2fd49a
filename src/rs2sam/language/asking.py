"""Requests of any length: whole clauses around the thing that say who asks, what for, and in which picture.

>>> asked("the fire chief is asking for the ships, so mark them on this photo as quickly as you can")
'the ships'
>>> asked("hide everything except the ships")
'the ships'
>>> asked("show everything except the ships")
'everything except the ships'

Patterns name kinds of words (verbs of asking, pictures, what is drawn, occasions), not sentences. What stands between
marks goes where all its words are of these kinds, or where it speaks of the one who asks and of no place.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache, partial

from rs2sam.language.frames import MAX_LETTERS, MAX_WORDS, unframed
from rs2sam.language.signs import compiled, listed, named, sections
from rs2sam.language.words import DETERMINER

_FLAGS = re.IGNORECASE
_MAX_STEPS = 16

_FILE = sections("asking.txt")
_BLOCKS = named(_FILE["words"], {})
_LEADS, _GOING_ON, _TAILS, _ENDS_OF_ORDERS, _SUBJECT, _IS_WHAT, _ALL_BUT, _DENIED = (
    listed(_FILE[title], _BLOCKS)
    for title in ("leads", "going_on", "tails", "ends_of_orders", "subject", "is_what", "all_but", "denied")
)
"""Steps of what leads to the thing and of what follows it (what goes on, and what ends an order, only after a lead),
who wants something, what is said of it, what is left out, and what is denied that is not the thing."""

_SPEAKER = re.compile(
    r"\b(?:i|we|me|us|my|our|you|your|yourself|i['’]\w+|we['’]\w+|you['’]\w+|u|someone|nobody|anyone|mate"
    r"|here['’]?s|attached|uploaded|urgent\w*"
    r"|request\w*|project|homework|report|client|question|took|flew|got|just|try|tries|writing|updating|preparing"
    r"|studying|checking|investigating"
    r"|adding|trying|testing|learning|demo|task|photo\w*|image\w*|picture\w*|drone|aerial|satellite|sorry"
    r"|apolog\w+|forgive|thanks|waiting|asks?|asking"
    r"|asked|please|inbound|ortho\w*|voice note|needs?|wants?|claims?|survey\w*|assess\w*|review|apprais\w*"
    r"|here)\b",
    _FLAGS,
)
_OCCASION = re.compile(
    r"^(?:for|since|because|as|so that|before|after|when|while|once|if|to|in order to|having|until|given that|with"
    r"|using|by means|via|looking|from (?:the air|above|up here|what)|should|speaking|due to|being|now that"
    r"|as part"
    r"|of everything|out of the whole|in case|unless|based|without|at)\b(?! (?:left|right|top|bottom|upper|lower"
    r"|north|south|east|west)\b)",
    _FLAGS,
)
_TELLS = re.compile(
    r"\b(?:left|right(?!,)|top|bottom|upper|lower|north\w*|south\w*|east\w*|west\w*|middle|cent(?:er|re)\w*|corner"
    r"|edge|half|quarter|third|quadrant"
    r"|(?:\w+(?<!for)(?<!t)(?<!gu)(?<!requ)(?<!inter))est(?<!request)(?<!interest)(?<!test)|most|least|second|two"
    r"|three|four|five|six|seven|eight|nine|ten|both|\d+|near\w*|next to|beside\w*|beyond"
    r"|between|along|above|below|under|underneath|behind|around|other|others|another|only one|larger|smaller"
    r"|bigger|longer|shorter|length|size|area|width|(?:down|up) (?:at|in|on|there|to)|foot|heart|high|low"
    r"|(?<!as )far|(?<!as )part|side|not|except|without"
    r"|one|ones|white|black|red|blue|green|gr[ea]y|yellow|brown|orange|purple|pink"
    r"|of (?:all|these|those)|^of the|among\w*"
    r"|there (?:is|are))\b",
    _FLAGS,
)
"""What may tell one thing from others, so that it must not be left out."""

_CLAUSE = re.compile(r"\b(?:that|which|who|whose|where)\b", _FLAGS)
_STARTS = re.compile(
    r"^(?:(?:please|kindly|so|now|then|just|only|and|but|could|can|would|will|may|where|i|we|i['’]\w+|we['’]\w+"
    r"|let|let['’]s|do|help|need|want|show|go|the|all|those|these|every|each|both|any|don['’]t|how|what|is|are|um|uh"
    r"|it['’]?s|tell|nothing|no|trace|here|wanna|draw|bet|must|have to)\b|VERB\b)".replace("VERB", _BLOCKS["VERB"]),
    _FLAGS,
)
_EMPTY = re.compile(
    r"^(?:the|those|these|this|that|all|every|each|both|any|an?|only|just|of|them|it|one|ones|last|first|second"
    r"|third|two|three|four|five|six|other|others|rest"
    r"|largest|biggest|smallest|longest|shortest|leftmost|rightmost|topmost|white|red|blue|green|grey|black"
    r"|nearest|closest|in|on|at|to|is|are|which|upper|lower"
    r"|left|right|top|bottom|same|such|here|there|where|\W+)$",
    _FLAGS,
)


@cache
def _plain_words() -> re.Pattern[str]:
    return compiled(_BLOCKS["PLAIN"])


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[^\w'’-]+|_", text) if word.strip("'’-")]


def _is_plain(text: str) -> bool:
    """Whether all words of a text only ask."""
    return all(_plain_words().fullmatch(word) for word in _words(text))


def _names_something(text: str) -> bool:
    """Whether a word is left that may be a noun."""
    return not all(_EMPTY.match(word) or _is_plain(word) for word in _words(text))


@lru_cache(maxsize=256)  # a reading asks twice, and a model reads a sentence for every view
def asked(text: str) -> str:
    """Take off all that says who asks, how, what for, and in which picture.

    Args:
        text: a sentence; one that is too long to be read stays as it is.

    Returns:
        What is left; the sentence where nothing would be left of it that may be a noun.
    """
    if len(text) > MAX_LETTERS or text.count(" ") >= MAX_WORDS:
        return text
    words = " ".join(text.split())
    if _SHORT.fullmatch(words):  # no request, and not worth the time that the first look at the patterns takes
        return text
    left = words
    for _ in range(_MAX_STEPS):
        shorter = _shorter(left, goes_on=left != words and not words.startswith(left[:8]))
        if shorter is None:
            break
        left = shorter
    start = words.find(left)
    if left == words or not _only_asks(words[:start], left, words[start + len(left) :]):
        return text
    return left


_SHORT = re.compile(
    r"(?!.* (?:class|layer|category|label|type|objects?|areas?|pixels|masks?|outlines?|footprints?|segmentation)$)"
    r"(?:the |all the |all |an? )?[a-z]+(?: [a-z]+)?",
    _FLAGS,
)
_HARMLESS = re.compile(
    r"\b(?:nothing (?:else|more|but)|no (?:matter|rush|hurry|problem|chit ?chat|talk|text|exceptions?)"
    r"|(?:ca|could|wo|would|do)n['’]t you|(?:don['’]?t|do not|never) (?:forget|miss|skip|leave out)"
    r"|not (?:sure|missing|(?:an? |the )?(?:bounding )?box(?:es)?)|(?:ignore|ignoring|skip|leave out|leave)"
    r" (?:the rest|everything else|all else|the others?|anything else)"
    r"|without (?:exception|missing|delay|fail)|if not|never mind|why not|whether or not"
    r"|(?:hide|remove|delete|drop|discard|dim|grey out|gr[ae]y out|blank out|mask out|black out|erase|ignore)"
    r" (?:everything|anything|all|the rest)(?: else)? (?:except|but|besides|other than|apart from|save))\b",
    _FLAGS,
)
_DENIES = re.compile(
    r"\b(?:not|\w+n['’]t|dont|doesnt|didnt|never|no|nobody|none|nothing|hardly|neither|nor|without|except|instead|alone"
    r"|hide|remove|delete|ignore|skip|exclude|avoid"
    r"|(?:filter|crop|take|cut|clip|screen|rule|weed|leave|edit|blank|black|mask)(?:s|ed|ing)?(?: \w+){0,2}?"
    r" (?:out|off|away))\b",
    _FLAGS,
)
_ASKS = re.compile(
    r"\b(?:i|we|me|us|my|our|you|your|please|kindly|let|draw|put|make|trace|mark|give|need|want|show|get|create|produce"
    r"|find|outline|add|place|i['’]\w+|we['’]\w+|asked|asks|asking|must|should|can|could|would|wants|needs)\b",
    _FLAGS,
)
_OF_A_THING = re.compile(
    r"\b(?:(?:lines?|box(?:es)?|circles?|rings?|frames?|labels?|edges?|rims?|borders?|margins?|boundar(?:y|ies)|perimeters?"
    r"|places?|spots?)\b|traces? of|masks? (?:on|over|around)|areas? (?:around|containing|of))",
    _FLAGS,
)
"""Parts of things, and what lies on them, unless somebody asks to draw it."""
_PERSON = re.compile(
    r"^(?:the|an?|this|that) (?!(?:\w+ )?(?:boss|client|customer|manager|teacher|professor|chief|captain|colonel"
    r"|general|council|mayor|owner|farmer|analyst|team|office|insurer|planner|editor|commander|pilot|agent|engineer|student"
    r"|supervisor|task|brief|user|lab|ministry|city|department|agency|court|judge|lawyer|buyer|seller)\b)[\w-]+"
    r" (?:wants?|says?|needs?|asks?)\b",
    _FLAGS,
)
"""Something that wants something and is nobody: "the church wants a roof"."""
_KEPT_TAIL = re.compile(
    r"^\W*(?:(?:being )?(?:filled|pulled|cut|standing|closed|opened)\b|areas?$|marks?$|u$"
    r"|for (?:the|a|an) (?!(?:\w+ ){0,2}(?:report|record|records|map|maps|file|project|client|boss|database|gis"
    r"|presentation|claim|survey|study|analysis|thesis|paper|model|board|meeting|inventory|archive|dataset|team lead"
    r"|night|day)\b)"
    r"|for (?!(?:me|us|reference|reporting|review|analysis|mapping|training|gis|planning|inspection|documentation|now"
    r"|today|counting|clarity|sure|real)\b)\w+$)"
    r"|\b(?:tiles|canvas|prints|sheets)\b",
    _FLAGS,
)
_TORN = re.compile(r"\b(?:they|she|he|we|i|you|it|been|being|that|which|who)$", _FLAGS)
_LEFT_OVER = re.compile(r"(?:nothing|no|know|see|hide|remove|delete|ignore|exclude|leave|skip|avoid|not)\b", _FLAGS)
"""What begins no thing: half of a request."""
_POINTS_BACK = re.compile(r"\b(?:one|ones|it|its|them|those|they)\b", _FLAGS)


def _only_asks(before: str, left: str, after: str) -> bool:
    """Whether what was taken off denies nothing, and is no part, place, state or purpose of a thing."""
    before, after = (_HARMLESS.sub("", text) for text in (before, after))
    if (
        _LEFT_OVER.match(left)
        or _DENIES.search(f"{before} | {after}")
        or _PERSON.match(before)
        or _TORN.search(left)
        or _POINTS_BACK.search(left)
    ):
        return False
    part = _OF_A_THING.search(before)
    if part and not _ASKS.search(before[: part.start()]):
        return False
    words = before.split()
    is_head = len(words) == 1 and words[0].lower().endswith("ing")  # "filling stations"
    is_clause = before.strip().lower() == "where" and not after.strip()  # "where the river meets the sea"
    return not (is_head or is_clause or (_KEPT_TAIL.search(after) and not _ASKS.search(before)))


def _shorter(text: str, *, goes_on: bool) -> str | None:
    """A text without one more step of what only asks, or None."""
    for step in (_without_segment, partial(_without_lead, goes_on=goes_on), partial(_without_tail, goes_on=goes_on)):
        rest = step(text)
        if rest is not None and rest != text and _names_something(rest):
            return rest
    return None


_SEPARATOR = re.compile(r"\s*(?:[,;:!?]+|\.+(?=\s|$)|…|\s[-–—/]+\s|\s--\s|->|=+>?|>+)\s*")


_AND_WISH = re.compile(
    r"\s(?:and|but|so|then|because)\s(?=(?:i|we|please|must|have|need|want|would|could|should|wants?|needs?|just"
    r"|draw|mark|show|find|outline|give)\b)"
    r"|\s(?=(?:i|we|please)(?:\s|['’]))",
    _FLAGS,
)


def _without_segment(text: str) -> str | None:
    """Take off what stands before the first mark, or after the last, where it says nothing about the thing."""
    marks = [mark for mark in _SEPARATOR.finditer(text) if mark.start() and mark.end() < len(text)]
    for mark in marks[:3]:
        lead, rest = text[: mark.start()], text[mark.end() :]
        if _names_something(rest) and (_says_nothing(lead) or _is_occasion(lead, rest)):
            return rest
    for mark in _AND_WISH.finditer(text):
        lead, rest = text[: mark.start()], text[mark.end() :]
        if _names_something(rest) and (_says_nothing(lead) or _is_occasion(lead, rest)):
            return rest
    for mark in reversed(marks[-3:]):
        rest, tail = text[: mark.start()], text[mark.end() :]
        if _names_something(rest) and (_says_nothing(tail) or _is_reason(tail, rest)):
            return rest
    return None


def _says_nothing(segment: str) -> bool:
    return _is_plain(segment) or any(compiled(f"(?:{one})$").match(segment) for one in _DENIED)


def _shares_words(segment: str, rest: str) -> bool:
    """Whether a word that may be a noun stands in both."""
    words = [{word.lower().rstrip("s") for word in _words(part) if not _is_plain(word)} for part in (segment, rest)]
    return bool(words[0] & words[1] - {"a", "no", "thi"})


def _is_occasion(lead: str, rest: str) -> bool:
    """Whether a segment tells why, or in what, something is looked for: "our intern missed them, so ..."."""
    return bool(
        _ASKS.search(lead)  # "the survey ship, the tank" and "with a pool, the house" ask for nothing
        and (_SPEAKER.search(lead) or _OCCASION.match(lead))
        and not _TELLS.search(lead)
        and _STARTS.match(rest)
        and not _shares_words(lead, rest)
        and len(lead.split()) <= 16
    )


def _is_reason(tail: str, rest: str) -> bool:
    """Whether a segment behind the thing tells why it is looked for."""
    return bool(
        re.match(r"(?:so|because|since|as|i|we|it['’]s|that['’]s|if|when|for|to|my|our|need|you)\b", tail, _FLAGS)
        and _SPEAKER.search(tail)
        and not _TELLS.search(tail)
        and not re.match(r"for (?:each|every)|to the\b", tail, _FLAGS)
        and not re.search(r"\b(?:the|all|those|these|every|each|both) \w", tail, _FLAGS)
        and not _shares_words(tail, rest)
    )


_PATH = re.compile(r"[,;:.] then\b|\blook (?:left|right|up|down|north|south|east|west)\b|\bone\?", _FLAGS)
"""Directions to a place, step by step."""


def _without_lead(text: str, *, goes_on: bool) -> str | None:
    """Take off one step of what leads to the thing."""
    if _PATH.search(text):
        return None
    for pattern in (*_ALL_BUT, *_LEADS, *(_GOING_ON if goes_on else ())):
        match = compiled(pattern).match(text)
        if match and match.end() and _names_something(text[match.end() :]):
            return text[match.end() :]
    for pattern in (*_SUBJECT, *_IS_WHAT):
        match = compiled(pattern).match(text)
        subject = re.sub(r"question \d+|^all that", "", match["subject"]) if match else ""
        if match and not _TELLS.search(subject) and (pattern in _IS_WHAT or not _CLAUSE.search(subject)):
            return text[match.end() :]
    return None


_HANGING = re.compile(
    r"\b(?:by|of|in|with|an?|the|on|at|to|for|and|its|their|like|or|than|from|as|between|near|(?:that|which"
    r"|who) (?:is|are))$"
    r"|\b(?:with|of|has|have|having|by|in) (?:an?|its|the|their)(?: [\w-]+){0,2}$",
    _FLAGS,
)
"""What a phrase does not end with."""


def _without_tail(text: str, *, goes_on: bool) -> str | None:
    """Take off one step of what follows the thing."""
    for pattern in (*_TAILS, *(_ENDS_OF_ORDERS if goes_on else ())):
        match = compiled(rf"(?:(?<=\w)|(?<=[\w)\"”'’]) )(?:{pattern})$").search(text)
        rest = text[: match.start()] if match else ""
        if match and _names_something(rest) and not _HANGING.search(rest):
            return rest
    return None


def phrase_of(text: str) -> str:
    """A sentence without anything that only asks.

    Args:
        text: a sentence in words that are one blank apart.
    """
    return unframed(asked(text))


def bare(sentence: str) -> str:
    """A sentence without its frame; the sentence itself where it has none, or is nothing else.

    Args:
        sentence: English.
    """
    words = " ".join(sentence.split())
    thing = phrase_of(words).strip(" ,")
    names_something = DETERMINER.sub("", f"{thing} ").strip()
    return thing if thing != words and names_something else sentence
