"""How many there are, which one in a row, and which "of all the tanks".

How rules are written: see `signs.table`.
"""

from __future__ import annotations

import re

from rs2sam.language.claims import ORDINALS
from rs2sam.language.comparing import SIZE_BLOCKS
from rs2sam.language.signs import BLOCKS, IMAGE_SIGN, Rule, Signs, compiled, named, opposite, table
from rs2sam.language.words import EXTREME, NUMBER, NUMBERS, ORDINAL, cell_of

_BLOCKS = named(
    r"""
SET = (group|set|cluster|collection|batch|cohort|gathering|assembly|team|company|bunch|ensemble|lot|total|formation)
OF = (of|comprising|consisting of|made up of|formed (by|of|from)|composed of|containing|numbering|with|comprised of
    |constituted by)
PICKED = (@SUPERLATIVE|larger|smaller|longer|shorter|@EXTREME|(more|most) \w+)
FINITE = (is|are|has|have|would|lies?|sits?|stands?|appears?|comes?|ranks?|takes?|measures?|extends?|fills?|occup
    (ies|y)|reach(es)?|covers?|stretch(es)?|falls?|spans?|claims?|hugs?|lines?|runs?|rests?|crowds?|keeps?|gets?
    |belongs?|shows?|exceeds?|surpass(es)?|outstrips?|dwarfs?|boasts?|uses?|accounts?|ends?|can|could|may|does
    |features?|strays?|heads?|leads?|tops?|spreads?|uses?|stays?|goes)
SEEN = ((that|which|who) (is|are|can be|could be|may be|have been|has been) |to be |one can |you can |we can )?(seen
    |found|spotted|observed|made out|make out|picked out|visible|here|present|shown|captured|depicted|pictured
    |displayed|discernible|detectable|in evidence|on record|see|spot|identified|(anywhere )?(in|on) (view|show
    |display|sight|offer))( (here|there|at all|(in|on|within) (the|this) (image|picture|photo|photograph|scene
    |frame|view|shot)))?
ONE_IN = (just |only |exactly )?one (place|position|step|spot|slot)\b( (in|along|inward))?
LAST = ((?P<back>second|third|next|2nd|3rd)[- ](to[- ])?last|last but (?P<but>one|two)|(?P<last>penultimate|last
    |final))
NUMBERED = (((number|no\.?|nr\.?|rank(ed|s|ing)?|place|position) |#)(?P<number>one|1|@NUMBER))
RANK = \b(@LAST|(?P<onein>@ONE_IN)|@NUMBERED|(?P<lead>leading|foremost|opening|(at )?the (head|front|start
    |beginning) of the (line|row|queue|sequence|series|file))|(?P<runner>runner-?( )?up)|(?P<ordinal>@ORDINAL)
    ([- ](ranked|placed|positioned))?)([- ](place|position|spot|rank|slot|station|seat))?(?![\w-])
NOT_OF = (?! (of|than|relative)\b)
SCAN = \b(from )?(the )?(?P<first>@C)( @PARTS)? ((through|across|over|on|down|up) )?to (the )?@C( @PARTS)?@OF_IMAGE
    @NOT_OF|(?<![-\w])(((in|up|down|off|out|inward|inwards|away) )?from|start(s|ing|ed)? (at|on|with|in)|begin(s
    |ning)? (at|on|with|in)) (the )?(very |far )?(?P<side>@C)([- ](hand )?@PARTS){0,2}( of (the )?(row|line|series
    |sequence|group|set|lot|order|array|formation)\b)?@OF_IMAGE@NOT_OF|(\bon the way )?(\b|(?<= ))(?P<way>(left
    |right|up|down)wards?|@C|(?<=way )(up|down)|(?<=going )(up|down)|(?<=moving )(up|down)|(?<=reading )(up|down)
    |(up|down)(?= @IMAGE_SIGN))( (across|through|over|along))?( @IMAGE_SIGN)?(?=$|[ ,])
ORDER = (\b(in|by|for|of|on|according to) (?P<down>(de(scending|creasing)|falling) )?(?P<up>(a(scending)|increasing
    |rising) )?(order of )?(their |its |the )?(?P<attr>@SIZE|length)( order| ranking)?
    |\bin terms of (their |its |the )?(?P<attr2>size|area|extent|footprint|length|bulk|dimensions|coverage|surface)
    |\bfrom (the )?(?P<first>large|largest|big|biggest|small|smallest|tiny|great) to (the )?(small|smallest|large
    |largest|big|biggest|tiny|least|great|tiniest)|\b(largest|biggest) to smallest|\b(size|area)[- ](order|ranking
    |list|league|table)\b|\b(size|area)(?=,? rank \d))
HEADS = \b(head(s|ing)?|top(s|ping)?|lead(s|ing)?) (?=the (list|rank|table|order|size|field|league))
""",
    BLOCKS | SIZE_BLOCKS | {"NUMBER": NUMBER, "ORDINAL": ORDINAL, "EXTREME": EXTREME},
)
_GROUPS = {
    "two": "pair|couple|duo|twosome|brace|twins?|double",
    "three": "trio|triplets?|threesome|triad|triple",
    "four": "quartet|foursome|quadruplets?|quadruple|tetrad|quad",
    "five": "quintet|fivesome|quintuplets?",
    "six": "sextet|sixsome|half-dozen|half a dozen",
    "seven": "septet|heptad",
    "eight": "octet|ogdoad",
}

