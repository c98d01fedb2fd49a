"""How people ask: what stands before and after the thing itself, and says nothing about it.

>>> unframed("Hi, could you please show me where the ships are? Thanks!")
'the ships'
"""

from __future__ import annotations

import re

from rs2sam.language.signs import Rule, compiled, opposite, rewritten, table
from rs2sam.language.spelling import AWKWARD, FOLK, SPEECH
from rs2sam.language.words import DIRECTION, EXTREME, NUMBER, ORDINAL

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
    "mark (up|down)|verify|confirm|examine|inspect|watch|observe|sketch( out)?|add|make|write",
    r"(drop|stick|throw)(?=\san?\s)",
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

_MAX_STEPS = 3
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


_MARKS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\s+[-–—]+\s+|\s*[:;]\s+", ", "),
        (r"[\s,]*[(\[{]([^()\[\]{}]*)[)\]}]", r", \1"),
        (r"\s+/\s+", ", "),
        (r"\s@\s", " at "),
        (r"(?<=[a-z]{3})[.!?]\s+(?=\w)", ", "),
        (r"\.{2,}|…", ","),
        (r"\s+,", ","),
        (r",(?:\s*,)+", ","),
    )
)


def unmarked(text: str) -> str:
    """Put commas for dashes, colons, brackets and slashes.

    Args:
        text: a sentence.
    """
    for pattern, replacement in _MARKS:
        text = pattern.sub(replacement, text)
    return " ".join(text.split()).strip(" ,.?!")


