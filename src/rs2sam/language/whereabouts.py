"""Rules for places in the picture and for ends of an order, in the signs of `signs`."""

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
    PARTS,
    MIDDLE,
    SIDE,
    SIDE_OF,
    VERB,
    C,
    E,
    Rule,
    Signs,
    compiled,
    opposite,
)
from rs2sam.language.claims import ORDINALS
from rs2sam.language.words import NUMBER, NUMBERS, ORDINAL, cell_of

_EDGES = r"(?:edge|margin|border|side|boundary|boundarie|rim|limit|frame ?line|line)s?"
_FURTHEST = (
    r"(?:furthest|farthest|closest|nearest|tightest|hardest|deepest|most (?:nearly|closely|far|tightly|removed|remote|distant|advanced"
    r"|displaced|shifted)|least (?:distant|remote|far|removed))"
)
_BETTER = r"(?:furthest|farthest|closest|nearest|most|least)"
_ADVERBS = r"(?:(?:up|down|over|out|off|away|back|along|across|round|in|on|towards?|to|at|from|into|against|by|near|touching|reaching|meeting|of|lying) )*"
_WAY = r"(?:(?:up|down|over|out|off|away|back|right|just|along|round|far(?= (?:up|down))|smack|bang|plumb|squarely|square|slap|somewhere|roughly|well|mostly|mainly|directly) )*"
_TO = r"(?:in|at|on|to|near|along|towards?|around|round|about|within|inside|into|onto|upon|by|across|through|throughout|over|down|up|amid|amidst|against)"
_ITS_SIDE = rf"(?:the |its |an? )?(?:very |extreme |exact |dead |absolute )?(?:{IMAGE_SIGN}(?:['’]s)? )?({C})(?:[- ]{PARTS}){{0,2}}{OF_IMAGE}"