GROUP_RULES: tuple[Rule, ...] = (
    *table(
        r"""
# "a handful of tanks"
[handful|bunch|group|number|collection|cluster|scatter|smatter|set of] ^(?!the number)(the|a|an)\ ((small|large
    |little|whole|tight|loose|scattered) )?(handful|bunch|group|number|collection|cluster|scattering|smattering
    |gathering|set|crowd) of (the )?(?=[\w-]+( [\w-]+)?s\b) => the
"""
        + "".join(
            rf"""
[{words.replace("?", "")}] (^|(?<=^of )|(?<=^out of )|(?<=^among )|(?<=of the )|(?<=of )|(?<=both ))
    ((the|a|an|that|this|these|those) )?((=@PICKED) )?({words})
    ( of| (formed|made|composed|constituted)( up)?( by| of| from)) (the |these |those )? => the {number} \1
[{words.replace("?", "")}] ^(the )?(=(left|right|top|bottom|upper|lower|(north|south|east|west)ern)([- ]hand)?)
    \ ({words}) of (the )? => the \1 {number}
"""
            for number, words in _GROUPS.items()
        ),
        _BLOCKS,
    ),
    *table(
        r"""
[all ] ^(the )?(=[\w -]+s), (all|both)( of the)?( (=@NUMBER))$ => the \2 \1
[both|all ] ^(the )?(=[\w -]+s),? (both|all two|the two)( of them)?$ => the two \1
[all ] ^(the )?(=[\w -]+s),? all (=@NUMBER) of them$ => the \2 \1
[hich] ^(=(of|among|out of|from) [^,]+), which (one |of them )?(?=(@FINITE) ) => \1, the one that
[twin|paired] ^(the )?(twin|paired) (?=[\w-]+( [\w-]+)?s\b) => the two
^((the|a|an|that|this) )?(\w+ )?@SET @OF (the )?(?=(@NUMBER) ) => the
[each|every|all] ^(every|each|all)( single)?( one| member)? of (the|these|those) (?=@NUMBER ) => all
[number] ^(the )?(@SET of )?(=[\w -]+?),? (that |which )?number(s|ing)? (exactly )?(=@NUMBER)( in (all|total))?$
    => the \2 \1
[number|total|in all|altogether|told] ^(the )?(?!@NUMBER )(=[\w -]+?),? (=@NUMBER) (in (number|total|all|count)
    |of them|altogether|all told)( in (total|all))?$ => the \2 \1
[total|in all|altogether|told|number] ^(=((the|all) )?@NUMBER [\w -]+?),? (in (total|all|number)|altogether
    |all told)$ => \1
[which there] ^(the )?(=[\w -]+?),? of which (there are|you (can )?see|one sees|we see) (=@NUMBER)$ => the \2 \1
[which there] ^(the )?(=[\w -]+?),? (there (are|being) (=@NUMBER)( of them)?|(=@NUMBER) strong)$ => the \2\3 \1
[qty|quantity|count|number|x|×|n] ^(the )?(=[\w -]+?s),? (qty|quantity|count|number|no|n|x|×)[ :=.]*(=@NUMBER)$
    => the \2 \1
^(the )?(=[\w -]+s), (=@NUMBER)$ => the \2 \1
[x|×] ^(=@NUMBER) ?[x×] (?=\w) => the \1
^(=((the|all|both|those|these) )*(@NUMBER|both) [\w -]+?),? (without (omitting|missing|skipping|leaving out
    |forgetting|exception)( (either|any|one|none))?( (one|of them))?|no more(,)?( and)? no (less|fewer)|no (less
    |fewer)(,)?( and)? no more|(the )?one and the other( alike)?|in their entirety|making up (this|the|that) \w+
    |one and all|(each|every one) of them|the lot( of them)?|together|as a group|in full|(that are )?all of them
    |alike|inclusive)$ => \1
# "which of the tanks reaches furthest west", "which tank takes second place"
[hich|hat] ^(which|whichever|what|whatever) (one )?of (the|these|those
    |all the) (=([\w-]+ ){0,2}?[\w-]+) (?=(@FINITE) )(?!(is|are) (the )?@PICKED$) => the \1, the one that
[hich|hat] ^(which|what|whichever) (?!of\b|one\b)(=([\w-]+ ){0,3}?[\w-]+?)( here| there)? (?=(@FINITE) ) => the \1 that
[hich is|hat is] ^(which|what) (one )?is (?=the ) =>
# "of the various tanks in view, whichever ..."
[among|out of|from] \b(=@PICKED|one|ones) (from )?(among(st)?|out of) (?=(all )?(the|these|those)\b) => \1 of
[various|many|several|visible|different|numerous|assorted|sundry|whole] \b(=of|among(st)?|from) (=all )?(of )?(=the
    |these|those) (various|many|several|visible|different|numerous|assorted|sundry|whole (group|set|lot
    |collection) of|group of|set of|cluster of|collection of) (the )? => \1 \2\3
[group|set|cluster|collection|crowd] \b(=of|among(st)?|from) (the|this|that) (group|set|cluster|collection|crowd|lot
    |bunch) of (the )?(?=[\w-]+) => \1 the
^(out of|of|from among(st)?|among(st)?|from|considering|taking) (all |every |each )?(of )?((the|these|those) )?
    (?!(the )?@NUMBER )(=((?!, )[\w -])+?)(,? @SEEN)?, ((?!the)\w+ (out |me )?)?(the (single )?one|whichever( one)?
    |the \1|that one|it is the one|that(?= which)|the (?=(one )?that )) (?!of\b) => the \1, the one
[the one ] ^(the one|that) (=(with|having|whose|that|which) .+?) (of|among(st)?|out of|from among) (all )?(the|these
    |those) (?!@NUMBER )(?=[\w-]+( [\w-]+)?s\b)(=.+)$ => the \2, the one \1
[the one ] ^the one ((lying|placed|situated|located) )?((further|farther|more|higher|lower) )?((on|to|at
    |towards?) the )?(=(left|right|top|bottom|upper|lower|north|south|east|west)\w*) of (?=(the|these
    |those) @NUMBER ) => the \1 of
[those|ones] ,? (out of|of|from among(st)?|among(st)?|from) (all )?(those|the ones|these)(?= (in|on|at|that|which|to
    |along|near|with|over|towards?|located|situated|placed|found|positioned|\w+ing)\b) =>
[those|ones] ,? (out of|of|from among(st)?|among(st)?|from) (all )?(those|the ones|these)( of)?(?= the (\w+ half
    |\w+ part|left|right|west|east|north|south|top|bottom|upper|lower)) => that are in
,? @SEEN(?=$|,| (in|on|at|near|that|which|along|across|within|towards?|around|inside|by|over|down|up|amid|against
    |to) (?!view)) =>
[anywhere|whatsoever|at all] ,? (anywhere|whatsoever|at all)$ =>
[as the|as this|as it|as they] ,? as ((the|this) (image|picture|photo|scene|map) is \w+|it appears|it is shown|shown
    |depicted|viewed|seen from (above|the air))( here)?$ =>
[lot|bunch|set|batch|all|collection|group] (=(@PICKED|furthest|farthest|nearest|closest).*?)( of| in)
    ( the (whole |entire )?(lot|bunch|set|batch|collection|group|world)| them all| all( of them)?)$ => \1
# "of the two largest tanks, the left one"
[of|among] ^(out of|of|among(st)?|from) (=(the|these|those) @NUMBER [^,]+?),? ((the|whichever (one )?is( the)?) )
    (one (on the |to the |at the |further |farther |more |lying |that is )*(the )?)?(=[\w-]+( [\w-]+)?)( ones?)?
    ( in (size|area|extent))?$ => the \2 of \1
[one] ^(=(the|these|those) @NUMBER [^,]+), (the|whichever is
    ( the)?) (one (on the |to the |at the |further |farther |more |lying |that is )*(the )?(=[\w-]+( [\w-]+)?)
    |(=[\w-]+( [\w-]+)?) ones?)$ => the \2\3 of \1
[and ] ^(=(the|these|those) @NUMBER [^,]+?),? and (then )?(outline|mark|take|pick|show|select|segment|choose|find
    |highlight|give me|return|keep|box|circle|tag|trace) the (=[\w-]+( [\w-]+)?)( one)?( of (them|these|those
    |the two))?$ => the \2 of \1
[of the|of these|of those] ^the (further |farther |more )?(=[\w-]+( \w+)?)( ones?)? of (?=(the|these|those) @NUMBER )
    => the \1 of
""",
        _BLOCKS,
    ),
)
"""Applied before anything is put in signs."""