_SPOKEN: tuple[Rule, ...] = table(
    r"""
# "ok so, um, ...", "Priority 1: ...", "hi team, ..."
(?<=[a-z]),? @FILLER,(?= ) => ,
^(@FILLER[ ,.!]+)+(?=\w) =>
(?<=\w) @FILLER(?=$|[ ,.!?]) =>
^((so|ok|okay|oh|ah|alright|all right|well|right|now|and|yeah|yes|yep|look|listen|hey|hi|hello|dear( \w+)?|yo|good\
    (morning|day|afternoon|evening)|greetings|sir|madam|team|all|everyone|friends?|then)[,!.] ?)+(?=\w) =>
^(so|ok|okay|oh|ah|yeah|yep|hey|yo|alright)( (so|then|now|there|well|yeah|ok|like))* (?=\w) =>
^(hi|hello|hey|dear) (team|all|there|everyone|guys|sir|madam|bot|assistant|computer|ai)[ ,!.]+(?=\w) =>
[,] ^(priority|task|target|goal|aim|item|step|query|request|question|q|wanted|object|todo|to do|note|order|mission
    |search|subject|re|point|job|case|label|class|instruction|prompt|input|answer|look-?up
    |find)( (number )?\d+)?, (?=\w)
    =>
^\(?\d+[.)] (?=\w) =>
[very] \bvery( very)+\b => very
[ like] (?<=,) like,? (?=the ) =>
[right] \bright (?=(up|down|over|out|along) (there )?(at|on|in|to|near|by) ) =>
[there|here] \b(up|down|over|out|back|right) t?here (?=(in|on|at|to|near|by|towards?) ) =>
[there] ^(=.+(left|right|top|bottom|middle|cent(er|re)|corner|side|edge|half|part|end)) (right |over |up |down )?there$
    => \1
# "..., if that helps", "(not the others)", "..., please do the needful"
[,] , (if (that|this|it) (helps?|makes sense|is (ok|okay|possible|clear))|if you (see|know|get|understand|could|would
    |like|want|have).*|in case .*|just in case.*|that['’]?s (it|all|the one).*|that is (it|all|the one).*
    |(do(ing)? )?the needful.*|please do .*|and nothing else|and no others?|nothing (more|else)|(and )?where is it
    |(and )?where (it|that) is|(and )?where (is|are) (it|they|that)|(ok|okay|right|yes|no|isn['’]t it|is it)
    |that one( there)?|this one|(as )?(requested|discussed|agreed|mentioned|usual|before)|because .*|since .*
    |so (that )?(we|i|you|they) .*|i (can['’]t|cannot) .*|you can['’]?t miss it.*|it['’]?s (easy|obvious|clear).*
    |whichever (it is|that is|one( it is)?)|whatever it is|for (the )?(record|report|reference|later|now|today)
    |for (my|our|the) [\w ]+|suitable .*|useful .*|(still|yet) to be \w+|to be \w+ed|any \w+|many thanks.*|thank.*
    |urgent(ly)?|first|quick(ly)?|regardless of .*|no matter .*|irrespective of .*|whoever .*|singular|plural
    |one only|only one|just one|just the one|just that( one)?|only that( one)?|only (it|this))$ =>
[to be|must|should|need|has to|have to] (?<=s) (are to|must|should|need to|needs to|has to|have to|ought to) be \w+(ed
    |wn|nd|pt|own)( (please|now|here))?(, .*)?$ =>
[and,] , and, => ,
[and where] ,? and where (is it|are they|it is|they are)$ =>
# "there are some tanks that we can see, ..."
(?<=[a-z]) @SAYS(?=$|, )(?<!that is) =>
(?<=s) @THERE, (?=the|that|which|whichever|all|both) => ,
^(=(the |all |which |what )?.*@RANK.*[a-z]) @THERE$(?<!(to|of) here)(?<!(to|is) there) => \1
\b(=@SUP|@EXTREME) (available|usable|visible|existing|present|possible|remaining|recorded|depicted|detected|observed
    |mapped|identifiable|single|individual|known|surveyed|discernible|listed|recognisable|recognizable) (?=[a-z]) => \1
[number|total|overall|measur] \b(measured|overall|total) (?=(length|size|area|extent|footprint)\b) =>
[en|at|iew|een] , (when |as |if )?(seen|viewed|looked at|measured|observed|judged)( [\w-]+){0,4}, =>
# "in the picture there are tanks, ..."
^(in|on) @THE_PIC,? (?=(there|we|you|one|i|mark|find|show|select|the) ) =>
^(looking|focus(s)?ing|concentrating|considering|zooming|searching|restricting (yourself|it)|limited|only|just)\
    (only |just |solely |in )?(looking )?(at|on|in|to|within)( only| just)? (?=the ) => in
^(=(of|among|amongst|out of|from|in|on|within|at) [^,]+),? (and )?@ORDER( (out|me|us))? (?=the (one|@RANK|left|right
    |upper|lower|top|bottom|\w+er)\b) => \1,
^(=(in|on|within|at|inside) the [^,]+), (and )?@ORDER( (out|me|us))? (?=(the|all|those|every|both|each) ) => \1,
^(=(in|on|within|at|inside|of|among) [^,]+), (which|what)( one)? (is|are) (?=the ) => \1,
^(take|pick|choose|select|get|keep|mark|find|show)( me)? (=(from|of|among|out of) [^,]+?) (?=the @RANK( one)?$) => \1,
^(of|among|amongst|out of|from) (all )?(the ones|those|the objects|everything|the things|anything|all)\
    (=((that|which) are )?(in|on|at|within) [^,]+), => \1,
^(of|among|amongst|out of|from) (all )?(the )?(=[\w-]+( [\w-]+)?)s (=(north|south|east|west|left|right|to the|on the
    |in the|at the|above|below|near|within) [^,]+), the (=@RANK)( one)?$ => the \3 \1 \2
^(of|among|amongst|out of|from) (all )?(those|the ones|the objects) (=(in|on|at|within) (the )?[^,]+), => \1,
[there] ^there(['’]s| is| are) (?=the @NUMBER ) =>
^(=.+) (available|present|visible) (?=(in|on|at|within|inside) ) => \1
[first|quickly|now|immediately] (?<=half|part|side|area|edge|left) (first|quickly|now|immediately|asap)$ =>
[among] \b(?P<n>[\w-]+)\b(=(?! of ).*?)(,)? (among|amongst|out of) (all )?(of )?(the|these|those) (?P=n)s?$ => \g<n>\2
[as] (?<=[a-z]),? as (seen|viewed|shown|depicted|visible)( (from (the )?(air|above|space|sky)|in (the )?(frame
    |image|plan
    |picture|photo|view|shot)))*$ =>
[last] ^((the|that) )?very (last|final) (=[\w-]+( [\w-]+)?) (on|at|to|towards?) the (far )?(=left|right|top|bottom|north
    |south|east|west)$ => the \1 furthest to the \2
[last but|second to last|penultimate|second last] ^(the )?(last but one|penultimate|second[- ](to[- ])?last
    |next to last)
    \ (=[\w-]+( [\w-]+)?) (on|at|to|towards?) the (=left|right|top|bottom|north|south|east|west)$
    => the second \1 from the \2
[last] ^(=(the|that) [\w-]+( [\w-]+)?) (way |far |right )?(over |out |up |down )?(=(on|at) the (=left|right|top
    |bottom)),?\
    (like )?the (very )?last( one)?$ => \1 furthest to the \3
[last] ^if you (keep|go on|continue|carry on)( going| moving)?( to the)? (=left|right|up|down|north|south|east
    |west) until\
    (there (is|are)|there['’]s|you (find|see|reach)) no( more| other)? (=[\w-]+( [\w-]+)??)s?( left)?, (that
    |the|it['’]s the)\
    (very )?(last|final)( one)?$ => the \2 furthest \1
# "not the biggest boat, the second biggest"
^not the @SUP (=[\w-]+( [\w-]+)?),? (but )?(rather )?(it['’]s |i want )?the (=@RANK)( one)?$ => the \2 \1
^not (the |just |only )?[^,]+?,? but (rather )?(?=the (?!(one|next) )|that ) =>
^not (the )?@SUP [^,]+, (but )?(it['’]s |i want )?(?=the ) =>
^not the first (=[\w-]+( [\w-]+)?) (=from the \w+) but the ((one|next)( one)?( (after|behind|next to)( it| that)?)?
    |following one|second( one)?)$ => the second \1 \2
# orders of all kinds: "Plot the three tanks", "Send a team to the northernmost tank", "Show the buyer the ..."
^(do )?(send|dispatch|assign|direct|move|draw|pay|give|set up|set|route|guide|steer|deploy|lead|take|bring|call|turn
    |attach|apply|add|allocate|grant|devote|shift|switch|commit|drive|navigate|proceed|go|head|fly|walk|point|task
    |train|focus|fix|keep|put|place|drop|stick|pin|zoom|cast|rest|lay|target|meet|land|stop|start|begin|work|look|fire
    |park|assemble|gather|station|report|lock)( ((a|an|our|your|my|the|more|some|high|top|first|full|extra) )?(attention
    |priority|emphasis|focus|resources|help|aid|crews?|teams?|units?|people|eyes?|somebody|someone|them|him|her|us|me
    |it|yourself|pin|marker|box|flag|drone|sensor|camera|cursor|pointer|helicopter|inspector|surveyor|mask|label|name
    |number|colou?r|point|cross|tick|star|vehicles?|support|rescuers|supplies|look))?( (over|back|up|down|in
    |out|straight
    |first))? (to|at|on|onto|for|towards?|around|into|by|with|over) (?=@THOSE ) =>
^(show|offer|give|send|tell|hand|sell|bring|get|find|lend|teach|deliver|assign|pass|present|assure|grant|leave)\
    (the \w+|them|him|her|us|me|everyone|people|someone|somebody|our \w+|my \w+) (?=@THOSE ) =>
^((can|could|would|will) (you|u|we|i|someone) )?(@ORDER( (out|off))?( (you|u|me|us))?
    |(zoom|look|search|aim|scan|hunt|watch|proceed|refer|attend|zero|hone|check|peer|glance|gaze|stare|click|tap|press)
    ( (out|in|over|up|down))? (at|for|to|on|upon|towards?))\
    (?=@THOSE )(?!(the|that|this) one ) =>
# "the really huge car, the biggest one there is"
^((the|that|this|an?|those|these) )?@BIG+(=[\w-]+( [\w-]+)?),? (i mean )?(=the @RANK)( (one|ones|@PIC))?( (of (them\
    )?all|of them|of the lot|there (is|are)|here|around|that there (is|are)))?$ => \2 \1
^((the|that|this|an?) )@BIG+(=[\w-]+( [\w-]+)?), (the one )?(?=(all|every|no|none|that|which|with) ) => the \1,
^(the |an? )?(=@RANK )(=[\w-]+( [\w-]+)?), (=@COLOUR)( (one|in colou?r|colou?red|colou?r))?$ => the \1 \3 \2
\b(=@COLOUR)[- ]colou?r(ed)? (?=[a-z]) => \1
""",
    SPEECH,
)
_NOT = re.compile(
    r"[,.]? (?:and |but )?(?:definitely |certainly )?"
    r"not (?P<what>(?:the )?(?:others?|rest|remaining)(?: (?:ones?|[\w-]+))?"
    r"|(?:the )?(?P<other>first|second|third|last|largest|biggest|smallest|big|small|little|longest|shortest|left|right"
    r"|top|bottom|upper|lower)(?: (?:ones?|[\w-]+))?(?: one)?"
    r"|(?:just|only) (?:one|some|a few|two|the first)(?: of (?:them|these|those))?|any (?:other"
    r"|of the others)(?: \w+)?)$",
    _FLAGS,
)
_TELLING = re.compile(rf"\b(?:{ORDINAL}|{NUMBER}|{EXTREME}|{DIRECTION}|both|\w+est|all(?= {NUMBER}\b))\b", _FLAGS)
_STORY = (
    r"^(?:so )?(?:(?:here )?there(?:['’]s| is| are)(?: also)?|(?:we|you|i|one) (?:can |could )?(?:see|have"
    r"|spot|find|notice)"
    r"|(?:we|i|you)['’]ve(?: got)?|it (?:has|shows|contains)|(?:the|this) \w+ (?:has|shows|contains"
    r"|depicts))(?: there)? "
    r"(?:(?:some|several|many|a few|a lot of|lots of|various|multiple|numerous|a number of|a bunch of"
    r"|quite a few|the|all"
    r"|these|those|different|a couple of|plenty of"
    r"|loads of) )*(?:@NUMBER )?(?P<noun>(?!@NUMBER)[\w-]+(?: [\w-]+){0,2}?s)"
    r"(?: (?:here|there|in (?:the|this) \w+|around|visible))?(?:[,.;] ?(?:and |but |so |then )?|,? (?:and|but) )"
    r"(?:of (?:them|these|those|which),? )?(?P<order>(?:[\w'’]+ ){0,5}?)(?:the )(?P<rank>@RANK|one|ones)"
    r"(?: ones?)?(?: of (?:them|these|those|all|them all))?(?P<rest>(?: (?:in|on|at|near|to|with|that|which"
    r"|from|by|of|north|south"
    r"|east|west|left|right|above|below|nearest|closest|farthest|furthest|next)\b.*)?)$"
)