PLACE_WORDS: tuple[Rule, ...] = (
    (
        "canvas|capture|footage|extract|window|snapshot|screen|display|crop|excerpt|clip|plate|panel|composition|panorama|print|frame|view|still",
        r"\b(in|of|on|within|across|from|inside|over|through|throughout|down|up|about|around|round|into|amid) (?:the|this|that|our|your)"
        r" (?:(?:whole|entire|full|aerial|satellite|current|given) )?(?:canvas|capture|footage|extract|window|snapshot|screen"
        r"|display|crop|excerpt|clip|plate|panel|composition|panorama|print|still|field of view)\b(?! of)(?=$|[ ,.?!])",
        r"\1 the image",
    ),
    (
        "image|picture|frame|photo|scene|view|canvas|shot|map",
        r"\b(?:the |this )?(?:image|picture|frame|photo|photograph|scene|view|shot|map|canvas)(?:['’]s)? (?=(?:exact |very |dead )?"
        r"(?:cent(?:er|re)|middle|midpoint|heart)\b)",
        "the ",
    ),
    (
        "foot|base|head|crown|heart|core|hub",
        r"\b(?:foot|base|bottom end) of (?=(?:the|this|that) (?:image|picture|photo|scene|frame|view|shot|map|tile))",
        "bottom of ",
    ),
    (
        "head|crown",
        r"\b(?:head|crown|ceiling) of (?=(?:the|this|that) (?:image|picture|photo|scene|frame|view|shot|map|tile))",
        "top of ",
    ),
    (
        "heart|core|hub|nucleus|midst",
        r"\b(?:heart|core|hub|nucleus|midst) of (?=(?:the|this|that) (?:image|picture|photo|scene|frame|view|shot|map|tile))",
        "centre of ",
    ),
    (
        "sunset|sunrise|setting|rising",
        r"\b(towards?|to|near|nearest|closest to) (?:the )?(?:sunset|setting sun)\b",
        r"\1 the west",
    ),
    ("foot|base", r"(?<=the )(?:foot|base)$", "bottom"),
    ("head|crown", r"(?<=the )(?:head|crown)$", "top"),
    ("heart|core|hub|nucleus|midst", r"(?<=the )(?:heart|core|hub|nucleus|midst)$", "centre"),
    ("sunrise|rising", r"\b(towards?|to|near|nearest|closest to) (?:the )?(?:sunrise|rising sun)\b", r"\1 the east"),
    (
        "point|midpoint|middle|cent|bull",
        r"\b(?:(?:exact|precise|very|dead|true|absolute|geometric(?:al)?|optical|actual|central) )*"
        r"(?:cent(?:er|re)[- ]?point|mid-?point|mid-point|middle point|central point|bull['’]?s[- ]?eye)\b",
        "centre",
    ),
    ("cent|middle", r"\b(?:exact|precise|true|geometric(?:al)?|optical|actual) (?=(?:cent(?:er|re)|middle)\b)", ""),
    ("dead", r"\b(to|at|in|near|nearest|closest) (the )?dead[- ](?=cent)", r"\1 the "),
    ("dead", r"\bdead[- ]cent(?:er|re|ral)(?= \w)", "most central"),
    ("dead", r"(?:that is |, ?)?(?<!the )\bdead[- ]cent(?:er|re|ral)$", "that is the most central"),
    ("central", r"\bmost centrally(?:[- ](?:located|placed|positioned|situated))?\b", "most central"),
    ("central|middle", r"\b(?:central|middle|cent(?:er|re))-?most\b", "most central"),
    ("hand", r"\b(left|right)[- ]hand[- ]?most\b", r"\1most"),
    (
        "from",
        rf"\bfrom (west|east|north|south) to (?=(?:west|east|north|south)\b)(?=.*\b(?:first|last|final|{ORDINAL})\b)",
        r"from the \1 to the ",
    ),
    (
        "from",
        rf"\b((?:first|last|final|{ORDINAL})\b.*?) (?:from )?(west|east|north|south)[- ]to[- ](?=(?:west|east|north|south)\b)",
        r"\1 from the \2 to the ",
    ),
    ("line", r"\b((?:vertical|horizontal|image) )(?:cent(?:er|re)|middle|half-?way|central)[- ]?line\b", r"\1midline"),
    (
        "line",
        r"\b(?:cent(?:er|re)|middle|half-?way|central)[- ]?line of (?=(?:the|this) (?:image|picture|photo|scene|frame|view))",
        "midline of ",
    ),
    ("south|north|east|west", r" (?:down|up|out|over|back) (south|north|east|west)$", r" in the \1"),
    (" or ", r"\b(?:in|at|on) or (?:near|around|close to|by|at|next to|about)(?= the )", "in"),
    ("mid", r"\bin mid[- ]?(?:image|picture|frame|scene|photo|view)\b", "in the centre"),
    ("", r"^([\w ,-]+[\w,]) (?-i:(NW|NE|SE|SW))$", r"\1 in the \2"),
    (
        "from",
        rf"\b({ORDINAL})[- ]from[- ](?:the[- ])?(left|right|top|bottom|west|east|north|south) ([\w-]+(?: [\w-]+)?)$",
        r"\1 \3 from the \2",
    ),
    (
        "very",
        r"\bvery (?=(?:highest|lowest|largest|smallest|biggest|tiniest|longest|shortest|first|last|\w+most)\b)",
        "",
    ),
    ("most", r"\bmost cent(?:ered|red)\b", "most central"),
    ("diagonal", r"\b(?:to )?where the (?:(?:two|image) )?diagonals (?:cross|meet|intersect)\b", "to the centre"),
    ("elevated|raised", r"\bmost elevated\b", "highest"),
    (
        "going|moving|heading|go |move |head ",
        r"\b(?:going|moving|heading|go|move|head)s? (?=(?:left|right|top|bottom|west|east|north|south) to )",
        "reading from ",
    ),
    (
        "going|moving|heading|go |move |head ",
        r"\b(?:when|if|as|while|on|by) (?:you |one |we )?(?:going|moving|heading|go|move|head)(?:e?s)? (?=(?:left|right|up|down|(?:north|south|east|west))(?:wards?)?\b)",
        "when reading ",
    ),
    (
        "highest|lowest",
        r" (?:with|in|at|occupying|having|that (?:has|occupies|takes)) the (highest|lowest) (?:position|place|spot|location|point|elevation)\b",
        r" that is the \1",
    ),
    (
        "half|side|part",
        r"^the ((?:[\w-]+ )?(?:left|right|top|bottom|upper|lower|western|eastern|northern|southern)(?:[- ]hand)?) (half|side|part|corner)['’]s ([\w -]+)$",
        r"the \3 in the \1 \2",
    ),
    (
        "whatever|any ",
        r"^(?:whatever|whichever|any) ([\w -]+?) (?:there (?:is|are|may be)|(?:one|you) (?:can )?finds?|(?:is|are) there)(?= )",
        r"all \1",
    ),
    (
        "outer",
        r"\b(on|at|to|toward|towards) the outer (?=(?:left|right|top|bottom|upper|lower|west|east|north|south))",
        r"\1 the far ",
    ),
    (
        "outermost",
        r"\boutermost ([\w-]+(?: [\w-]+)?) (?:on|at|to|toward|towards|in) the (?=(?:left|right|top|bottom|upper|lower|west|east|north|south))",
        r"\1 furthest to the ",
    ),
    (
        "extreme",
        r"\b(?:at|on|in|to) the (left|right|top|bottom|upper|lower|western|eastern|northern|southern)(?:[- ]hand)? extreme\b",
        r"on the far \1",
    ),
    ("leftward|rightward", r"\b(left|right)wards? (of|from)\b", r"\1 \2"),
    *(
        (letter, rf"(?<=[\w,]) (?:due )?(?-i:{letter}) of (?=\w)", f" {point} of ")
        for letter, point in (("N", "north"), ("E", "east"), ("S", "south"), ("W", "west"))
    ),
    ("placed|lying|hand", r"\b(highest|lowest)-placed\b", r"\1"),
    ("up|low", r"\b(upper|lower|top|bottom)[- ](left|right)[- ]hand\b", r"\1 \2"),
)
"""Before anything is put in signs."""

