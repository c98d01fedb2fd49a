"""Rules for sizes and for distances and directions from other objects, in the signs of `signs`."""

from __future__ import annotations

import re

from rs2sam.language.signs import (
    ALL,
    AT_END,
    IMAGE_SIGN,
    KIN,
    NONE,
    OF_IMAGE,
    ONE,
    OPPOSITE,
    VERB,
    C,
    E,
    Rule,
    Signs,
    compiled,
)
from rs2sam.language.whereabouts import FILLER, RANK, noun_among, ordinal_in
from rs2sam.language.words import ORDINAL

_LARGE = (
    r"generous|ample|voluminous|substantial|imposing|massive|considerable|enormous|gigantic|colossal|immense|vast|capacious|roomy|sprawling"
    r"|bulky|hefty|monumental|sizeable|sizable|extensive|expansive|spacious|big|large|huge|titanic|mighty|weighty|commodious|extended"
)
_SMALL = (
    r"diminutive|compact|undersized|minuscule|miniscule|minute|petite|modest|miniature|meagre|meager|tiny|little|small|scanty|restricted"
    r"|modestly[- ]sized|cramped|pint-sized|dwarfish|microscopic|slight|reduced|limited|puny"
)
_LONG = r"elongated|drawn[- ]out|stretched(?:[- ]out)?|lengthy|extended in length"
_SHORT = r"abbreviated|stubby|truncated|curtailed|stunted"
SUPERLATIVE = r"(?:largest|smallest|longest|shortest)"
_SIZE = r"(?:(?:sheer|overall|total|visible|surface|ground|physical|outline|plan|covered|apparent) )*(?:size|area|extent|footprint|bulk|dimensions?|surface|coverage|expanse|proportions|magnitude|mass|volume|acreage|outline|spread|ground (?:plan|cover)|bigness|largeness|smallness|floor area|square footage|scale|stature|girth)s?"
_LENGTH = r"(?:(?:overall|total) )?(?:length|reach|end-to-end (?:length|extent|distance)|longitudinal extent|linear extent|run)"
_IN_SIZE = rf"(?: (?:in|by|for|as regards|regarding|with respect to|with regard to|in terms of|as to|in point of|in respect of|when it comes to|judged by|going by|on) (?:(?:its|their|the|of) )*{_SIZE})"
_GROUND = r"(?:(?:amount|share|number|expanse|stretch|patch|area|piece|part) of )?(?:the )?(?:ground|room|space|area|land|surface|pixels?|terrain|territory|floor space|surface area|ground area|image area)(?: of \ue0ff)?"
_TAKES = (
    r"(?:tak(?:es?|ing)(?: up)?|cover(?:s|ing)?|claim(?:s|ing)?|occup(?:y|ies|ying)|fill(?:s|ing)?(?: up)?|account(?:s|ing)? for|us(?:es?|ing)(?: up)?|hog(?:s|ging)?"
    r"|swallow(?:s|ing)?(?: up)?|enclos(?:es?|ing)|consum(?:es?|ing)|spread(?:s|ing)? (?:over|across)|extend(?:s|ing)? over|command(?:s|ing)?|need(?:s|ing)?|spann?(?:s|ing)?|encompass(?:es|ing)?|possess(?:es|ing)?|has|have|having|with|boast(?:s|ing)?|show(?:s|ing)?|present(?:s|ing)?)"
)
_OUTDO = r"(?:outstrip|exceed|surpass|dwarf|outsize|outdo|eclipse|overshadow|outclass|outgrow|outweigh|outmatch|overtop|outrank|top|beat|outshine|trump|best|excel)(?:e?s|p?ping|ing)?|outdoes|outdoing|outsizing|eclipsing"
_OUTDONE = r"(?:exceeded|surpassed|outdone|outstripped|eclipsed|beaten|topped|overshadowed|dwarfed|outsized|bettered|outclassed|bested)"
_UNDERCUT = r"(?:undercut(?:s|ting)?|(?:is|are) (?:smaller|less)(?: still)?(?: than)?)"
_UNMATCHED = r"(?:unmatched|unrivall?ed|unequall?ed|unsurpassed|unexceeded|unparalleled|second to none|not (?:matched|rivall?ed|equall?ed|surpassed|exceeded))"

