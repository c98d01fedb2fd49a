"""Rules for how many there are, and for choosing one "of all the tanks"."""

from __future__ import annotations

from rs2sam.language.comparing import SUPERLATIVE
from rs2sam.language.signs import Rule
from rs2sam.language.words import EXTREME, NUMBER

_GROUPS = {
    "two": "pair|couple|duo|twosome|brace|twins?|double",
    "three": "trio|triplets?|threesome|triad|triple",
    "four": "quartet|foursome|quadruplets?|quadruple|tetrad|quad",
    "five": "quintet|fivesome|quintuplets?",
    "six": "sextet|sixsome|half[- ]dozen|half a dozen",
    "seven": "septet|heptad",
    "eight": "octet|ogdoad",
}
_SET = (
    r"(?:group|set|cluster|collection|batch|cohort|gathering|assembly|team|company|bunch|ensemble|lot|total|formation)"
)
_OF = r"(?:of|comprising|consisting of|made up of|formed (?:by|of|from)|composed of|containing|numbering|with|comprised of|constituted by)"
_PICKED = rf"(?:{SUPERLATIVE}|larger|smaller|longer|shorter|{EXTREME}|(?:more|most) \w+)"
_FINITE = (
    r"(?:is|are|has|have|would|lies?|sits?|stands?|appears?|comes?|ranks?|takes?|measures?|extends?|fills?|occup(?:ies|y)|reach(?:es)?|covers?"
    r"|stretch(?:es)?|falls?|spans?|claims?|hugs?|lines?|runs?|rests?|crowds?|keeps?|gets?|belongs?|shows?|exceeds?|surpass(?:es)?|outstrips?|dwarfs?"
    r"|boasts?|uses?|accounts?|ends?|can|could|may|does|features?|strays?|heads?|leads?|tops?|spreads?|uses?|stays?|goes)"
)
_SEEN = (
    r"(?:(?:that|which|who) (?:is|are|can be|could be|may be|have been|has been) |to be |one can |you can |we can )?(?:seen|found|spotted|observed|made out|make out|picked out|visible"
    r"|here|present|shown|captured|depicted|pictured|displayed|discernible|detectable|in evidence|on record|see|spot|identified|(?:anywhere )?(?:in|on) (?:view|show|display|sight|offer))"
    r"(?: (?:here|there|at all|(?:in|on|within) (?:the|this) (?:image|picture|photo|photograph|scene|frame|view|shot)))?"
)