_EXTREMES_BY_OTHERS: tuple[Rule, ...] = (
    # "east of everything else", "higher in the frame than any other", "further left than all its fellows"
    (
        ALL,
        rf"(?: {VERB})?,? (?:placed |sitting |lying )?(?:(?:further|farther|more|closer|nearer) )?{_ADVERBS}(?:the )?({C})(?:[- ]{PARTS})?{OF_IMAGE}"
        rf" (?:of|than|from) {ALL}",
        r" that is furthest to the \1",
    ),
    (
        ALL,
        rf"(?: {VERB})?,? (?:(?:placed|sitting|lying) )?(?:higher|further up|farther up)(?: up)?{OF_IMAGE} than {ALL}",
        " that is furthest to the top",
    ),
    (
        ALL,
        rf"(?: {VERB})?,? (?:(?:placed|sitting|lying) )?(?:lower|further down|farther down)(?: down)?{OF_IMAGE} than {ALL}",
        " that is furthest to the bottom",
    ),
    (ALL, rf"(?: {VERB}| that is)? above {ALL}", " that is furthest to the top"),
    (ALL, rf"(?: {VERB}| that is)? (?:below|beneath|under|underneath) {ALL}", " that is furthest to the bottom"),
    # "with no other tank to its west", "than which nothing lies further north"
    (
        NONE,
        rf",? (?:with|has|having|that has|which has|and|than which|for which|where there (?:is|are)) {NONE}(?: {VERB}| that is| is| are| lies)?"
        rf"(?: any)?(?: (?:further|farther|more))? {_ADVERBS}(?:its |the )?({C}|up|down)(?:[- ]{PARTS})?(?: (?:of|than|from) it(?:self)?)?{AT_END}",
        r" that is furthest \1",
    ),
    (
        NONE,
        rf",? (?:with|has|having|that has|which has|and|than which) {NONE}(?: {VERB}| that is| is| lies)? (?:higher(?: up)?|above(?: it)?)"
        rf"(?: than it)?{OF_IMAGE}{AT_END}",
        " that is furthest to the top",
    ),
    (
        NONE,
        rf",? (?:with|has|having|that has|which has|and|than which) {NONE}(?: {VERB}| that is| is| lies)? (?:lower(?: down)?"
        rf"|(?:below|beneath|under(?:neath)?)(?: it)?)(?: than it)?{OF_IMAGE}{AT_END}",
        " that is furthest to the bottom",
    ),
    (NONE, rf",? above which {NONE}(?: \w+)?{AT_END}", " that is furthest to the top"),
    (NONE, rf",? (?:below|beneath|under) which {NONE}(?: \w+)?{AT_END}", " that is furthest to the bottom"),
    (
        NONE,
        rf",? to (?:the ({C})(?: side)? of which|whose ({C})) {NONE}(?: \w+)?{AT_END}",
        r" that is furthest to the \1\2",
    ),
    (
        NONE,
        rf",? (?:that |which )?{NONE} (?:is|are|lies?|sits?|stands?|appears?) (?:any )?(?:(?:further|farther) )?(?:to the )?({C})(?: of| than)?(?: it)?$",
        r" that is furthest to the \1",
    ),
    (
        NONE,
        rf",? (?:that |which )?{NONE} (?:is|are|lies?|sits?|stands?|appears?) (?:above|higher(?: up)?)(?: than)?(?: it)?$",
        " that is furthest to the top",
    ),
    (
        NONE,
        rf",? (?:that |which )?{NONE} (?:is|are|lies?|sits?|stands?|appears?) (?:below|beneath|under|lower(?: down)?)(?: than)?(?: it)?$",
        " that is furthest to the bottom",
    ),
    (
        ALL,
        rf",? (?:that |which )?{ALL} (?:is|are|lies?|sits?|stands?) (?:to the )?({C}) of(?: it)?$",
        rf" that is furthest to the {OPPOSITE}\1",
    ),
    (
        ALL,
        rf",? (?:that |which )?{ALL} (?:is|are|lies?|sits?|stands?) (?:below|beneath|under)(?: it)?$",
        " that is furthest to the top",
    ),
    (
        ALL,
        rf",? (?:that |which )?{ALL} (?:is|are|lies?|sits?|stands?) above(?: it)?$",
        " that is furthest to the bottom",
    ),
    # "that has every other tank beneath it", "with all the others to its west", "whose neighbours all lie to its west"
    (
        ALL,
        rf",? (?:that |which )?(?:with|has|having|have) {ALL}(?: {VERB})? (?:below|beneath|under(?:neath)?) it{AT_END}",
        " that is furthest to the top",
    ),
    (
        ALL,
        rf",? (?:that |which )?(?:with|has|having) {ALL}(?: {VERB})? above it{AT_END}",
        " that is furthest to the bottom",
    ),
    (
        ALL,
        rf",? (?:that |which )?(?:with|has|having) {ALL}(?: {VERB})? {_ADVERBS}(?:its |the )({C})(?:[- ]{PARTS})?(?: of it)?{AT_END}",
        rf" that is furthest to the {OPPOSITE}\1",
    ),
    (
        "whose|with",
        rf",? (?:whose|with) {KIN} all (?:lie|are|sit|stand|lying|being|fall|appear) {_ADVERBS}(?:its |the )({C})(?:[- ]{PARTS})?{AT_END}",
        rf" that is furthest to the {OPPOSITE}\1",
    ),
    (
        ALL,
        rf",? (?:that |which )?{ALL} (?:have|see|keep|find) {_ADVERBS}their ({C})(?:[- ]{PARTS})?{AT_END}",
        r" that is furthest to the \1",
    ),
    (
        ALL,
        rf",? to which {ALL} (?:lie|are|sit|stand) (?:to (?:the |its )?)?({C})(?:wards?)?{AT_END}",
        rf" that is furthest to the {OPPOSITE}\1",
    ),
)