SIZE_WORDS: tuple[Rule, ...] = (
    ("most", rf"\bmost (?:{_LONG})\b", "longest"),
    ("most", rf"\bmost (?:{_SHORT})\b", "shortest"),
    ("least", r"\bleast (?:long|elongated|lengthy|drawn[- ]out)\b", "shortest"),
    ("most", rf"\bmost (?:{_LARGE})\b(?!-)", "largest"),
    ("most", rf"\bmost (?:{_SMALL})\b", "smallest"),
    ("least", rf"\bleast (?:{_LARGE})\b", "smallest"),
    ("least", rf"\bleast (?:{_SMALL})\b", "largest"),
    (
        "est",
        r"\b(?:biggest|greatest|hugest|bulkiest|heftiest|vastest|roomiest|amplest|grandest|chunkiest|beefiest|fattest|massivest|mightiest|meatiest)\b",
        "largest",
    ),
    (
        "est",
        r"\b(?:tiniest|littlest|minutest|teeniest|puniest|dinkiest|weeniest|skimpiest|scantiest|meagrest|teensiest|titchiest|slightest|smallest-sized)\b",
        "smallest",
    ),
    ("right", r"\bright (?=(?:behind|after|below|above|under) the (?:largest|smallest|longest|shortest))", "just "),
    ("lengthiest", r"\blengthiest\b", "longest"),
    ("stub|stump|curt", r"\b(?:stubbiest|stumpiest|curtest)\b", "shortest"),
    ("min|max|size", r"^(?:the )?max(?:imum|imal)?[- ]size(?:d)? ", "the largest "),
    ("min|max|size", r"^(?:the )?min(?:imum|imal)?[- ]size(?:d)? ", "the smallest "),
    (
        "giant|titan|colossus|monster|whale|behemoth|leviathan|goliath|heavyweight|jumbo",
        r"\b(?:giant|titan|colossus|monster|whale|behemoth|leviathan|goliath|heavyweight|jumbo) (?:among(?:st)?|of|out of) (?=(?:all |the |these |those ))",
        "largest of ",
    ),
    (
        "dwarf|midget|baby|minnow|runt|shrimp|pygmy|tiddler|featherweight",
        r"\b(?:dwarf|midget|baby|minnow|runt|shrimp|pygmy|tiddler|featherweight) (?:among(?:st)?|of|out of) (?=(?:all |the |these |those ))",
        "smallest of ",
    ),
    (
        "runner",
        rf"\b(?:the )?runner-?(?: )?up{_IN_SIZE}? (?:among(?:st)?|of|out of) (?=(?:all |the |these |those ))",
        "the second largest of ",
    ),
    ("next-to-|next to ", r"\bnext[- ]to[- ](largest|smallest|longest|shortest)(?= \w)", r"second \1"),
    ("next-to-|next to ", r"\bnext[- ]to[- ]least(?= )", "second smallest"),
    ("next-to-|next to ", r"\bnext[- ]to[- ]most(?= )", "second largest"),
    (
        "second-to-|second to the|second from",
        r"\b(?:that is |which is )?second[- ](?:to|from) the (largest|smallest)\b",
        r"that is the second \1",
    ),
    (
        "lesser|more sub|greater|ampler|bulkier|tinier|vaster|grander|more ",
        rf"\b(?:more (?:{_LARGE})|greater|ampler|bulkier|vaster|grander|roomier|heftier)(?= (?:of|in|than|one|\w+ of)\b)",
        "larger",
    ),
    (
        "lesser|less|tinier|punier|slighter|more ",
        rf"\b(?:more (?:{_SMALL})|less (?:{_LARGE})|lesser|tinier|punier|slighter|littler)(?= (?:of|in|than|one|\w+ of)\b)",
        "smaller",
    ),
    (
        "top|number|no|#",
        rf"^(?:the )?(?:top|number one|no\.? 1|#1|chief|leading) ((?!{SUPERLATIVE})[\w-]+(?: [\w-]+)?)(?<!s){_IN_SIZE}$",
        r"the largest \1",
    ),
    (
        "by|in|for",
        rf"^(the (?:(?:two|three|four|five) )?(?:second )?{SUPERLATIVE}){_IN_SIZE} (?:of|among) (?:all )?(?:the|these|those) ",
        r"\1 of the ",
    ),
    (
        "ranking|list|league|table|order",
        r"\bat the (?:top|head) of the (size|area) (?:ranking|list|league|table|order)\b",
        r"ranked first by \1",
    ),
    (
        "ranking|list|league|table|order",
        r"\bat the (?:bottom|foot|end) of the (size|area) (?:ranking|list|league|table|order)\b",
        r"ranked last by \1",
    ),
    ("than", rf"\b(?:in|for|as regards) (?:its )?size (?=than)", ""),
)
"""Before anything is put in signs."""


def _by_superlative(
    pattern: str,
    *,
    triggers: str = "most|least|largest|smallest|max|min|fewest|highest|lowest|broadest|widest|top|narrowest|tightest",
) -> tuple[Rule, ...]:
    """Rules of one pattern whose `MORE` says the most and the least."""
    most = r"(?:(?P<n>second|third|fourth|fifth)[- ])?(?:most|largest|max(?:imum|imal)?|highest|widest|utmost|top|broadest|highest)"
    least = r"(?:(?P<n>second|third|fourth|fifth)[- ])?(?:least|smallest|fewest|min(?:imum|imal)?|lowest|narrowest|tightest)"
    return (
        (triggers, pattern.replace("MORE", most), r" that is the \g<n> largest"),
        (triggers, pattern.replace("MORE", least), r" that is the \g<n> smallest"),
    )