GROUP_RULES: tuple[Rule, ...] = (
    # "a handful of tanks"
    (
        "handful|bunch|group|number|collection|cluster|scatter|smatter|set of",
        r"^(?:the|a|an) (?:(?:small|large|little|whole|tight|loose|scattered) )?(?:handful|bunch|group|number|collection|cluster|scattering|smattering|gathering|set|crowd) of (?:the )?(?=[\w-]+(?: [\w-]+)?s\b)(?!the number)",
        "the ",
    ),
    *(
        rule
        for number, words in _GROUPS.items()
        for rule in (
            (
                words.replace("?", "").replace("[- ]", "-"),
                rf"(?:^|(?<=^of )|(?<=^out of )|(?<=^among )|(?<=of the )|(?<=of )|(?<=both ))(?:(?:the|a|an|that|this|these|those) )?(?:({_PICKED}) )?(?:{words})(?: of| (?:formed|made|composed|constituted)(?: up)?(?: by| of| from)) (?:the |these |those )?",
                rf"the {number} \1 ",
            ),
        )
    ),
    *(
        (
            words.replace("?", "").replace("[- ]", "-"),
            rf"^(?:the )?((?:left|right|top|bottom|upper|lower|(?:north|south|east|west)ern)(?:[- ]hand)?) (?:{words}) of (?:the )?",
            rf"the \1 {number} ",
        )
        for number, words in _GROUPS.items()
    ),
    ("all ", rf"^(?:the )?([\w -]+s), (?:all|both)(?: of the)?(?: ({NUMBER}))$", r"the \2 \1"),
    ("hich", rf"^((?:of|among|out of|from) [^,]+), which (?:one |of them )?(?=(?:{_FINITE}) )", r"\1, the one that "),
    ("twin|paired", r"^(?:the )?(?:twin|paired) (?=[\w-]+(?: [\w-]+)?s\b)", "the two "),
    ("", rf"^(?:(?:the|a|an|that|this) )?(?:\w+ )?{_SET} {_OF} (?:the )?(?=(?:{NUMBER}) )", "the "),
    (
        "each|every|all",
        rf"^(?:every|each|all)(?: single)?(?: one| member)? of (?:the|these|those) (?={NUMBER} )",
        "all ",
    ),
    (
        "number",
        rf"^(?:the )?(?:{_SET} of )?([\w -]+?),? (?:that |which )?number(?:s|ing)? (?:exactly )?({NUMBER})(?: in (?:all|total))?$",
        r"the \2 \1",
    ),
    (
        "number|total|in all|altogether|told",
        rf"^(?:the )?(?!{NUMBER} )([\w -]+?),? ({NUMBER}) (?:in (?:number|total|all|count)|of them|altogether|all told)(?: in (?:total|all))?$",
        r"the \2 \1",
    ),
    (
        "total|in all|altogether|told|number",
        rf"^((?:(?:the|all) )?{NUMBER} [\w -]+?),? (?:in (?:total|all|number)|altogether|all told)$",
        r"\1",
    ),
    (
        "which there",
        rf"^(?:the )?([\w -]+?),? of which (?:there are|you (?:can )?see|one sees|we see) ({NUMBER})$",
        r"the \2 \1",
    ),
    (
        "which there",
        rf"^(?:the )?([\w -]+?),? (?:there (?:are|being) ({NUMBER})(?: of them)?|({NUMBER}) strong)$",
        r"the \2\3 \1",
    ),
    (
        "qty|quantity|count|number|x|×|n",
        rf"^(?:the )?([\w -]+?s),? (?:qty|quantity|count|number|no|n|x|×)[ :=.]*({NUMBER})$",
        r"the \2 \1",
    ),
    ("", rf"^(?:the )?([\w -]+s), ({NUMBER})$", r"the \2 \1"),
    ("x|×", rf"^({NUMBER}) ?[x×] (?=\w)", r"the \1 "),
    (
        "",
        rf"^((?:(?:the|all|both|those|these) )*(?:{NUMBER}|both) [\w -]+?),? (?:without (?:omitting|missing|skipping|leaving out|forgetting|exception)(?: (?:either|any|one|none))?(?: (?:one|of them))?"
        r"|(?:the )?one and the other(?: alike)?|in their entirety|making up (?:this|the|that) \w+|one and all|(?:each|every one) of them|the lot(?: of them)?|together|as a group|in full|(?:that are )?all of them|alike|inclusive)$",
        r"\1",
    ),
    # "which of the tanks reaches furthest west", "which tank takes second place"
    (
        "hich|hat",
        rf"^(?:which|whichever|what|whatever) (?:one )?of (?:the|these|those|all the) ((?:[\w-]+ ){{0,2}}?[\w-]+) (?=(?:{_FINITE}) )(?!(?:is|are) (?:the )?{_PICKED}$)",
        r"the \1, the one that ",
    ),
    (
        "hich|hat",
        rf"^(?:which|what|whichever) (?!of\b|one\b)((?:[\w-]+ ){{0,3}}?[\w-]+?)(?: here| there)? (?=(?:{_FINITE}) )",
        r"the \1 that ",
    ),
    ("hich is|hat is", r"^(?:which|what) (?:one )?is (?=the )", ""),
    # "of the various tanks in view, whichever ..."
    (
        "among|out of|from",
        rf"\b({_PICKED}|one|ones) (?:from )?(?:among(?:st)?|out of) (?=(?:all )?(?:the|these|those)\b)",
        r"\1 of ",
    ),
    (
        "various|many|several|visible|different|numerous|assorted|sundry|whole",
        r"\b(of|among(?:st)?|from) (all )?(?:of )?(the|these|those) (?:various|many|several|visible|different|numerous|assorted|sundry|whole (?:group|set|lot|collection) of|group of|set of|cluster of|collection of) (?:the )?",
        r"\1 \2\3 ",
    ),
    (
        "group|set|cluster|collection|crowd",
        r"\b(of|among(?:st)?|from) (?:the|this|that) (?:group|set|cluster|collection|crowd|lot|bunch) of (?:the )?(?=[\w-]+)",
        r"\1 the ",
    ),
    (
        "",
        rf"^(?:out of|of|from among(?:st)?|among(?:st)?|from|considering|taking) (?:all |every |each )?(?:of )?(?:(?:the|these|those) )?(?!(?:the )?{NUMBER} )((?:(?!, )[\w -])+?)(?:,? {_SEEN})?, (?:(?:only|just|pick|select|take|show|find|choose|mark|outline) )?(?:the (?:single )?one|whichever(?: one)?|the \1|that one|it is the one|that(?= which)|the (?=(?:one )?that )) (?!of\b)",
        r"the \1, the one ",
    ),
    (
        "the one ",
        rf"^(?:the one|that) ((?:with|having|whose|that|which) .+?) (?:of|among(?:st)?|out of|from among) (?:all )?(?:the|these|those) (?!{NUMBER} )(?=[\w-]+(?: [\w-]+)?s\b)(.+)$",
        r"the \2, the one \1",
    ),
    (
        "the one ",
        rf"^the one (?:(?:lying|placed|situated|located) )?(?:(?:further|farther|more|higher|lower) )?(?:(?:on|to|at|towards?) the )?((?:left|right|top|bottom|upper|lower|north|south|east|west)\w*) of (?=(?:the|these|those) {NUMBER} )",
        r"the \1 of ",
    ),
    (
        "those|ones",
        r",? (?:out of|of|from among(?:st)?|among(?:st)?|from) (?:all )?(?:those|the ones|these)(?: of)? (?=(?:in|on|at|that|which|to|along|near|with|the \w+ half|the \w+ part|\w+ing|over|towards?|located|situated|placed|found|positioned|the (?:left|right|west|east|north|south|top|bottom|upper|lower))\b)",
        " that are in ",
    ),
    (
        "that are in ",
        r" that are in (?=(?:in|on|at|that|which|to|along|near|with|over|towards?|located|situated|placed|found|positioned|\w+ing)\b)",
        " ",
    ),
    (
        "",
        rf",? {_SEEN}(?=$|,| (?:in|on|at|near|that|which|along|across|within|towards?|around|inside|by|over|down|up|amid|against|to) (?!view))",
        "",
    ),
    ("anywhere|whatsoever|at all", r",? (?:anywhere|whatsoever|at all)$", ""),
    (
        "as the|as this|as it|as they",
        r",? as (?:(?:the|this) (?:image|picture|photo|scene|map) is \w+|it appears|it is shown|shown|depicted|viewed|seen from (?:above|the air))(?: here)?$",
        "",
    ),
    (
        "lot|bunch|set|batch|all|collection|group",
        rf"({_PICKED}.*?)(?: of| in)(?: the (?:whole |entire )?(?:lot|bunch|set|batch|collection|group|world)| them all| all(?: of them)?)$",
        r"\1",
    ),
    # "of the two largest tanks, the left one"
    (
        "of|among",
        rf"^(?:out of|of|among(?:st)?|from) ((?:the|these|those) {NUMBER} [^,]+?),? (?:(?:the|whichever is the) )(?:one (?:on the |to the |at the |further |farther |more |lying |that is )*(?:the )?)?([\w-]+(?: [\w-]+)?)(?: ones?)?(?: in (?:size|area|extent))?$",
        r"the \2 of \1",
    ),
    (
        "and ",
        rf"^((?:the|these|those) {NUMBER} [^,]+?),? and (?:then )?(?:outline|mark|take|pick|show|select|segment|choose|find|highlight|give me|return|keep|box|circle|tag|trace) the ([\w-]+(?: [\w-]+)?)(?: one)?(?: of (?:them|these|those|the two))?$",
        r"the \2 of \1",
    ),
    (
        "of the|of these|of those",
        rf"^the (?:further |farther |more )?([\w-]+(?: \w+)?)(?: ones?)? of (?=(?:the|these|those) {NUMBER} )",
        r"the \1 of ",
    ),
)
"""Applied before anything is put in signs."""