_SECOND_BY_OTHERS: tuple[Rule, ...] = (
    (
        ONE,
        rf",? (?:that |which )?(?:with|has|having|whose) (?:only )?(?:{ONE}|{KIN})(?: {VERB}| that is)?(?: (?:further|farther|more))? {_ADVERBS}(?:its |the )?({C})"
        rf"(?:[- ]{PARTS})?(?: (?:of|than|from) it(?:self)?| is {ONE})?(?: [\w]+)?{AT_END}",
        r" that is second from the \1",
    ),
    (
        ONE,
        rf",? (?:that |which )?(?:with|has|having) {ONE}(?: {VERB})? (?:above|over|higher(?: up)?)(?: it| than it)?{OF_IMAGE}{AT_END}",
        " that is second from the top",
    ),
    (
        ONE,
        rf",? (?:that |which )?(?:with|has|having) {ONE}(?: {VERB})? (?:below|beneath|under(?:neath)?|lower(?: down)?)(?: it| than it)?{OF_IMAGE}{AT_END}",
        " that is second from the bottom",
    ),
    (
        ONE,
        rf",? (?:that |which )?(?:is |are )?(?:beaten|bettered|surpassed|outdone|exceeded|preceded) (?:by )?{ONE}(?: \w+)? in (?:how (?:far )?|being |lying |going )(?:further |far )?"
        rf"(?:to the )?(?:({C})|({E}))(?: it(?: (?:lies|is|sits|goes|reaches))?)?{AT_END}",
        rf" that is second from the \1{SIDE_OF}\2",
    ),
)