_PLACES_IN_ORDER = {
    "one": "first",
    "1": "first",
    **{key: ORDINALS[n - 1] for word, n in NUMBERS.items() if n <= len(ORDINALS) for key in (word, str(n))},
}
_FILLER = frozenset(
    re.findall(
        r"\S+",
        "see sees seeing notice notices spots "
        "in the sequence order row line series when if as one you we i reading read reads counting count counted "
        "counts scanning scan scanned going goes go coming comes come moving move moves working encountered encounter "
        "encounters met meet meets reach reached reaches hit hits upon across entering enter on along that which is "
        "are proceeding proceeds proceed eye travels starting start starts place position inward inwards would ranked "
        "ranks rank ranking standing stands arriving viewed looking sweeping sweep way one's up down over out from at "
        "by it to with beginning begin begins number and appears appear passing pass of among being be listed "
        "numbered traversing sits sitting lies lying located positioned placed found seen spot through get gets their "
        "your eyes gaze travelling end turn arrives strikes find finds run an a side approaching approached travel "
        "traveling ordered sorted arranged taken walking walk walks crossing cross look looks you're whichever this "
        "time very position you'd scanned come line lined them lay laid put",
    )
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
    if match["onein"] or match["runner"]:
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

    text = compiled(_BLOCKS["SCAN"]).sub(start, signs.text)
    ranks = list(compiled(_BLOCKS["RANK"]).finditer(text))
    if not starts or len(ranks) != 1 or len({cell_of(words) for words in starts}) != 1 or cell_of(starts[0]) is None:
        return
    noun = noun_among(text[: ranks[0].start()] + " " + text[ranks[0].end() :], _FILLER)
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
_SIZE_FILLER = _FILLER | frozenset(
    re.findall(
        r"\S+",
        "sorting ordering arranging sort listing "
        "list ranking rank ranked table league ordered sorted arranged they them takes take taking holds holding "
        "occupies place are come goes listed both all these those measured field",
    )
)


def ranked_by_size(signs: Signs) -> None:
    """Read "the tank that comes last when they are ordered from large to small" as "the first smallest tank".

    Args:
        signs: a sentence; changed in place.
    """
    told = compiled(_BLOCKS["HEADS"]).sub("first ", signs.text)
    orders = list(compiled(_BLOCKS["ORDER"]).finditer(told))
    if len(orders) != 1:
        return
    order = orders[0]
    text = f"{told[: order.start()]} {told[order.end() :]}"
    text = re.sub(r"\brunner-?(?: )?up\b", "second", text)
    ranks = list(compiled(_BLOCKS["RANK"]).finditer(text))
    if len(ranks) != 1:
        return
    noun = noun_among(text[: ranks[0].start()] + " " + text[ranks[0].end() :], _SIZE_FILLER)
    if noun is None or re.search(SIZE_BLOCKS["SUPERLATIVE"], noun):
        return
    ordinal, is_backward = ordinal_in(ranks[0])
    is_upward = bool(order["up"]) or (order["first"] or "").lower() in ("small", "smallest", "tiny")
    least = is_backward != is_upward
    is_length = "length" in (order["attr"] or order["attr2"] or "")
    best = ("shortest" if least else "longest") if is_length else ("smallest" if least else "largest")
    noun = f"two {noun}" if re.match(r"both\b", text) else noun
    several = re.match(r"(?:the )?(?:two|three|four|five) ", noun)
    signs.text = f"the {noun} that are the {best}" if several and ordinal == "first" else f"the {ordinal} {best} {noun}"
