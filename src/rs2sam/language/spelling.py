"""Words of place, size and rank with one wrong letter, put right: "smalest", "lefmost", "suothwest".

Only long words are put right, and only from what is no word itself: a wrong correction would change what is asked.
"""

from __future__ import annotations

import re
import string
from functools import cache

from rs2sam.language.signs import BLOCKS, Rule, named, rewritten, sections, table
from rs2sam.language.words import DIRECTION, EXTREME, NUMBER, ORDINAL

_WORDS = frozenset(
    re.findall(
        r"\w+",
        "largest biggest greatest smallest tiniest longest shortest nearest closest farthest furthest"
        " leftmost rightmost topmost bottommost uppermost lowermost northernmost southernmost easternmost westernmost"
        " northern southern eastern western northeast northwest southeast southwest northeastern northwestern"
        " southeastern southwestern upper bottom middle corner second fourth larger bigger smaller highest lowest"
        " upmost third center centre central image picture visible",
    )
)
"""Words that the reader knows and that few others resemble; "lower", "left" and "right" are near too many."""

_OTHER_WORDS = frozenset(
    re.findall(
        r"\w+",
        "large lager larder larges largess bagger bugger closes closet neatest upped uppers bottoms middles middled"
        " meddle muddle corners corned cornet corer coroner seconds forth fourths easter westerns thirds centers"
        " centres centred canter images imaged imager pictures pictured utmost lowes",
    )
)
"""Words of their own that are as near as a misspelling."""

_COMMON = {"teh": "the", "hte": "the", "rigth": "right", "rihgt": "right", "letf": "left", "lfet": "left"}
"""Swaps in words too short, or too near others, for the rule."""

_LETTERS = string.ascii_lowercase


def put_right(text: str) -> str:
    """Replace words that are one letter, or one swap of neighbours, away from a word of place, size or rank.

    Args:
        text: a sentence.

    Returns:
        The sentence; other words, blanks and marks stay as they are.
    """
    near = _nearest() | _COMMON
    text = re.sub(r"([a-hj-vx-z])\1{2,}", r"\1", text)  # "waaay"
    return re.sub(r"[A-Za-z]{3,}", lambda match: near.get(match[0].lower(), match[0]), text)


def _misspelled(word: str) -> set[str]:
    """All texts one insertion, deletion, replacement or swap away from a word; its first letter stays."""
    found = set()
    for at in range(1, len(word) + 1):
        head, tail = word[:at], word[at:]
        found |= {head + letter + tail for letter in _LETTERS}
        if tail:
            found.add(head + tail[1:])
            found |= {head + letter + tail[1:] for letter in _LETTERS}
        if len(tail) > 1:
            found.add(head + tail[1] + tail[0] + tail[2:])
    return found


@cache
def _nearest() -> dict[str, str]:
    """Each misspelled text with the one word that it is near to."""
    near: dict[str, set[str]] = {}
    for word in _WORDS:
        for text in _misspelled(word):
            near.setdefault(text, set()).add(word)
    return {
        text: next(iter(words))
        for text, words in near.items()
        if len(words) == 1 and text not in _WORDS and text not in _OTHER_WORDS
    }