_EXTREMES: tuple[Rule, ...] = (
    (
        "whose",
        rf" whose (?:position|location|place|spot|cent(?:er|re)) (?:is|lies|comes|falls|sits) (?=(?:the )?(?:{_BETTER}|{E}))",
        " that is ",
    ),
    # "the second closest to the left edge", "that lies most nearly in the middle", "pressed closest to the right"
    (
        "est|most|least",
        rf",?(?: {VERB}| that is| which is| that are| is| are)? (?:the )?(?:({ORDINAL}) )?{_FURTHEST} {_ADVERBS}{_ITS_SIDE}{AT_END}",
        r" that is \1 furthest to the \2",
    ),
    ("", rf",?(?: {VERB}) (?:the )?({E})(?= than)", r" \1"),
    (
        "",
        rf",?(?: {VERB}) (?:(?:at|in|on) )?(?:the )?({E})(?: (?:point|place|position|spot|{PARTS}))?{OF_IMAGE}{AT_END}",
        r" that is \1",
    ),
    (
        "right",
        rf" right (?:(?:up|out|over|down|along) )?(?:against|at|on|by|to) (?:the )?({C}) (?:edge|margin|border|limit|boundary|end|extremity|fringe)s?{OF_IMAGE}(?: of (?:the|all) [\w-]+(?: [\w-]+)?)?{AT_END}",
        r" that is furthest to the \1",
    ),
    (
        "rear|line|queue|row|procession|column",
        rf",? (?:that |which )?(?:bring(?:s|ing) up the rear|clos(?:es|ing) (?:off )?the (?:line|row|queue|column|procession|series)"
        rf"|end(?:s|ing) the (?:line|row|series)|head(?:s|ing)? the (?:line|row)|finish(?:es|ing) the (?:line|row)|lead(?:s|ing) the (?:line|row)) {_ADVERBS}{_ITS_SIDE}",
        r" that is furthest to the \1",
    ),
    # "at the eastern end"; where several are named, they are only thereabouts
    (
        "end|extremity|limit|tip|extreme",
        rf"(?<!s),?(?: {VERB}| that is| which is)? (?:right )?(?:at|on|near|by) the (?:very |far |extreme )?({SIDE})[- ](?:hand )?(?:end|extremity|limit|tip|extreme){OF_IMAGE}{AT_END}",
        r" that is furthest to the \1",
    ),
    # "extreme left of the row", "at the eastern end of the line", "leading the group on the left"
    (
        "row|line|series|group|set|cluster|column|lot|bunch|string|array|formation",
        rf",?(?: {VERB})?(?: (?:at|on|in|from|of))? (?:the )?(?:({E})|({C})(?=(?:[- ]hand)? (?:end|limit|extremity|tip|edge|head)))(?:[- ](?:hand|end|limit|extremity|tip|edge|head|point|position|place))*"
        r" (?:of|in) the (?:whole )?(?:row|line|series|group|set|cluster|column|lot|bunch|string|array|formation)\b(?: of (?:the )?[\w-]+)?",
        rf" that is furthest to the {SIDE_OF}\1\2",
    ),
    (
        "member|one|element|item",
        rf"({E}|highest|lowest|(?:largest|smallest|longest|shortest)) (?:member|element|item|example|specimen|representative|one)s? (?=(?:of|among|in) )",
        r"\1 ",
    ),
    (
        "station|spot|position|place|slot",
        rf" (?:occupying|taking|holding|filling|in) the ({E}) (?:station|spot|position|place|slot|point|berth)s?(?: of (?:them )?all| of the \w+)?",
        r" that is \1",
    ),
    (
        "",
        rf",?(?: {VERB}| that is| which is| that comes)? (?:(?:just|immediately|directly|right|straight|next in line|next|coming|one(?: \w+)?) )?(?:after|behind|following|next to|beside|in from|along from|down from|up from|below|above) the ({E})(?: ones?| {KIN})?{AT_END}",
        rf" that is second from the {SIDE_OF}\1",
    ),
    (
        "topmost|uppermost|northernmost|highest",
        rf",?(?: {VERB}| that is| which is)? (?:just|right|immediately|directly|one(?: \w+)?) (?:below|beneath|under|after|down from|behind) the (?:highest|topmost|uppermost)(?: one| {KIN})?$",
        " that is second from the top",
    ),
    (
        "bottom|lowest|lower|southern",
        rf",?(?: {VERB}| that is| which is)? (?:just|right|immediately|directly|one(?: \w+)?) (?:above|over|up from|before|after) the (?:lowest|bottom-?most|lowermost)(?: one| {KIN})?$",
        " that is second from the bottom",
    ),
    (
        "highest|lowest",
        rf",?(?: {VERB}) (?:the )?(highest|lowest)(?: (?:up|down|placed))?{OF_IMAGE}{AT_END}",
        r" that is \1",
    ),
    (
        "distance",
        rf",? whose distance (?:from|to) {_ITS_SIDE} is (?:the )?(?:smallest|shortest|least|lowest|minimal)(?: of all)?{AT_END}",
        r" that is furthest to the \1",
    ),
    (
        "distance|gap|separation|offset|deviation|displacement",
        rf",?(?: {VERB}| that is| that has)?(?: (?:with|at|having))? (?:the )?(?:smallest|shortest|least|minimum|minimal) (?:distance|gap|separation|offset|deviation|displacement) (?:from|to|between it and) {_ITS_SIDE}{AT_END}",
        r" that is furthest to the \1",
    ),
    ("than any", rf"(?: {VERB})? (?:more|further) ({C}) than {ALL}", r" that is furthest to the \1"),
)