_SAVE_ONE = rf"(?:,? (?:save|but|bar|except|excepting|apart from|aside from)(?: for)?(?: (?:just|only))? (?:one|a single one|{ONE})(?: other)?)"
_CLAUSE = r",? (?:(?:that|which) )?(?:(?:is|are|has been|would be|comes out|turns out|ranks?|comes?) )?"

_DONE = rf"(?=$|[,.;?!]| (?:that|which|on|at|near|with|within|and|is)\b| in (?:the )?(?:{C}|{IMAGE_SIGN}))"

SIZE_RULES: tuple[Rule, ...] = (
    # "smaller than all the rest save one", "bigger than its peers in extent"
    *(
        rule
        for more, best in (
            ("larger|bigger|greater", "largest"),
            ("smaller|less|lesser", "smallest"),
            ("longer", "longest"),
            ("shorter", "shortest"),
        )
        for rule in (
            (ALL, rf"{_CLAUSE}(?:{more}){_IN_SIZE}? than {ALL}{_IN_SIZE}?{_SAVE_ONE}", f" that is the second {best}"),
            (ALL, rf"{_CLAUSE}(?:{more}){_IN_SIZE}? than {ALL}{_IN_SIZE}?(?! of\b)", f" that is the {best}"),
            (
                NONE,
                rf",? (?:than which|and|that) {NONE} (?:is|are|comes|can be) (?:{more}){_IN_SIZE}?(?: than it)?{AT_END}",
                f" that is the {best}",
            ),
        )
    ),
    (
        ALL,
        rf"{_CLAUSE}{_TAKES} (?:more|a (?:greater|larger|bigger)|greater) (?:{_GROUND}|{_SIZE}) than {ALL}(?:['’]s?)?",
        " that is the largest",
    ),
    (
        ALL,
        rf"{_CLAUSE}{_TAKES} (?:less|fewer|a smaller|smaller) (?:{_GROUND}|{_SIZE}) than {ALL}(?:['’]s?)?",
        " that is the smallest",
    ),
    (ALL, rf" whose (?:{_SIZE}) {_TAKES} more (?:{_GROUND}) than {ALL}(?:['’]s?)?", " that is the largest"),
    (ALL, rf" whose (?:{_SIZE}) {_TAKES} (?:less|fewer) (?:{_GROUND}) than {ALL}(?:['’]s?)?", " that is the smallest"),
    (ALL, rf" whose (?:{_SIZE}) (?:{_OUTDO}) (?:that of )?{ALL}(?:['’]s?)?", " that is the largest"),
    # "that outstrips all its fellows in size", "which all the rest exceed in area"
    (
        ALL,
        rf"{_CLAUSE}(?:{_OUTDO}) {ALL}(?: there)?(?: put together)?{_IN_SIZE}?{_SAVE_ONE}",
        " that is the second largest",
    ),
    (ALL, rf"{_CLAUSE}(?:{_OUTDO}) {ALL}(?: there)?{_IN_SIZE}?{_DONE}", " that is the largest"),
    ("its ", rf",? that (?:{_OUTDO}) its {KIN}(?: there)?{_IN_SIZE}{_DONE}", " that is the largest"),
    (ALL, rf",? (?:that|which) {ALL} (?:{_OUTDO}){_IN_SIZE}?{_DONE}", " that is the smallest"),
    (ALL, rf",? to which {ALL} (?:is|are) superior{_IN_SIZE}?{_DONE}", " that is the smallest"),
    (ALL, rf",? to which {ALL} (?:is|are) inferior{_IN_SIZE}?{_DONE}", " that is the largest"),
    (
        NONE,
        rf",? (?:that|which)? ?{NONE} (?:can )?(?:{_OUTDO}|match(?:es)?|equals?|rivals?){_IN_SIZE}?{_DONE}",
        " that is the largest",
    ),
    (NONE, rf",? (?:that|which)? ?{NONE} {_UNDERCUT}{_IN_SIZE}?{_DONE}", " that is the smallest"),
    (
        NONE,
        rf",? (?:to|with) which {NONE} (?:comes? (?:close|near)|compares?|can (?:compare|compete)){_IN_SIZE}?{_DONE}",
        " that is the largest",
    ),
    (NONE, rf"{_CLAUSE}(?:{_OUTDONE}|{_UNMATCHED}){_IN_SIZE}? by {NONE}{_IN_SIZE}?{_DONE}", " that is the largest"),
    (
        "un|second to none|not ",
        rf",? (?:with|of|having|that has) an? {_SIZE}(?: that is)? {_UNMATCHED}(?: by (?:{ALL}|(?:its|any of its) {KIN}))?",
        " that is the largest",
    ),
    ("un|second to none|not ", rf"{_CLAUSE}{_UNMATCHED}{_IN_SIZE}(?: by (?:{ALL}|its {KIN}))?", " that is the largest"),
    (ONE, rf"{_CLAUSE}{_OUTDONE}{_IN_SIZE}? by {ONE}{_IN_SIZE}?{_DONE}", " that is the second largest"),
    (ONE, rf"{_CLAUSE}(?:undercut){_IN_SIZE}? by {ONE}{_IN_SIZE}?{_DONE}", " that is the second smallest"),
    (ONE, rf",? (?:that|which) {ONE} (?:{_OUTDO}){_IN_SIZE}?{_DONE}", " that is the second largest"),
    (ONE, rf",? (?:that|which) {ONE} {_UNDERCUT}{_IN_SIZE}?{_DONE}", " that is the second smallest"),
    (
        ONE,
        rf",? (?:that )?(?:yields?|yielding|second|giving way|gives way){_IN_SIZE}? (?:only )?to {ONE}{_IN_SIZE}?{_DONE}",
        " that is the second largest",
    ),
    (ONE, rf",? (?:than which|with) {ONE} (?:is |that is )?(?:larger|bigger)", " that is the second largest"),
    (ONE, rf",? (?:than which|with) {ONE} (?:is |that is )?smaller", " that is the second smallest"),
    (
        ONE,
        rf"{_CLAUSE}(?:the )?({SUPERLATIVE}),? (?:were it not|but|if not|if it were not|if it weren['’]t|except|save)(?: for)? {ONE}",
        r" that is the second \1",
    ),
    (
        "than all",
        rf"{_CLAUSE}(?:larger|bigger|greater){_IN_SIZE}? than all (?:but|save|bar|except)(?: for)? (?:one|a single one|{ONE}){_IN_SIZE}?{_DONE}",
        " that is the second largest",
    ),
    (
        "than all",
        rf"{_CLAUSE}(?:smaller|less){_IN_SIZE}? than all (?:but|save|bar|except)(?: for)? (?:one|a single one|{ONE}){_IN_SIZE}?{_DONE}",
        " that is the second smallest",
    ),
    (
        "only",
        rf"{_CLAUSE}(?:smaller only than|{_OUTDONE}{_IN_SIZE}? only by|only {_OUTDONE}{_IN_SIZE}? by|second only to) the largest(?: ones?| of (?:them )?all)?{_IN_SIZE}?{_DONE}",
        " that is the second largest",
    ),
    (
        "only",
        rf"{_CLAUSE}(?:larger|bigger) only than the smallest(?: ones?| of (?:them )?all)?{_DONE}",
        " that is the second smallest",
    ),
    (
        "than the",
        rf"{_CLAUSE}(?:just|only just|only|one size|a size|next|slightly) (?:larger|bigger|greater) than the smallest(?: ones?| of (?:them )?all)?{_DONE}",
        " that is the second smallest",
    ),
    (
        "than the",
        rf"{_CLAUSE}(?:just|only just|only|one size|a size|next|slightly) (?:smaller|less) than the largest(?: ones?| of (?:them )?all)?{_DONE}",
        " that is the second largest",
    ),
    (
        "only the",
        rf",? (?:that|which) only the largest(?: one)? (?:{_OUTDO}){_IN_SIZE}?{_DONE}",
        " that is the second largest",
    ),
    (
        "only the",
        rf",? (?:that|which) only the smallest(?: one)? {_UNDERCUT}{_IN_SIZE}?{_DONE}",
        " that is the second smallest",
    ),
    (
        "end to end|tip to tip|stem to stern|end to the other",
        rf",? (?:(?:that|which) (?:has|shows) |with |having |of )(?:the )?(?:largest|longest|most|max(?:imum|imal)?) [\w-]+ (?:from )?(?:end to end|tip to tip|stem to stern|one end to the other)",
        " that is the longest",
    ),
    (
        "end to end|tip to tip|stem to stern|end to the other",
        rf",? (?:(?:that|which) (?:has|shows) |with |having |of )(?:the )?(?:smallest|shortest|least|min(?:imum|imal)?) [\w-]+ (?:from )?(?:end to end|tip to tip|stem to stern|one end to the other)",
        " that is the shortest",
    ),
    # "just behind the largest", "one step up from the tiniest", "the next largest after the biggest one"
    (
        "next|after|behind|following|below|above",
        rf"\bnext[- ]({SUPERLATIVE})(?: (\w+(?: \w+)?))?,? (?:(?:just|right|immediately) )?(?:after|behind|following|below|to) (?:the )?(?:{SUPERLATIVE}|first|top|very)(?: ones?| \w+)?",
        r"second \1 \2",
    ),
    ("next", rf"\bnext[- ]({SUPERLATIVE})(?= \w)", r"second \1"),
    (
        "behind|after|below|following|above|up|down|removed|short|to the",
        rf",?(?: {VERB}| that is| which is)? (?:(?:just|right|immediately|directly|straight|next|one(?: (?:step|place|notch|rung|position|size))?|a (?:step|notch|place))(?: (?:up|down|above|below|removed|away|next|in line))*)"
        rf"{_IN_SIZE}? (?:behind|after|below|following|from|above|over|to|than|under) the ({SUPERLATIVE})(?: ones?| of (?:them )?all)?{_IN_SIZE}?{AT_END}",
        r" that is the second \1",
    ),
    (
        "second only|second to",
        rf"{_CLAUSE}second (?:only )?to the ({SUPERLATIVE})(?: ones?)?{_IN_SIZE}?",
        r" that is the second \1",
    ),
    # "having the largest surface area", "of greatest bulk", "that accounts for the fewest pixels"
    *_by_superlative(
        rf",? (?:(?:that|which) )?(?:{_TAKES}|of|at|in possession of|characteri[sz]ed by) (?:the )?MORE (?:{_SIZE}|{_GROUND})(?: of (?:all|any|them all|the lot|{ALL}))?{AT_END}"
    ),
    *_by_superlative(rf",? whose {_SIZE} is (?:the )?MORE(?: of (?:all|them all))?{AT_END}"),
    *_by_superlative(rf",? (?:that|which) measures (?:the )?MORE{_IN_SIZE}{AT_END}"),
    *_by_superlative(rf",? (?:(?:that|which) (?:is|are) )?(?:the )?MORE{_IN_SIZE}{AT_END}"),
    ("est", rf"\b({SUPERLATIVE})((?: [\w-]+){{0,3}}?){_IN_SIZE}{_DONE}", r"\1\2"),
    ("has|with", r",? (?:that (?:has|shows)|with|having) (?:the )?(largest|smallest)$", r" that is the \1"),
    ("largest|smallest", rf"\b(largest|smallest)(?:[- ](?:in size|sized))(?= \w)", r"\1"),
    # lengths
    (
        "length|reach|run",
        rf",? (?:with|of|having|that has|has|that boasts) (?:the )?(?:largest|longest|most|max(?:imum|imal)?|highest) {_LENGTH}{AT_END}",
        " that is the longest",
    ),
    (
        "length|reach|run",
        rf",? (?:with|of|having|that has|has) (?:the )?(?:smallest|shortest|least|min(?:imum|imal)?|lowest) {_LENGTH}{AT_END}",
        " that is the shortest",
    ),
    ("length", r",? max(?:imum|imal)?(?: in)? length$", " that is the longest"),
    ("length", r",? min(?:imum|imal)?(?: in)? length$", " that is the shortest"),
    (
        "most|longest|largest|furthest|farthest",
        r",? (?:(?:that|which) )?(?:measur(?:es|ing)|extend(?:s|ing)|stretch(?:es|ing)|span(?:s|ning)|run(?:s|ning)|cover(?:s|ing)|reach(?:es|ing))(?: out)?(?: (?:for|over|across))? (?:the )?(?:most|longest|largest|furthest|farthest)(?: (?:distance|stretch|way))?(?: (?:from )?(?:end to end|one end to the other|tip to tip|stem to stern|end to the other))?"
        + AT_END,
        " that is the longest",
    ),
    (
        "least|shortest|smallest",
        r",? (?:(?:that|which) )?(?:measur(?:es|ing)|extend(?:s|ing)|stretch(?:es|ing)|span(?:s|ning)|run(?:s|ning)|cover(?:s|ing)|reach(?:es|ing))(?: out)?(?: (?:for|over|across))? (?:the )?(?:least|shortest|smallest)(?: (?:distance|stretch|way))?(?: (?:from )?(?:end to end|one end to the other|tip to tip|stem to stern|end to the other))?"
        + AT_END,
        " that is the shortest",
    ),
    (
        ALL,
        rf",? (?:that|which) (?:stretches|extends|reaches|runs|goes on)(?: out)? (?:further|farther|longer) than {ALL}",
        " that is the longest",
    ),
    (ALL, rf",? (?:that|which) is not (?:as|so) long as {ALL}", " that is the shortest"),
    (ALL, rf",? (?:that|which) is not (?:as|so) (?:large|big) as {ALL}", " that is the smallest"),
    (
        ALL,
        rf",? whose length {ALL} (?:cannot|can not|do not|don['’]t|fail to) (?:equal|match|reach|rival)",
        " that is the longest",
    ),
    ("length", rf",? whose length (?:{_OUTDO}) (?:that of )?{ALL}(?:['’]s?)?", " that is the longest"),
    ("longest|shortest", rf"(longest|shortest) (?:from )?(?:end to end|tip to tip|stem to stern)", r"\1"),
)
"""In signs; the canonical wordings are "largest", "that is the (second) largest"."""

