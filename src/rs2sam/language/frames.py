"""How people ask: what stands before and after the thing itself, and says nothing about it.

>>> unframed("Hi, could you please show me where the ships are? Thanks!")
'the ships'
"""

from __future__ import annotations

import re

from rs2sam.language.words import DETERMINER, DIRECTION

_FLAGS = re.IGNORECASE


def _any(*wordings: str) -> str:
    """One pattern of several; a blank stands for any white space, an apostrophe for both kinds of it."""
    return re.sub(r"\((?!\?)", "(?:", "|".join(wordings)).replace(" ", r"\s+").replace("'", "['’]")


_POLITE = _any("please|pls|plz|kindly|thanks|thank you|hi|hello|hey|ok|okay|now|only|just")
_SHOW = _any(
    "segment|find( me)?|show( me)?|highlight|outline|mark( out)?|select( only)?|locate|extract|delineate|detect",
    "identify|pick out|point (out|to)|map|get( me)?|give( me)?|gimme|return|mask( out)?|look for",
    "(search|searching|looking) (for|out)|digiti[sz]e|vectori[sz]e|polygoni[sz]e|demarcate",
)
_NAMES_TOO = _any(
    "display|circle|label|spot|crop|trace( out)?|draw|see|view|check|choose|pick( up)?|take|tell me|indicate",
    "annotate|isolate|tag|pinpoint|(call|single|seek|cut|make|map|carve|work|figure|sort|lift|fish|spell) out",
    "(zoom|home) in on|focus (in )?on|report|frame|box( in| up)?|ring|flag|target|reveal|spotlight|locali[sz]e",
    "capture|note( down)?|bring up|put|place|provide|produce|name|list|signal|track down|hunt (down|for)|discover",
    "determine|recogni[sz]e|distinguish|separate|clip( out)?|paint|shade( in)?|(colou?r|fill) in|overlay|cover",
    "encircle|surround|enclose|bound|segment out|retrieve|fetch|grab|deliver|output|present|nominate|designate",
    "specify|state|describe|count|include|keep|track|catch|snip out|pull out|extract|lasso|underline|emphasi[sz]e",
    "accentuate|hand me|bring me|point me( out)? to|direct me to|lead me to|take me to|guide me to|zero in on|set",
    "mark (up|down)|verify|confirm|examine|inspect|watch|observe|sketch( out)?|add|make|drop|stick|throw|write",
    "go to|jump to|move to|centre on|center on|concentrate on|attend to|consider|notice",
)
"""Verbs that may be a part of a name ("circle irrigation"): they ask where a determiner follows."""
_DETERMINED = _any(
    r"(?= (the|those|these|this|that|all|every|each|both|any|a|an|me|where|which|whichever|whatever|only|just)\s)"
)
_WISHES = _any(
    "((i|we) )?(need|want|wanna|would like|'?d like)|i'd (like|love)|((i|we) )?(am |are |'m )?interested in",
    "(i|we)('m|'re| am| are) (looking for|searching for|after|thinking of|talking about)",
    "i mean(?= (the|all|those|this|that|these) )|let (me|us)",
    "(could|can|would|will|may) (you|u|i|we|someone|anyone)|(do|can) (you|we|i) see",
    "you to|for (me|us)|(i|we) (think|guess|believe)|(would you )?be so kind( as)?|(is|would) it (be )?possible",
)
_QUESTIONS = _any(
    "(where( (in|on) (the|this) (image|picture|photo|map))?|(what|which)( ones?)?)('s| is| are)",
    "(is|are) there|there (is|are)|(do|can|could) (you|we|i|one) (see|find|spot|make out)|(what|how) about",
    "where (can|do|could|would) (i|we) (find|see)",
    r"where(?=\s.*\s(is|are|lies?|sits?|stands?)\b)",
    "which pixels (belong to|are)|pixels (that|which) belong to",
)
_SHAPES = _any(
    "(the |an? )?((shape|outline|mask|contour|footprint|segmentation|polygon|location|position|extent)s?|pixels)"
    " (of|for(?! me| us)|around)",
    "(a |an |one )?((bounding|red|green|blue|yellow|white|black|tight|closed|thick|neat|snug|colou?red|thin|bold) )*"
    "((box|boxes|rectangle|outline|circle|ring|mask|polygon|frame|contour|line|boundary|border|square|loop|lasso)s?"
    " (round|around|about|enclosing|surrounding|bounding)"
    "|(mask|overlay|highlight|marker|pin|dot|cross|label|tag|box|flag)s? (over|on|onto))"
    "(?= (the|those|these|this|that|all|every|each|both|any|a|an|whichever) )",
)
_KINDS = _any(
    "((all|the|any) )?(areas?|regions?|patch(es)?) of",
    "((all|the|any) )?(areas?|regions?|land|ground|everything) (that is )?covered (by|with|in)",
    r"(everything|anything|things?|objects?) that (is|are|looks? like)(?= an?\s)|objects? of (the )?(class|type|kind)",
)
_LINKS = _any(
    r"(around|only|just)(?= (the|those|these|all)\s)",
    rf"to(?= ({_SHOW}|{_NAMES_TOO}|have)\s)|have(?= the\s)",
)