_MIDLINES: tuple[Rule, ...] = (
    (
        "",
        rf",?(?: {VERB}| that is| that are)? (?:to the |on the )?({C})(?: side)? (?:of|from) (?:the )?(?:{IMAGE_SIGN}(?:['’]s)? )?(?:(?:vertical|horizontal|own|imaginary|image) )*"
        rf"(?:mid-?line|mid-line|{MIDDLE}[- ]?line|centre-?line|center-?line|median|equator|meridian|axis|{MIDDLE}|half-?way line|midway line){OF_IMAGE}{AT_END}",
        r" in the \1 half",
    ),
    (
        "above|over",
        rf",?(?: {VERB}| that is| that are)? (?:above|over) the (?:horizontal |vertical |image )?(?:mid-?line|{MIDDLE}(?:[- ]?line)?|half-?way line|equator){OF_IMAGE}{AT_END}",
        " in the upper half",
    ),
    (
        "below|under|beneath",
        rf",?(?: {VERB}| that is| that are)? (?:below|under|beneath) the (?:horizontal |vertical |image )?(?:mid-?line|{MIDDLE}(?:[- ]?line)?|half-?way line|equator){OF_IMAGE}{AT_END}",
        " in the lower half",
    ),
)

_PLACES: tuple[Rule, ...] = (
    (
        "",
        rf",?(?: {VERB}| that is| that are)? (?:in|within|at) the ({E}) (?:part|portion|section|region|area|quarter|third|half|zone|sector|band|strip)s?{OF_IMAGE}{AT_END}",
        rf" in the {SIDE_OF}\1",
    ),
    # "where the top and left margins meet", "in the angle formed by the upper and right-hand borders"
    (
        "meet|join|intersect|converge|touch|cross",
        rf",?(?: {VERB}| that is)? (?:(?:at|in) the (?:corner|angle|spot|point|place) )?where the ({C})(?: {_EDGES})?(?: (?:and|meets|joins|touches)(?: the)? ({C}))?(?: {_EDGES})?"
        rf"(?: (?:meet|join|intersect|converge|touch|cross|come together)(?: up)?)?{OF_IMAGE}{AT_END}",
        r" in the \1 \2 corner",
    ),
    (
        "corner|angle|nook",
        rf",?(?: {VERB}| that is)? (?:in|at|into|within) the (?:corner|angle|nook)(?: that is)? (?:formed|made|enclosed|where|created|bounded|shared)?(?: ?by| of| between)?"
        rf" the ({C})(?: {_EDGES})?(?: and(?: the)? ({C}))?(?: {_EDGES})?{OF_IMAGE}{AT_END}",
        r" in the \1 \2 corner",
    ),
    (
        "up",
        rf",?(?: {VERB}| that is)? up (?:high )?(?:in|at|into|on|near) the ({C})(?=[- ](?:hand )?corner)",
        r" in the top \1",
    ),
    (
        "down",
        rf",?(?: {VERB}| that is)? down (?:low )?(?:in|at|into|on|near) the ({C})(?=[- ](?:hand )?corner)",
        r" in the bottom \1",
    ),
    # "high on the right", "low in the frame", "up and to the left"
    (
        "high|top|up",
        rf",?(?: {VERB}| that is)? (?:(?:quite|very|fairly|rather|well) )?(?:high(?: up)?|up(?: high)?(?= and)) (?:and |over )?(?:on|at|to|towards?|in) the ({C})(?:[- ]{PARTS})?{OF_IMAGE}{AT_END}",
        r" in the top \1",
    ),
    (
        "low|down",
        rf",?(?: {VERB}| that is)? (?:(?:quite|very|fairly|rather|well) )?(?:low(?: down)?|down(?: low)?(?= and)) (?:and |over )?(?:on|at|to|towards?|in) the ({C})(?:[- ]{PARTS})?{OF_IMAGE}{AT_END}",
        r" in the bottom \1",
    ),
    ("high", rf",?(?: {VERB}| that is| that are)? (?:well )?high(?: up)?$", " in the top"),
    ("low", rf",?(?: {VERB}| that is| that are)? (?:well )?low(?: down)?$", " in the bottom"),
    (
        "high",
        rf",?(?: {VERB}| that is| that are)? (?:well )?high(?: up)? (?:in|on|within) {IMAGE_SIGN}{AT_END}",
        " in the top",
    ),
    (
        "low",
        rf",?(?: {VERB}| that is| that are)? (?:well )?low(?: down)? (?:in|on|within) {IMAGE_SIGN}{AT_END}",
        " in the bottom",
    ),
    (
        "amid|middle|mid",
        rf",?(?: {VERB}| that is| that are)? (?:amid|amidst|in (?:the )?mid) {IMAGE_SIGN}(?:, (?:well )?away from \w+ (?:border|edge|margin|side)s?)?{AT_END}",
        " in the centre",
    ),
)