def _singular(noun: str) -> str:
    """One of several, by the rules of spelling."""
    if noun.endswith("ies"):
        return f"{noun[:-3]}y"
    return noun[:-2] if re.search(r"(?:ss|x|z|ch|sh)es$", noun) else noun[:-1]


def _told(text: str) -> str:
    """Read "there are some tanks, I want the biggest" as "the biggest tank"."""
    if not re.match(r"(?:so |here )?(?:there|we|you|i|one|it|the|this)\b", text, _FLAGS):
        return text
    pattern = _STORY.replace("@RANK", SPEECH["RANK"]).replace("@NUMBER", NUMBER)
    match = compiled(pattern).match(text)
    if match is None or unframed(f"{match['order']}the thing") != "the thing":
        return text
    several = match["rank"].lower() == "ones" or re.match(rf"{NUMBER}\b", match["rank"], _FLAGS)
    noun = match["noun"] if several else _singular(match["noun"])
    rank = "" if match["rank"].lower() in ("one", "ones") else f"{match['rank']} "
    return f"the {rank}{noun}{match['rest']}" if rank or match["rest"] else text


def _without_negation(text: str) -> str:
    """Take off "(not the others)", where the rest tells enough."""
    match = _NOT.search(text) if " not " in text else None
    if match is None or not _TELLING.search(text[: match.start()]):
        return text
    other = (match["other"] or "").lower()
    if other in ("left", "right", "top", "bottom", "upper", "lower"):
        return text[: match.start()] if re.search(opposite(other), text[: match.start()], _FLAGS) else text
    return text[: match.start()]


def plain(text: str) -> str:
    """Leave out what is said by the way, and how an order is given.

    >>> plain("ok so, um, plot the three tanks, if that helps")
    'the three tanks'

    Args:
        text: a sentence in words that are one blank apart.
    """
    before = None
    for _ in range(_MAX_STEPS):
        if before == text:
            break
        before, text = (
            text,
            _told(_without_negation(rewritten(rewritten(rewritten(text, FOLK), _SPOKEN), AWKWARD).strip(" ,.?!"))),
        )
    return text