_ORDER = (
    rf"(?:\b(?:in|by|for|of|on|according to) (?P<down>(?:de(?:scending|creasing)|falling) )?(?P<up>(?:a(?:scending)|increasing|rising) )?(?:order of )?(?:their |its |the )?(?P<attr>{_SIZE}|length)(?: order| ranking)?"
    r"|\bin terms of (?:their |its |the )?(?P<attr2>size|area|extent|footprint|length|bulk|dimensions|coverage|surface)"
    r"|\bfrom (?:the )?(?P<first>large|largest|big|biggest|small|smallest|tiny|great) to (?:the )?(?:small|smallest|large|largest|big|biggest|tiny|least|great|tiniest)"
    r"|\b(?:largest|biggest) to smallest|\b(?:size|area)[- ](?:order|ranking|list|league|table)\b|\b(?:size|area)(?=,? rank \d))"
)
_HEADS = r"\b(?:head(?:s|ing)?|top(?:s|ping)?|lead(?:s|ing)?) (?=the (?:list|rank|table|order|size|field|league))"
_SIZE_FILLER = FILLER | frozenset(
    "list ranking rank ranked table league ordered sorted arranged they them takes take taking holds holding occupies place are come goes listed both all these those measured field".split()
)


def ranked_by_size(signs: Signs) -> None:
    """Read "the tank that comes last when they are ordered from large to small" as "the first smallest tank".

    Args:
        signs: a sentence; changed in place.
    """
    told = compiled(_HEADS).sub("first ", signs.text)
    orders = list(compiled(_ORDER).finditer(told))
    if len(orders) != 1:
        return
    order = orders[0]
    text = f"{told[: order.start()]} {told[order.end() :]}"
    text = re.sub(r"\brunner-?(?: )?up\b", "second", text)
    ranks = list(compiled(RANK).finditer(text))
    if len(ranks) != 1:
        return
    noun = noun_among(text[: ranks[0].start()] + " " + text[ranks[0].end() :], _SIZE_FILLER)
    if noun is None or re.search(SUPERLATIVE, noun):
        return
    ordinal, is_backward = ordinal_in(ranks[0])
    is_upward = bool(order["up"]) or (order["first"] or "").lower() in ("small", "smallest", "tiny")
    least = is_backward != is_upward
    is_length = "length" in (order["attr"] or order["attr2"] or "")
    best = ("shortest" if least else "longest") if is_length else ("smallest" if least else "largest")
    noun = f"two {noun}" if re.match(r"both\b", text) else noun
    several = re.match(r"(?:the )?(?:two|three|four|five) ", noun)
    signs.text = f"the {noun} that are the {best}" if several and ordinal == "first" else f"the {ordinal} {best} {noun}"