# A noun first: "that building on the left" begins with no clause.
_NOUN_BEFORE = r"(?<!^that)(?<!^the)(?<!^an)(?<!^a)(?<!^all)(?<!^any)(?<!^every)(?<!^each)(?<!^those)(?<!^of)(?<!next)(?<!close)(?<!adjacent)(?<!closest)(?<!nearest)(?<!est)(?<!relative)(?<=[\w\ue080-\ue09f])"
_AT = rf"(?:the |an? )?(?:{IMAGE_SIGN}(?:['’]s)? )?"
_CORNER = r"[- ](?:hand )?(?:corner|angle|nook|extremity)s?"
PLACE_RULES: tuple[Rule, ...] = (
    *_EXTREMES_BY_OTHERS,
    *_SECOND_BY_OTHERS,
    *_MIDLINES,
    *_PLACES,
    *_EXTREMES,
    (
        "",
        rf"{_NOUN_BEFORE},? (?:{VERB} {_WAY}(?:{_TO} )?|{_WAY}{_TO} ){_AT}({C}){_CORNER}{OF_IMAGE}{AT_END}",
        r" in the \1 corner",
    ),
    (
        "",
        rf"{_NOUN_BEFORE},? {VERB} {_WAY}(?:{_TO} )?{_AT}(?!{C}{_CORNER})({C})(?:[- ]{PARTS}){{0,2}}{OF_IMAGE}{AT_END}",
        r" in the \1",
    ),
    (
        "",
        rf"{_NOUN_BEFORE},? {_WAY}{_TO} {_AT}(?!{C}{_CORNER})({C})(?:[- ]{PARTS}){{1,2}}{OF_IMAGE}{AT_END}",
        r" in the \1",
    ),
    (
        "from",
        rf"{_NOUN_BEFORE},? from {_AT}({C})(?:[- ]hand)?[- ](?:half|part|portion|section|area|quarter|third|sector|quadrant|corner|region|zone){OF_IMAGE}{AT_END}",
        r" in the \1",
    ),
    (
        "",
        rf"{_NOUN_BEFORE},? {_WAY}{_TO} (?:the |an? )(?:{IMAGE_SIGN}(?:['’]s)? )?({C}){OF_IMAGE}{AT_END}",
        r" in the \1",
    ),
)
"""In signs; the canonical wordings are "in the CELL (corner)", "furthest to the CELL", "second from the CELL"."""

_PLACES_IN_ORDER = {
    "one": "first",
    "1": "first",
    **{key: ORDINALS[n - 1] for word, n in NUMBERS.items() if n <= len(ORDINALS) for key in (word, str(n))},
}
_ONE_IN = r"(?:just |only |exactly )?one (?:place|position|step|spot|slot)\b(?: (?:in|along|inward))?"
_LAST = rf"(?:(?P<back>second|third|next|2nd|3rd)[- ](?:to[- ])?last|last but (?P<but>one|two)|(?P<last>penultimate|last|final))"
_NUMBERED = rf"(?:(?:(?:number|no\.?|nr\.?|rank(?:ed|s|ing)?|place|position) |#)(?P<number>one|1|{NUMBER}))"
RANK = rf"\b(?:{_LAST}|(?P<onein>{_ONE_IN})|{_NUMBERED}|(?P<lead>leading|foremost|opening)|(?P<ordinal>{ORDINAL})(?:[- ](?:ranked|placed|positioned))?)(?:[- ](?:place|position|spot|rank))?(?![\w-])"
FILLER = frozenset(
    "in the sequence order row line series when if as one you we i reading read reads counting count counted counts scanning scan scanned going"
    " goes go coming comes come moving move moves working encountered encounter encounters met meet meets reach reached reaches hit hits upon"
    " across entering enter on along that which is are proceeding proceeds proceed eye travels starting start starts place position inward inwards"
    " would ranked ranks rank ranking standing stands arriving viewed looking sweeping sweep way one's up down over out from at by it to with"
    " beginning begin begins number and appears appear passing pass of among being be listed numbered traversing sits sitting lies lying located"
    " positioned placed found seen spot through get gets their your eyes gaze moves travelling end turn arrives strikes find finds run an a side"
    " approaching approached travel traveling ordered sorted arranged taken walking walk walks crossing cross look looks you're whichever this time very".split()
)
"""What may be said besides when things are counted."""