_AFTER = r"(?=$|[ ,.;:!?])"
_PARTS = r"(side|edge|half|part|corner|end|border|margin|third|quarter|boundary|quadrant|area|zone|sector|hand)s?\b"
_LETTERS_OF = {"L": "left", "R": "right", "N": "north", "S": "south", "E": "east", "W": "west"}
_ABBREVIATIONS: tuple[Rule, ...] = table(
    r"""
[thats|whats|theres|wheres|whos|heres] \b(=that|what|there|where|who|here)s\b => \1 is
[ts got|t’s got|t's got] \b(=that|which|it)['’]s got\b => \1 has
[ got ] \b(=has|have) got\b => \1
[ve got|ve got] \b(=we|you|they|i)['’]?ve got\b => \1 have
[w] \bw\.? ?r\.? ?t\.?(?= ) => relative to
[w/] \bw/o\b => without
[w/] \bw/(?= ?\w) => with
[@] (?<=\w )@(?= ?\w) => at
[&|+] (?<=\w) ?[&+] ?(?=[a-z]) => and
[btm|botm|bttm] \b(btm|botm|bttm)\b\.? => bottom
[ctr|cntr|cent.|centr] \b(ctr|cntr|centr|cent(?=\.))\b\.? => centre
[upr|uppr|lwr|lowr|low.|upp.] \b(upr|uppr|upp(?=\.))\b\.? => upper
[lwr|lowr|low.] \b(lwr|lowr|low(?=\. \w))\b\.? => lower
[lhs|l.h.s|lh ] \bl\.?h\.?s\b\.?|\blh side\b => left side
[rhs|r.h.s|rh ] \br\.?h\.?s\b\.?|\brh side\b => right side
[max.|min.] \b(=max|min)\.(?= ) => \1
[approx|obs|appr|cca|ca.] \b(approx|appr|obs|cca|ca)\.(?= ) =>
[cf] ,? cf\.? (the )?(others?|rest)\b =>
[no|nr|num] \b(no|nr|num)\.? ?(?=\d (from|in|by|count|on|when)) => number
[#] #[ ](?=\d) => #
[o'c|o’c|oc|o c] (=^|,? )(at|in|to|towards?|on|near) (the |its |our |your |my )?(12
    |twelve) ?o['’ ]?clock( position)?\b => \1 at the top
[o'c|o’c|oc|o c] (=^|,? )(at|in|to|towards?|on|near) (the |its |our |your |my )?(3
    |three) ?o['’ ]?clock( position)?\b => \1 on the right
[o'c|o’c|oc|o c] (=^|,? )(at|in|to|towards?|on|near) (the |its |our |your |my )?(6|six) ?o['’ ]?clock( position)?\b
    => \1 at the bottom
[o'c|o’c|oc|o c] (=^|,? )(at|in|to|towards?|on|near) (the |its )?(9|nine) ?o['’ ]?clock( position)?\b => \1 on the left
[-to-] \b(=left|right|top|bottom|west|east|north|south)-to-(?=(left|right|top|bottom|west|east|north|south)\b)
    => \1 to
[-] \b(=second|third|fourth|fifth|[2-9](nd|rd|th))-(?=(largest|biggest|smallest|longest|shortest|nearest|closest
    |farthest|furthest|\w+most)\b) => \1
"""
    + "".join(
        rf"""
\b(=from|to|towards?|furthest|farthest|far|most|on|in|at|near|due) (=(the )?)(?-i:{letter})(?=$|[,.;:!?]
    | {_PARTS}) => \1 \2 {word}
^(=(the )?)(?-i:{letter}) (?={_PARTS}) => \1 {word}
"""
        for letter, word in _LETTERS_OF.items()
    )
    + "".join(
        rf"""
(?<![-\w])(?-i:[{first}]-?{second}){_AFTER} => {up} {_LETTERS_OF[second]}
"""
        for up, first in (("top", "TU"), ("bottom", "B"))
        for second in "LR"
    )
    + "".join(
        f"\n(?<![-\\w])(?-i:{up[0].upper()}{side[0].upper()})(?= {_PARTS}) => {up}{side}"
        for up in ("north", "south")
        for side in ("west", "east")
    ),
    BLOCKS,
)


def spelled_out(text: str) -> str:
    """Write abbreviations, initials and run-together words in full: "2nd from L", "thats", "w.r.t.".

    Args:
        text: a sentence in words that are one blank apart.
    """
    return rewritten(text, _ABBREVIATIONS)