FRAME = re.compile(
    rf"^\s*(?:(?:{_POLITE})\b[\s,!.]*(?=\S)"
    rf"|(?:{_SHAPES}|{_WISHES}|{_SHOW}|(?:{_NAMES_TOO}){_DETERMINED}|{_QUESTIONS}|{_KINDS}|{_LINKS})\s+(?=\w)"
    r"|in\s+this\s+(?:view|image|scene|picture|photo)\s*,\s*)",
    _FLAGS,
)
"""One step of what leads to the thing; it is taken off until nothing more goes."""

_PICTURE = "image|picture|photo|photograph|scene|map|view|frame|shot|orthophoto|imagery|pic|screenshot"
_AFTER = _any(
    "please|pls|plz|thanks|thank you|thx|only|for (me|us)|(and )?nothing else|if (any|possible)|masked|highlighted",
    "marked|outlined|outlines?|masks?|segmentation|(segment|show|mark|find|outline|highlight|select) (it|them)",
    rf"(in|on|of|within|from) (the|this|that|my|your) ((?!{DIRECTION}\b)\w+ ){{0,2}}({_PICTURE})",
    "(in|on|of) (image|picture|photo)|in (the|this) ((whole|entire|given) )?(area|tile)|in view|everywhere|around",
    "((that|which) (is|are) )?(visible|shown|present|located|situated)( here)?|to be (seen|found)",
    "(that|which) (is|are) (masked|highlighted|marked|outlined)|(that|which) (can be|is|are) (found|seen)",
    "((that|which) )?(you|we|i) (can )?(see|find|spot|detect)",
    "(as )?(seen|viewed) from above",
    r"of (them )?all|of them|(is|are)( (located|situated|found|where))?|there (is|are)",
    r"(?<!that\s)(?<!which\s)(lies?|sits?|stands?)",
    r"(?<!to\s)(?<!from\s)(?<!near\s)here",
)
TAIL = re.compile(rf"(?:[\s,.!?]*\b(?:{_AFTER})\b)*[\s.?!,]*$", _FLAGS)
"""What follows the thing."""

_TORN = re.compile(r"\b(?:that|which|where|who|whose)(?:$|\s.*$)", _FLAGS)
"""A clause whose verb may have been taken for a tail: "the pier where the boats" of "... are"."""
_VERB_LAST = re.compile(r"\b(?:is|are)\b[\s.?!,]*$", _FLAGS)

MAX_LETTERS, MAX_WORDS = 640, 64
"""Of a sentence that is read; longer ones are no phrase, and cost time."""


def unframed(text: str) -> str:
    """Take off "please find ...", "... in this image", "?".

    Args:
        text: a sentence in words that are one blank apart; one that is too long to be read stays as it is.
    """
    if len(text) > MAX_LETTERS or text.count(" ") >= MAX_WORDS:
        return text
    before = None
    while before != text:
        before, text = text, FRAME.sub("", text, count=1)
    bare = TAIL.sub("", text)
    is_torn = _TORN.search(bare) and (_VERB_LAST.search(text) or re.search(r"\b(?:that|which|where|who|whose)$", bare))
    return text.rstrip(" .?!,") if is_torn else bare


def bare(sentence: str) -> str:
    """A sentence without its frame; the sentence itself where it has none, or is nothing else.

    Args:
        sentence: English.
    """
    words = " ".join(sentence.split())
    thing = unframed(words).strip(" ,")
    names_something = DETERMINER.sub("", f"{thing} ").strip()
    return thing if thing != words and names_something else sentence