def ordinal_in(match: re.Match[str]) -> tuple[str, bool]:
    """The ordinal that a match of `RANK` means, and whether it is counted from the end."""
    if match["ordinal"]:
        return match["ordinal"], False
    if match["number"]:
        return _PLACES_IN_ORDER.get(match["number"].lower(), match["number"]), False
    if match["lead"]:
        return "first", False
    if match["onein"]:
        return "second", False
    words = (match["back"] or match["but"] or match["last"]).lower()
    return ("third" if words in ("third", "3rd", "two") else "first" if words in ("last", "final") else "second"), True


def noun_among(text: str, filler: frozenset[str]) -> str | None:
    """The one phrase of a text that is no filler, or None where there is not just one."""
    text = text.replace(IMAGE_SIGN, " ")
    words = [None if word.strip(",.").lower() in filler else word.strip(",.") for word in text.split() if word != ","]
    at = [number for number, word in enumerate(words) if word]
    if not at or at[-1] - at[0] >= 4 or len(at) != at[-1] - at[0] + 1:
        return None
    noun = " ".join(word for word in words[at[0] : at[-1] + 1] if word)
    return None if re.search("[\ue000-\ue07f\ue0ff\ue0f0-\ue0f8]", noun) else noun


def counted(signs: Signs) -> None:
    """Read "the last tank met when scanning from left to right" as "the first tank from the right".

    All words but those that count, and one noun phrase, must be known ones; else nothing changes.

    Args:
        signs: a sentence; changed in place.
    """
    starts: list[str] = []

    def start(match: re.Match[str]) -> str:
        way = match["way"]
        if way and way in signs:
            if not signs.word(way).lower().endswith(("ward", "wards")):
                return match[0]
            way = signs.word(way)
        starts.append(
            opposite(_TOWARDS.get(way.lower()) or re.sub(r"wards?$", "", way))
            if way
            else signs.word(match["first"] or match["side"])
        )
        return " "

    text = compiled(_SCAN).sub(start, signs.text)
    ranks = list(compiled(RANK).finditer(text))
    if not starts or len(ranks) != 1 or len({cell_of(words) for words in starts}) != 1 or cell_of(starts[0]) is None:
        return
    noun = noun_among(text[: ranks[0].start()] + " " + text[ranks[0].end() :], FILLER)
    if noun is None:
        return
    ordinal, is_backward = ordinal_in(ranks[0])
    signs.text = f"the {ordinal} {noun} from the {opposite(starts[0]) if is_backward else starts[0]}"


_TOWARDS = {
    "down": "bottom",
    "up": "top",
    "downward": "bottom",
    "downwards": "bottom",
    "upward": "top",
    "upwards": "top",
}
_NOT_OF = r"(?! (?:of|than|relative)\b)"
_SCAN = (
    rf"\b(?:from )?(?:the )?(?P<first>{C})(?: {PARTS})? (?:(?:through|across|over|on|down|up) )?to (?:the )?{C}(?: {PARTS})?{OF_IMAGE}{_NOT_OF}"
    rf"|\b(?:(?:(?:in|up|down|off|out|inward|inwards|away) )?from|start(?:s|ing|ed)? (?:at|on|with|in)|begin(?:s|ning)? (?:at|on|with|in)) (?:the )?(?:very |far )?(?P<side>{C})(?:[- ](?:hand )?{PARTS}){{0,2}}(?: of (?:the )?(?:row|line|series|sequence|group|set|lot|order|array|formation)\b)?{OF_IMAGE}{_NOT_OF}"
    rf"|(?:\bon the way )?(?:\b|(?<= ))(?P<way>(?:left|right|up|down)wards?|{C}|(?<=way )(?:up|down)|(?<=going )(?:up|down)|(?<=moving )(?:up|down)|(?<=reading )(?:up|down)|(?:up|down)(?= {IMAGE_SIGN}))(?: (?:across|through|over|along))?"
    rf"(?: {IMAGE_SIGN})?(?=$|[ ,])"
)