_Y = r"((?:(?:the|that|this|a|an|its) )[^,.;?!\0]{2,45}?)"
_NEAREST, _FARTHEST = r" nearest to \1", r" farthest from \1"
_IS = rf",?(?: {VERB}| that is| which is| that has| which has| that| which)?"

RELATION_RULES: tuple[Rule, ...] = (
    # nearest and farthest
    (
        "separat|apart",
        rf"{_IS} (?:separated|apart|removed|parted) from {_Y} by the (?:shortest|smallest|least|narrowest)(?: (?:distance|gap|space|stretch))?{AT_END}",
        _NEAREST,
    ),
    (
        "separat|apart",
        rf"{_IS} (?:separated|apart|removed|parted) from {_Y} by the (?:longest|largest|greatest|widest|most)(?: (?:distance|gap|space|stretch))?{AT_END}",
        _FARTHEST,
    ),
    (
        "neighbo",
        rf",? (?:that is |which is )?(?:(second) )?(?:the )?{_Y}['’]s? (?:nearest|closest|immediate) neighbou?r$",
        r" nearest to \2",
    ),
    ("neighbo", rf",? (?:that is |which is )?(?:the )?(?:nearest|closest) neighbou?r (?:of|to) ", " nearest to "),
    (
        "between",
        rf",? (?:with|that has|which has|having|has) the (?:least|smallest|shortest|narrowest) (?:ground|distance|gap|space|room|stretch|separation)(?: of ground)? between (?:itself|it|them)(?: and| to)? {_Y}{AT_END}",
        _NEAREST,
    ),
    (
        "between",
        rf",? (?:with|that has|which has|having|has) the (?:most|largest|longest|widest|furthest) (?:ground|distance|gap|space|room|stretch|separation)(?: of ground)? between (?:itself|it|them)(?: and| to)? {_Y}{AT_END}",
        _FARTHEST,
    ),
    (
        "which",
        rf",? to which {_Y} (?:is|lies|sits|stands) (?:nearer|closer|nearest|closest)(?: than to {ALL}| of all)?{AT_END}",
        _NEAREST,
    ),
    (
        "first",
        rf"^(?:the )?first (\w+(?: \w+){{0,2}}?) (?:that |which )?(?:one|you|we|i) (?:would |will |might |could )?(?:reach|meet|hit|come to|come upon|encounter|arrive at|get to|find)(?: (?:when|if|on|by|in))?(?: (?:setting out|starting|going|coming|leaving|walking|moving|travell?ing|proceeding|one|you|set out|started|heading))* ?(?:out )?(?:from )?{_Y}$",
        r"the \1 nearest to \2",
    ),
    ("imally", rf"{_IS} minimally (?:distant|far|remote|removed) (?:away )?from ", " nearest to "),
    ("imally", rf"{_IS} maximally (?:distant|far|remote|removed) (?:away )?from ", " farthest from "),
    (
        "proximity|vicinity|closeness|nearness",
        rf"{_IS} (?:in|at|with) (?:the )?(?:closest|nearest|greatest|largest|most immediate) (?:proximity|vicinity|closeness|nearness) (?:to|of) ",
        " nearest to ",
    ),
    (ALL, rf"{_IS} (?:nearer|closer)(?: to)? {_Y} than {ALL}", _NEAREST),
    (ALL, rf"{_IS} (?:further|farther|more distant|more remote)(?: away| off| out)? from {_Y} than {ALL}", _FARTHEST),
    (NONE, rf",? than which {NONE} (?:is|lies|sits|stands|comes) (?:nearer|closer)(?: to)? {_Y}{AT_END}", _NEAREST),
    (
        NONE,
        rf",? than which {NONE} (?:is|lies|sits|stands) (?:more (?:remote|distant)|further|farther)(?: away| off)? from {_Y}{AT_END}",
        _FARTHEST,
    ),
    (
        "remote|distant|far|removed|close",
        rf"{_IS} (?:the )?(?:least|smallest) (?:remote|distant|far|removed|distance)(?: away| off)? (?:from|to) ",
        " nearest to ",
    ),
    (
        "distance|gap|remove|separation|minim|maxim|shortest",
        rf"{_IS} (?:at|with|lying at|having) (?:the |a )?(?:least|smallest|shortest|min(?:imum|imal)?|narrowest|closest) (?:distance|gap|remove|separation|range|interval|path|way|route)(?: (?:away|off))? (?:from|to) ",
        " nearest to ",
    ),
    (
        "distance|gap|remove|separation|minim|maxim|longest",
        rf"{_IS} (?:(?:at|with|lying at|having) )?(?:the |a )?(?:most|largest|longest|max(?:imum|imal)?|widest|furthest|farthest) (?:distance|gap|remove|separation|range|interval|path|way|route)(?: (?:away|off|apart|out))? (?:from|to) ",
        " farthest from ",
    ),
    (
        "farthest|furthest|remote|distant|removed",
        rf"{_IS} (?:the )?(?:(second) )?(?:furthest|farthest|most (?:remote|distant|removed|far))(?: (?:away|off|out|apart|distant|removed))? (?:from|to) (?!(?:the )?(?:{IMAGE_SIGN}|{C}(?!(?:most)? \w+))[^\w]?)",
        r" \1 farthest from ",
    ),
    (
        ONE,
        rf",? (?:that|which) {ONE} (?:beats?|betters?|surpass(?:es)?|exceeds?|outdoes) in (?:nearness|closeness|proximity) to ",
        " second nearest to ",
    ),
    (
        "nearest|closest",
        rf"\b(?:second|next)[- ](?:nearest|closest) (?:of|among) the (\w+(?: \w+)?) to ",
        r"second nearest \1 to ",
    ),
    (
        "nearest|closest",
        rf"\bnext[- ](?:nearest|closest) (\w+(?: \w+)?) to {_Y},? (?:after|behind|following) the (?:nearest|closest|first)(?: one)?$",
        r"second nearest \1 to \2",
    ),
    ("nearest|closest", rf"\b(nearest|closest) of (?:all )?(?:the )?(\w+(?: \w+)?) to (?=the |a )", r"\1 \2 to "),
    (
        "nearest|closest|near",
        rf",? {VERB} (?:the )?(?:(second) )?(?:nearest|closest)(?: (?:of all|by))? (?:to )?(?=(?:the|that|this|a|an) (?!{C}|{IMAGE_SIGN}))",
        r" \1 nearest to ",
    ),
    (
        "nearest|closest|farthest|furthest",
        r"^(the [\w\ue040-\ue09f -]+?)['’]s (?:(second|third) )?(?:nearest|closest) (?!neighbo)([\w-]+(?: [\w-]+)?)$",
        r"the \2 \3 nearest to \1",
    ),
    (
        "nearest|closest|farthest|furthest",
        r"^(the [\w\ue040-\ue09f -]+?)['’]s (?:(second|third) )?(?:farthest|furthest|most distant) ([\w-]+(?: [\w-]+)?)$",
        r"the \2 \3 farthest from \1",
    ),
    # directions
    ("whose", rf",? whose ({C})(?:[- ](?:hand|side))* neighbou?r is {_Y}{AT_END}", rf" to the {OPPOSITE}\1 of \2"),
    (
        "the",
        rf",? (?:with|that has|which has|having|has) (the [^,.;?!\0]{{2,40}}?)(?: {VERB})? (?:to|on|at|towards?) (?:its|the|their) ({C})(?:[- ](?:hand|side|flank|hand side))*(?: of it)?{AT_END}",
        rf" to the {OPPOSITE}\2 of \1",
    ),
    (
        "beneath|below|under",
        rf",? (?:with|that has|which has|having|has) (the [^,.;?!\0]{{2,40}}?)(?: {VERB})? (?:directly |immediately |just )?(?:beneath|below|underneath|under) it(?:self)?{AT_END}",
        r" above \1",
    ),
    (
        "above|over",
        rf",? (?:with|that has|which has|having|has) (the [^,.;?!\0]{{2,40}}?)(?: {VERB})? (?:directly |immediately |just )?(?:above|over) it(?:self)?{AT_END}",
        r" below \1",
    ),
    (
        "which",
        rf",? (?:for|to|of) which (the [^,.;?!\0]{{2,40}}?) (?:is|forms|makes) the (?:(?:neighbou?r|one|next thing|landmark|object) (?:to|on) the ({C})|({C})(?:[- ]hand)? (?:neighbou?r|one)){AT_END}",
        rf" to the {OPPOSITE}\2{OPPOSITE}\3 of \1",
    ),
    (
        "which",
        rf",? (?:to|on|at) (?:the ({C})(?: side)? of which|whose ({C})(?: side)?) (?:is|lies|stands|sits|one finds|you find) {_Y}{AT_END}",
        rf" to the {OPPOSITE}\1{OPPOSITE}\2 of \3",
    ),
    (
        "",
        rf",? (?:that |which )?(the [^,.;?!\0]{{2,40}}?) (?:lies|is|sits|stands) (?:to the )?({C})(?:wards?)? of(?: it)?$",
        rf" to the {OPPOSITE}\2 of \1",
    ),
    (
        "higher|lower|further|farther",
        rf"{_IS} (?:higher|further up|farther up)(?: up)?(?: (?:in|on|within))?(?: {IMAGE_SIGN})? than (?={_Y})",
        " above ",
    ),
    (
        "higher|lower|further|farther",
        rf"{_IS} (?:lower|further down|farther down)(?: down)?(?: (?:in|on|within))?(?: {IMAGE_SIGN})? than (?={_Y})",
        " below ",
    ),
    ("than", rf"{_IS} (?:(?:further|farther|more) )?(?:to the )?({C}) than (?!{ALL})(?={_Y})", r" to the \1 of "),
    (
        "",
        rf"(?<=[\w\ue080-\ue09f])(?<!^the)(?<!^a),?(?: {VERB}| that is| which is| that are)? (?:(?:just|due|directly|immediately|right|straight|well|slightly|somewhat|over|off|out|round|across|away|down|up) )*"
        rf"(?:(?:to|on|at|off|towards?) )?(?:the |its )?({C})(?:[- ](?:hand|side|flank|edge|face|direction))*(?:wards?)? (?:of|from|relative to|with respect to|compared (?:to|with)) "
        rf"(?=(?:the|that|this|a|an) (?!{IMAGE_SIGN}|{C}[- ](?:half|side|part|edge))[\w\ue040-\ue09f])",
        r" to the \1 of ",
    ),
    ("above|over", rf",? {VERB} (?:directly |immediately |just )?above (?=(?:the|a|an) )(?!the ground)", " above "),
    (
        "below|beneath|under",
        rf",? {VERB} (?:directly |immediately |just )?(?:below|beneath) (?=(?:the|a|an) )",
        " below ",
    ),
)
"""In signs; the canonical wordings are "nearest to", "farthest from", "to the CELL of", "above", "below"."""

ANCHOR_RULES: tuple[Rule, ...] = (
    (
        "that is",
        rf"((?:nearest to|closest to|nearest|farthest from|{C} of|above|below) )the ([^,.;?!]{{2,40}}?) that is (?:the )?furthest (?:to )?(?:the )?({C})$",
        r"\1the most \3 \2",
    ),
    (
        "that is",
        rf"((?:nearest to|closest to|nearest|farthest from|{C} of|above|below) )the ([^,.;?!]{{2,40}}?) that is (?:the )?({SUPERLATIVE}|highest|lowest|{E})$",
        r"\1the \3 \2",
    ),
)
"""What is said of the other object goes before it."""