SPEECH = named(
    r"""
PIC = (image|picture|photo|photograph|scene|view|map|frame|shot|screenshot|aerial|screen|pic|sheet|area|aoi)
THE_PIC = (the|this|that|my|our|your) ((whole|aerial|satellite|drone|above|following|attached) )?@PIC
SUP = (largest|biggest|greatest|smallest|tiniest|littlest|longest|shortest|hugest)
RANK = (((@ORDINAL|@NUMBER)[- ])?(@SUP|@EXTREME|highest|lowest|nearest|closest|farthest|furthest))
BIG = ((really|super|very|so|pretty|quite|that|extremely|incredibly|teeny|itty|tiny|little|small|huge|big|giant|long
    |enormous|massive|gigantic|short|large|wee|bitty|dinky|whopping|humongous|mini|mega|ginormous|monster|massively) )
COLOUR = ((light|dark|pale|bright) )?(white|black|red|blue|green|gr[ea]y|yellow|orange|brown|purple|pink|beige|silver)
# words that no order begins with: before "the" they are more than a way to ask
NO_ORDER = (all|both|half|most|some|any|none|many|few|each|every|of|in|on|at|to|for|from|by|with|within|without|near
    |above|below|beneath|under|over|behind|beyond|beside|besides|between|among|amongst|along|across|around|against
    |opposite|inside|outside|through|towards?|toward|past|off|up|down|not|no|never|is|are|was|were|be|has|have|had
    |what|which|who|whose|where|when|that|this|these|those|just|only|even|except|exclude|ignore|skip|omit|avoid
    |remove|delete|drop|erase|hide|discard|leave|miss|forget|but|than|as|and|or|if|do|does|cannot|can|nor|then|so
    |unlike|like|until|since|while|once|because|count|neither|either|minus|bar|save|via|per|next|close|adjacent
    |nearest|closest|left|right|top|bottom|upper|lower|north|south|east|west|n|s|e|w|spare|clear|dismiss|reject
    |compare|swap)
ORDER = (?!@NO_ORDER\b)(?!\w*([^s]s|ing|ed|ly|est|er)\b(?<!focus)(?<!cover)(?<!deliver)(?<!consider)(?<!monitor)
    (?<!offer)(?<!register)(?<!enter)(?<!discover)(?<!embed)(?<!need))[a-z][\w-]*
THOSE = (the|all(?! the way)|those|these|each|both|every|any)
# what is said by the way
FILLER = (um+|uh+m?|erm?|hmm+|lol|haha|omg|btw|by the way|imo|imho|fyi|tbh|asap|thx|tnx|ty|cheers|pls|plz|plis|kindly
    |please|you know|y['’]know|ya know|(i|we) (think|guess|believe|suppose|reckon|mean|hope|assume)|i['’]d say
    |i would say|basically|literally|obviously|honestly|actually|simply|probably|apparently|presumably|definitely
    |certainly|surely|undoubtedly|clearly|evidently|seemingly|supposedly|if you (will|please|can|don['’]t mind|wish)
    |if possible|so to speak|as it were|to be (honest|precise|exact|clear|specific|sure)|kinda|sorta|pretty much
    |more or less|that is to say|or so it seems|as far as i can (see|tell)|if i may|for example|for instance
    |of course|needless to say|in my (opinion|view)|mate|dude|bro|folks|guys
    |(?<!any )(?<!all )(?<!every )(?<!some )(?<!a )(?<!this )(?<!that )(?<!the )(?<!one )(?<!what )(?<!its )(?<!same )
    (sort|kind) of)
# participles that say only that a thing is there
THERE = (present|visible|shown|depicted|detected|observed|surveyed|recorded|mapped|displayed|imaged|captured|marked
    |available|concerned|in question|identified|listed|pictured|spotted|photographed|registered|catalogued
    |in shot|in sight|in view|in evidence|on site|on scene|on record|on file|on the ground|on display|on (the )?screen
    |on here|in here|in there|at the site|on offer|at hand|overall|altogether|anywhere|in existence|going|at present
    |(that )?there (is|are)|that exists?|(right |over )?t?here|i can see|to choose from|out there|around here)
SAYS = ((that |which )?(we|you|i|they|one|our \w+|my \w+) ((can|could|may|might|have|had|just|already|now) |['’]ve )*
    (see|spot|find|found|marked|mapped|detected|identified|counted|got|get|have|had|recorded|surveyed|noted|observed
    |spotted|located|listed|logged|noticed|photographed|captured|imaged|make out|made out|saw|seen|discern)
    ( (here|there|so far|today|earlier|before|yesterday))*)
""",
    {"ORDINAL": ORDINAL, "NUMBER": NUMBER, "EXTREME": EXTREME, "DIRECTION": DIRECTION},
)
"""What is said when things are asked for."""

AWKWARD: tuple[Rule, ...] = table(
    r"""
# the rank or the kind said awkwardly
[most] \bmost (nearby|near|close|closest|nearest|closely) (?=(to|by|the) ) => nearest
[instance|example|specimen|occurrence] ^(=all|both|any|every|each|the @NUMBER|@NUMBER) (the |of the )?(instance|example
    |specimen|occurrence)s? of (=[\w-]+( [\w-]+)??)(s?)(?=$| (in|on|at|near|that|which|to|from)\b) => \1 \2s
[instance|example|specimen|occurrence] \b(instance|example|specimen|occurrence)s? of (an? |the )?(?=[a-z]) =>
[instance] (?<=[a-z]) instance(?=$|,| (in|on|at|near|that|which|with)\b) =>
[instance] (?<=[a-z]) instances(?=$|,| (in|on|at|near|that|which|with)\b) => s
[pools|s] ^(=(the |all )?@NUMBER [\w -]+s)( @THERE)?, ((all|both|each|every one|each one)( of (them|these|which))?\
    ((to be|still to be|are|must be|needs? to be|are to be) \w+|of (interest|note|relevance|importance|concern|them)
    |included?|involved|needed|required|wanted|relevant|important|suspicious|counted|accounted for|in one go|selected
    |at once|alike|logged|flagged|count|matter|please|as one|as a set|equally|concerned)|no exceptions?|none (missing
    |missed|left out|excepted|omitted|excluded)|every one|every last one|the whole lot|each and every one)$ => \1
^(all|each|every one) (=@NUMBER) of (the|these|those) (?=[a-z]) => all \1
^(all|each) of (the|these|those) (?=@NUMBER [a-z]) => all
^(both|both of)( of)? (these|those|the) (?=[a-z]+) => both
^(=(both|all|the|these|those) .*s) in (the|this|that|my|our|your) (listing|list|report|record|records|brochure|log|plan
    |survey|inventory|table|sheet|catalogue|register|database)$ => \1
^(=(both|all|the|these|those) .*s) within (the )?(image|picture|frame|map|scene) (limits|bounds|boundary|boundaries
    |borders|frame)$ => \1
[axis] \b(=greatest|largest|longest|biggest|max|maximum|smallest|shortest|least|min|minimum) (length|extent|dimension
    |size|distance) (along|on|in|of) (its|the|their) ((main|principal|major|long|longer|longest|longitudinal|own
    |central) )+(axis|direction|dimension|side)\b => \1 length
[axis|dimension|side|diagonal] \b(=longest|largest|greatest|shortest|smallest) ((major|main|principal|long|longer
    |longitudinal) )+(axis|dimension|side)\b => \1 length
[linear|lengthwise|longitudinal] \b(linear|lengthwise|longitudinal) (extent|dimension|size|measure)\b => length
[minimi|maximi] ,? ((that|which) )?minimi[sz](es|ing|e) (the|its|their) distance (to|from) => closest to
[maximi] ,? ((that|which) )?maximi[sz](es|ing|e) (the|its|their) distance (to|from) => farthest from
[whose] ,? whose (bounding box|box|mask|centroid|cent(er|re)( point)?|outline|footprint|position|midpoint
    |polygon|shape)\
    (is|lies|sits|falls|comes) (=(the )?((@ORDINAL) )?(closest|nearest|farthest|furthest|@EXTREME)) => that is \1
[index|coordinate|value|column|pixel|x-|x ] ,? ((with|having|at|of|(that|which) has)|whose (\w+ ){1,3}?(has|is at|is))\
    (the )?(smallest|lowest|least|min|minimum|minimal) (x([- ](coordinate|value|index|position|pixel|coord))?
    |column( (index|number|coordinate))?)( in (image|pixel) (coordinates?|space))?$ => that is furthest to the left
[index|coordinate|value|column|pixel|x-|x ] ,? ((with|having|at|of|(that|which) has)|whose (\w+ ){1,3}?(has|is at|is))\
    (the )?(largest|highest|greatest|most|max|maximum|maximal|biggest) (x([- ](coordinate|value|index|position|pixel
    |coord))?|column( (index|number|coordinate))?)( in (image|pixel) (coordinates?|space))?$
    => that is furthest to the right
[row|y ] ,? ((with|having|at|of|(that|which) has)|whose (\w+ ){1,3}?(has|is at|is)) (the )?(smallest|lowest|least|min
    |minimum|minimal) (row( (index|number|coordinate))?|y[- ](pixel|(coordinate|value|index|position) in (image|pixel)\
    (coordinates?|space)))$ => that is furthest to the top
[row|y ] ,? ((with|having|at|of|(that|which) has)|whose (\w+ ){1,3}?(has|is at|is)) (the )?(largest|highest|greatest
    |max|maximum|maximal|biggest) (row( (index|number|coordinate))?|y[- ](pixel|(coordinate|value|index|position) in\
    (image|pixel) (coordinates?|space)))$ => that is furthest to the bottom
[centroid|center|centre|middle] \bcentroid of (?=@THE_PIC) => centre of
[corner] \bin the corner (on|at|in|to|towards?) (the )?(=(top|bottom|upper|lower)[- ](left|right)|(north
    |south)[- ]?(east
    |west))\b([- ](hand )?side)? => in the \1 corner
[corner] \bin the corner( (at|on|in|to|towards?) the)? (=left|right) (below|beneath|down)\b => in the lower \1 corner
[corner] \bin the corner( (at|on|in|to|towards?) the)? (=left|right) (above|up)\b => in the upper \1 corner
[completely|totally|entirely|fully|all the|absolutely|wholly] \b(completely|totally|entirely|wholly|utterly|fully
    |absolutely) (=at|on|to) the (=left|right|top|bottom)(?=$|,| of @THE_PIC) => \1 the very \2
[bang|smack|plumb|slap|exact|precise|dead] \b((slap|smack)[- ])?(bang|smack|plumb|slap|exactly|precisely|dead)\
    (?=in the ((very|exact|dead) )?(centre|center|middle)\b) => closest to
[from above|from below] \b(=count(s|ing|ed)?|reading|going|coming|starting|@ORDINAL) from above\b => \1 from the top
[from above|from below] \b(=count(s|ing|ed)?|reading|going|coming|starting|@ORDINAL) from (below|beneath)\b
    => \1 from the bottom
[start|begin] \b(=start|begin)(s|n?ing)? (counting|reading|to count|looking|the count|from) (at|from|on|with|in)\b
    => \1 from
[while] \bwhile (?=(coming|going|counting|moving|reading|looking|scanning|travelling|walking)\b) => when
[than] \bthan (it|this one|that one)$ => than it
[by] \bby (the |a )?(clear |wide |large )?(margin|distance)$ =>
[as ] \b(=larger|bigger|smaller|longer|shorter) as (?=(all|every|any|the)\b) => \1 than
[what] (?<=[a-z]) what (?=(has|is|lies|stands|are|have|sits)\b) => that
[to see] \b(=is|are) to see (?=(on|in|at)\b) => \1
[from] ^(=.*@SUP|which is the .*@SUP) from (all )?(of )?(?=(the|these
    |those) (?!@DIRECTION\b)[\w-]+( [\w-]+)?s$) => \1 of
[of all|of those] (?<=[a-z]) of (all|those) @THERE$ =>
[ as] (?<=[a-z]),? as (in|on|from) @THE_PIC$ =>
[up|down|higher|lower] , the one ((that|which) is |lying |located |sitting )?(higher|(higher|further
    |farther) up)$ => , the upper one
[up|down|higher|lower] , the one ((that|which) is |lying |located |sitting )?(lower|(lower|further
    |farther) down)$ => , the lower one
[order] \bby (=size|area|length) in (=ascending|descending|increasing|decreasing) order\b => in \2 order of \1
[among|of|from] \b(=(@RANK|least|most)\b.*?) (from )?(among|amongst|out of|of) (all|them|them all|all of them
    |all (the |of the )?(others
    |rest)|(the|this) (whole )?(lot|bunch|set|group|pack)|everything|all those present)$ => \1
[than] \bthan (that|those|the one|the ones) of (?=(any|all|every|each|the other)) => than
[how] \b(for|in|by|in terms of|regarding) how (big|large|small) (it|they|each|each one) (is|are)\b => by size
[how] \b(for|in|by|in terms of|regarding) how (long) (it|they|each|each one) (is|are)\b => by length
[as per] \bas per (?=(its |their |the )?(size|area|length)) => by
""",
    SPEECH,
)
"""A rank or a kind that is said awkwardly."""

_TELLING = sections("telling.txt")
FOLK: tuple[Rule, ...] = table(_TELLING["rules"], named(_TELLING["words"], SPEECH))
"""How people tell it: step by step, by denying it of the others, with the place first."""
