"""Rules for places in the picture and for ends of an order.

They lead to a few wordings: "in the CELL (corner)", "furthest to the CELL", "second from the CELL". How rules are
written: see `signs.table`.
"""

from __future__ import annotations

from rs2sam.language.signs import BLOCKS, Rule, named, table
from rs2sam.language.words import ORDINAL

_BLOCKS = named(
    r"""
EDGES = (edge|margin|border|side|boundary|boundarie|rim|limit|frame ?line|line)s?
FURTHEST = (furthest|farthest|closest|nearest|tightest|hardest|deepest|most (nearly|closely|far|tightly|removed
    |remote|distant|advanced|displaced|shifted)|least (distant|remote|far|removed))
BETTER = (furthest|farthest|closest|nearest|most|least)
ADVERBS = ((up|down|over|out|off|away|back|along|across|round|in|on|towards?|to|at|from|into|against|by|near
    |touching|reaching|meeting|of|lying) )*
WAY = ((up|down|over|out|off|away|back|right|just|along|round|far(?= (up|down))|smack|bang|plumb|squarely|square
    |slap|somewhere|anywhere|roughly|well|mostly|mainly|directly) )*
TO = (in|at|on|to|near|along|towards?|around|round|about|within|inside|into|onto|upon|by|across|through|throughout
    |over|down|up|amid|amidst|against)
ITS_SIDE = (the |its |an? )?(very |extreme |exact |dead |absolute )?(@IMAGE_SIGN(['’]s)? )?(=@C)([- ]
    @PARTS){0,2}@OF_IMAGE
NOUN_BEFORE = (?<!^that)(?<!^the)(?<!^an)(?<!^a)(?<!^all)(?<!^any)(?<!^every)(?<!^each)(?<!^those)(?<!^of)(?<!next)
    (?<!close)(?<!adjacent)(?<!closest)(?<!nearest)(?<!est)(?<!relative)(?<=[\w\ue080-\ue09f])
AT = (the |an? )?(@IMAGE_SIGN(['’]s)? )?
CORNER = [- ](hand )?(corner|angle|nook|extremity)s?
""",
    BLOCKS | {"ORDINAL": ORDINAL},
)

PLACE_WORDS: tuple[Rule, ...] = table(
    r"""
[canvas|capture|footage|extract|window|snapshot|screen|display|crop|excerpt|clip|plate|panel|composition|panorama
    |print|frame|view|still] \b(=in|of|on|within|across|from|inside|over|through|throughout|down|up|about|around
    |round|into|amid) (the|this|that|our|your) ((whole|entire|full|aerial|satellite|current|given) )?(canvas
    |capture|footage|extract|window|snapshot|screen|display|crop|excerpt|clip|plate|panel|composition|panorama
    |print|still|field of view)\b(?! of)(?=$|[ ,.?!]) => \1 the image
[sheet|aoi|a.o.i|interest|extent|area|region|zone|layout|site|page|sector|premises|terrain|locality|roi] \b(=in
    |of|on|within|across|from|at|inside|over|through|throughout|down|up) (the|this|that|our|your) ((whole|entire
    |full|present|current) )?(map sheet|sheet|aoi|a\.o\.i\.?|roi|(area|region) of interest|((survey(ed)?|study|mapped
    |affected|imaged|search|target|covered|project|flight|disaster|monitored|scanned|shown|visible|whole|inspected
    |photographed) )(area|extent|region|zone|sector|site|block|footprint)|layout|site|page|terrain|locality|premises
    |extent|still|patch|chip|field of view|viewport|window)\b(?! of)(?=$|[ ,.?!]) => \1 the image
[sheet|image|picture|frame|photo|scene|screen|canvas|view|map|page] \b(=the (very )?|)(=left|right|top|bottom
    |upper|lower
    |north|south|east|west|northern|southern|western|eastern|[a-z]+-?hand) (sheet|image|picture|frame|photo|scene|screen
    |canvas|map|page|view) (?=(edge|border|half|side|margin|corner|boundary|part|third|quarter|limit)s?\b) => \1\2
[image|picture|frame|photo|screen|map] \b(=at|on|in|to|from|nearest|closest to) (image|picture|frame|photo|screen|map)\
    (?=(left|right|top|bottom|cent(er|re)|middle)\b) => \1 the
[image|picture|frame|photo|scene|view|canvas|shot|map] \b(the |this )?(image|picture|frame|photo|photograph|scene
    |view|shot|map|canvas)(['’]s)? (?=(exact |very |dead )?(cent(er|re)|middle|midpoint|heart)\b) => the
[foot|base|head|crown|heart|core|hub] \b(foot|base|bottom end) of (?=(the|this|that) (image|picture|photo|scene
    |frame|view|shot|map|tile)) => bottom of
[head|crown] \b(head|crown|ceiling) of (?=(the|this|that) (image|picture|photo|scene|frame|view|shot|map|tile))
    => top of
[heart|core|hub|nucleus|midst] \b(heart|core|hub|nucleus|midst) of (?=(the|this|that) (image|picture|photo|scene
    |frame|view|shot|map|tile)) => centre of
[sunset|sunrise|setting|rising] \b(=towards?|to|near|nearest|closest to) (the )?(sunset|setting sun)\b => \1 the west
[foot|base] \b(=the (very )?)(foot|base)$ => \1bottom
[head|crown] \b(=the (very )?)(head|crown)$ => \1top
[heart|core|hub|nucleus|midst] (?<=the )(heart|core|hub|nucleus|midst)$ => centre
[sunrise|rising] \b(=towards?|to|near|nearest|closest to) (the )?(sunrise|rising sun)\b => \1 the east
[point|midpoint|middle|cent|bull] \b((exact|precise|very|dead|true|absolute|geometric(al)?|optical|actual
    |central) )*(cent(er|re)[- ]?point|mid-?point|mid-point|middle point|central point|bull['’]?s[- ]?eye)\b => centre
[cent|middle] \b(exact|precise|true|geometric(al)?|optical|actual) (?=(cent(er|re)|middle)\b) =>
[dead] \b(=to|at|in|near|nearest|closest) (=the )?dead[- ](?=cent) => \1 the
[dead] \bdead[- ]cent(er|re|ral)(?= \w) => most central
[dead] (that is |, ?)?(?<!the )\bdead[- ]cent(er|re|ral)$ => that is the most central
[central] \bmost centrally([- ](located|placed|positioned|situated))?\b => most central
[central|middle] \b(central|middle|cent(er|re))-?most\b => most central
[hand] \b(=left|right)[- ]hand[- ]?most\b => \1most
[from] \bfrom (=west|east|north|south) to (?=(west|east|north|south)\b)(?=.*\b(first|last|final|@ORDINAL)\b)
    => from the \1 to the
[from] \b(=(first|last|final|@ORDINAL)\b.*?) (from )?(=west|east|north|south)[- ]to[- ](?=(west|east|north|south)\b)
    => \1 from the \2 to the
[line] \b(=(vertical|horizontal|image) )(cent(er|re)|middle|half-?way|central)[- ]?line\b => \1midline
[line] \b(cent(er|re)|middle|half-?way|central)[- ]?line of (?=(the|this) (image|picture|photo|scene|frame|view))
    => midline of
[south|north|east|west] \ (down|up|out|over|back) (=south|north|east|west)$ => in the \1
[ or ] \b(in|at|on) or (near|around|close to|by|at|next to|about)(?= the ) => in
[mid] \bin mid[- ]?(image|picture|frame|scene|photo|view)\b => in the centre
^(=[\w ,-]+[\w,]) (?-i:(=NW|NE|SE|SW))$ => \1 in the \2
[from] ^(the )?(=@ORDINAL)[- ]from[- ](the[- ])?(=left|right|top|bottom|west|east|north|south) (?!in |by |of |edge
    |side|border|margin|end)(=[\w-]+( [\w-]+)?)$ => \1 \3 from the \2
[very] \bvery (?=(highest|lowest|largest|smallest|biggest|tiniest|longest|shortest|first|last|\w+most)\b) =>
[most] \bmost cent(ered|red)\b => most central
[diagonal] \b(to )?where the ((two|image) )?diagonals (cross|meet|intersect)\b => to the centre
[them all|of all|among them|of the lot|in the group] , (of (them )?all|of (all )?the lot|among them
    |out of all of them|in the group), =>
[among|of the|in the] (=(furthest|farthest|nearest|closest|\w+most).*?) (among|amongst|out of|of) (them|them all
    |the (group|bunch|set|lot))$ => \1
[innermost] \binnermost\b => most central
[midway] \bmidway\b => halfway
[angle] \b(=(upper|lower|top|bottom)[- ](left|right)|(north|south)[- ]?(east|west)(ern)?)[- ](hand )?angle\b
    => \1 corner
[centrally] ^(=the |an? |all |all the )?centrally[- ](located|placed|situated|positioned) (?!in |at |on |within )
    (?=\w) => \1central
[most far] \bmost far (?=left|right|up|down|north|south|east|west|to) => furthest
[ as the| to be the] \b(that |which )?(stands? (out |apart )?as|counts? as|ranks? as|qualif(y|ies) as|(turns out
    |happens|proves|appears|seems) to be)(?= the (most|\w+est|\w+most|second|third)\b) => that is
[hichever|hich ] ^(whichever|which)( one)? of (=the @NUMBER .+) (is|lies|sits|stands|appears) (the )?((further
    |farther|more) )?((to|on|at) the )?(=[\w-]+)( one)?$ => the \2 of \1
[elevated|raised] \bmost elevated\b => highest
[going|moving|heading|go |move |head ] \b(going|moving|heading|go|move|head)s? (?=(left|right|top|bottom|west|east
    |north|south) to ) => reading from
[going|moving|heading|go |move |head ] \b(when|if|as|while|on|by) (you |one |we )?(going|moving|heading|go|move
    |head)(e?s)? (?=(left|right|up|down|(north|south|east|west))(wards?)?\b) => when reading
[highest|lowest] \ (with|in|at|occupying|having|that (has|occupies|takes)) the (=highest|lowest) (position|place
    |spot|location|point|elevation)\b => that is the \1
[half|side|part] ^the (=([\w-]+ )?(left|right|top|bottom|upper|lower|western|eastern|northern|southern)
    ([- ]hand)?) (=half|side|part|corner)['’]s (=[\w -]+)$ => the \3 in the \1 \2
[whatever|any ] ^(whatever|whichever|any) (=[\w -]+?) (there (is|are|may be)|(one|you) (can )?finds?|(is|are) there)
    (?= ) => all \1
[outer] \b(=on|at|to|toward|towards) the outer (?=(left|right|top|bottom|upper|lower|west|east|north|south))
    => \1 the far
[outermost] \boutermost (=[\w-]+( [\w-]+)?) (on|at|to|toward|towards|in) the (?=(left|right|top|bottom|upper|lower
    |west|east|north|south)) => \1 furthest to the
[extreme] \b(at|on|in|to) the (=left|right|top|bottom|upper|lower|western|eastern|northern|southern)
    ([- ]hand)? extreme\b => on the far \1
[leftward|rightward] \b(=left|right)wards? (=of|from)\b => \1 \2
[placed|lying|hand] \b(=highest|lowest)-placed\b => \1
[up|low] \b(=upper|lower|top|bottom)[- ](=left|right)[- ]hand\b => \1 \2
(?<=[\w,]) (due )?(?-i:N) of (?=\w) => north of
(?<=[\w,]) (due )?(?-i:E) of (?=\w) => east of
(?<=[\w,]) (due )?(?-i:S) of (?=\w) => south of
(?<=[\w,]) (due )?(?-i:W) of (?=\w) => west of
""",
    _BLOCKS,
)
"""Before anything is put in signs."""

PLACE_RULES: tuple[Rule, ...] = table(
    r"""
# "out on the far right, the plane"
^@WAY(@TO )?(the )?(=@E)([- ]@PARTS){0,2}@OF_IMAGE, (=.+)$ => \2 that is \1
^@WAY@TO (the )?((very|far|extreme) )(=@C)([- ]@PARTS){0,2}@OF_IMAGE, (=.+)$ => \2 that is furthest to the \1
^@WAY@TO (the )?(=@C)(=([- ]corner)?)([- ]@PARTS){0,2}@OF_IMAGE, (=.+)$ => \3 in the \1\2
# "east of everything else", "higher in the frame than any other", "further left than all its fellows"
[@ALL] ( @VERB)?,? (placed |sitting |lying )?((further|farther|more|closer|nearer) )?@ADVERBS(the )?(=@C)([- ]
    @PARTS)?@OF_IMAGE (of|than|from) @ALL => that is furthest to the \1
[@ALL] ( @VERB)?,? ((placed|sitting|lying) )?(higher|further up|farther up)( up)?@OF_IMAGE than @ALL
    => that is furthest to the top
[@ALL] ( @VERB)?,? ((placed|sitting|lying) )?(lower|further down|farther down)( down)?@OF_IMAGE than @ALL
    => that is furthest to the bottom
[@ALL] ( @VERB| that is)? above @ALL => that is furthest to the top
[@ALL] ( @VERB| that is)? (below|beneath|under|underneath) @ALL => that is furthest to the bottom
# "with no other tank to its west", "than which nothing lies further north"
[@NONE] ,? (with|has|having|that has|which has|and|than which|for which|where there (is|are)) @NONE( @VERB| that is
    | is| are| lies)?( any)?( (further|farther|more))? @ADVERBS(its |the )?(=@C|up|down)([- ]@PARTS)?( (of|than
    |from) it(self)?)?@AT_END => that is furthest \1
[@NONE] ,? (with|has|having|that has|which has|and|than which) @NONE( @VERB| that is| is| lies)? (higher( up)?|above
    ( it)?)( than it)?@OF_IMAGE@AT_END => that is furthest to the top
[@NONE] ,? (with|has|having|that has|which has|and|than which) @NONE( @VERB| that is| is| lies)? (lower( down)?
    |(below|beneath|under(neath)?)( it)?)( than it)?@OF_IMAGE@AT_END => that is furthest to the bottom
[@NONE] ,? above which @NONE( \w+)?@AT_END => that is furthest to the top
[@NONE] ,? (below|beneath|under) which @NONE( \w+)?@AT_END => that is furthest to the bottom
[@NONE] ,? to (the (=@C)( side)? of which|whose (=@C)) @NONE( \w+)?@AT_END => that is furthest to the \1\2
[@NONE] ,? (that |which )?@NONE (is|are|lies?|sits?|stands?|appears?) (any )?((further|farther) )?(to the )?(=@C)
    ( of| than)?( it)?$ => that is furthest to the \1
[@NONE] ,? (that |which )?@NONE (is|are|lies?|sits?|stands?|appears?) (above|higher( up)?)( than)?( it)?$
    => that is furthest to the top
[@NONE] ,? (that |which )?@NONE (is|are|lies?|sits?|stands?|appears?) (below|beneath|under|lower( down)?)( than)?
    ( it)?$ => that is furthest to the bottom
[@ALL] ,? (that |which )?@ALL (is|are|lies?|sits?|stands?) (to the )?(=@C) of( it)?$
    => that is furthest to the @OPPOSITE\1
[@ALL] ,? (that |which )?@ALL (is|are|lies?|sits?|stands?) (below|beneath|under)( it)?$ => that is furthest to the top
[@ALL] ,? (that |which )?@ALL (is|are|lies?|sits?|stands?) above( it)?$ => that is furthest to the bottom
[@ALL] ,? (beneath|below|under) which @ALL( (is|are|lies?|sits?|stands?))?@AT_END => that is furthest to the top
[@ALL] ,? above which @ALL( (is|are|lies?|sits?|stands?))?@AT_END => that is furthest to the bottom
[@ALL] ,? to the (=@C) of which @ALL( (is|are|lies?|sits?|stands?))?@AT_END => that is furthest to the @OPPOSITE\1
# "that has every other tank beneath it", "with all the others to its west", "whose neighbours all lie to its west"
[@ALL] ,? (that |which )?(with|has|having|have) @ALL( @VERB)? (below|beneath|under(neath)?) it@AT_END
    => that is furthest to the top
[@ALL] ,? (that |which )?(with|has|having) @ALL( @VERB)? above it@AT_END => that is furthest to the bottom
[@ALL] ,? (that |which )?(with|has|having) @ALL( @VERB)? @ADVERBS(its |the )(=@C)([- ]@PARTS)?( of it)?@AT_END
    => that is furthest to the @OPPOSITE\1
[whose|with] ,? (whose|with) @KIN all (lie|are|sit|stand|lying|being|fall|appear) @ADVERBS(its |the )(=@C)([- ]
    @PARTS)?@AT_END => that is furthest to the @OPPOSITE\1
[@ALL] ,? (that |which )?@ALL (have|see|keep|find) @ADVERBStheir (=@C)([- ]@PARTS)?@AT_END
    => that is furthest to the \1
[@ALL] ,? to which @ALL (lie|are|sit|stand) (to (the |its )?)?(=@C)(wards?)?@AT_END
    => that is furthest to the @OPPOSITE\1
# "with only one other to its left"
[@ONE] ,? (that |which )?(with|has|having|whose) (only )?(@ONE|@KIN)( @VERB| that is)?( (further|farther
    |more))? @ADVERBS(its |the )?(=@C)([- ]@PARTS)?( (of|than|from) it(self)?| is @ONE)?( [\w]+)?@AT_END
    => that is second from the \1
[@ONE] ,? (that |which )?(with|has|having) @ONE( @VERB)? (above|over|higher( up)?)( it| than it)?@OF_IMAGE@AT_END
    => that is second from the top
[@ONE] ,? (that |which )?(with|has|having) @ONE( @VERB)? (below|beneath|under(neath)?|lower( down)?)( it| than it)?
    @OF_IMAGE@AT_END => that is second from the bottom
[@ONE] ,? (that |which )?(is |are )?(beaten|bettered|surpassed|outdone|exceeded|preceded) (by )?@ONE
    ( \w+)? in (how (far )?|being |lying |going )(further |far )?(to the )?((=@C)|(=@E))( it( (lies|is|sits|goes
    |reaches))?)?@AT_END => that is second from the \1@SIDE_OF\2
# "west of the vertical midline"
,?( @VERB| that is| that are)? (to the |on the )?(=@C)( side)? (of|from) (the )?(@IMAGE_SIGN(['’]s)? )?((vertical
    |horizontal|own|imaginary|image) )*(mid-?line|mid-line|@MIDDLE[- ]?line|centre-?line|center-?line|median
    |equator|meridian|axis|@MIDDLE|half-?way line|midway line)@OF_IMAGE@AT_END => in the \1 half
[above|over] ,?( @VERB| that is| that are)? (above|over) the (horizontal |vertical |image )?(mid-?line|@MIDDLE
    ([- ]?line)?|half-?way line|equator)@OF_IMAGE@AT_END => in the upper half
[below|under|beneath] ,?( @VERB| that is| that are)? (below|under|beneath) the (horizontal |vertical |image )?
    (mid-?line|@MIDDLE([- ]?line)?|half-?way line|equator)@OF_IMAGE@AT_END => in the lower half
,?( @VERB| that is| that are)? (in|within|at) the (=@E) (part|portion|section|region|area|quarter|third|half|zone
    |sector|band|strip)s?@OF_IMAGE@AT_END => in the @SIDE_OF\1
# "where the top and left margins meet", "in the angle formed by the upper and right-hand borders"
[meet|join|intersect|converge|touch|cross|come] ,?( @VERB| that is)? ((at|in) the (corner|angle|spot|point
    |place) )?where the (=@C)( @EDGES)?( (and|meets|joins|touches)( the)? (=@C))?( @EDGES)?( (meet|join|intersect
    |converge|touch|cross|come together)( up)?)?@OF_IMAGE@AT_END => in the \1 \2 corner
[corner|angle|nook] ,?( @VERB| that is)? (in|at|into|within) the (corner|angle|nook)( that is)? (formed|made
    |enclosed|where|created|bounded|shared)?( ?by| of| between)? the (=@C)( @EDGES)?( and( the)? (=@C))?( @EDGES)?
    @OF_IMAGE@AT_END => in the \1 \2 corner
[up] ,?( @VERB| that is)? (high )?up (high )?(in|at|into|on|near) the (=@C)(?=[- ](hand )?corner) => in the top \1
[down] ,?( @VERB| that is)? (low )?down (low )?(in|at|into|on|near) the (=@C)(?=[- ](hand )?corner) => in the bottom \1
# "high on the right", "low in the frame", "up and to the left"
[high|top|up] ,?( @VERB| that is)? ((quite|very|fairly|rather|well) )?(high( up)?|up( high)?(?= and)) (and |over )?
    (on|at|to|towards?|in) the (=@C)([- ]@PARTS)?@OF_IMAGE@AT_END => in the top \1
[low|down] ,?( @VERB| that is)? ((quite|very|fairly|rather|well) )?(low( down)?|down( low)?(?= and)) (and |over )?
    (on|at|to|towards?|in) the (=@C)([- ]@PARTS)?@OF_IMAGE@AT_END => in the bottom \1
[high] ,?( @VERB| that is| that are)? (well )?high( up)?$ => in the top
[low] ,?( @VERB| that is| that are)? (well )?low( down)?$ => in the bottom
[high] ,?( @VERB| that is| that are)? (well )?high( up)? (in|on|within) @IMAGE_SIGN@AT_END => in the top
[low] ,?( @VERB| that is| that are)? (well )?low( down)? (in|on|within) @IMAGE_SIGN@AT_END => in the bottom
[amid|middle|mid] ,?( @VERB| that is| that are)? (amid|amidst|in (the )?mid) @IMAGE_SIGN
    (, (well )?away from \w+ (border|edge|margin|side)s?)?@AT_END => in the centre
,? @VERB (@WAY)((at|on|in|to) )?the (very|far|extreme) (=@SIDE)([- ](hand |frame ?)?(edge|end|side|border|margin|tip
    |limit))?@OF_IMAGE@AT_END => that is furthest to the \1
# "with the westernmost position", "that enjoys the southernmost spot"
[position|place|spot|location|placement|site] ,? ((that|which) )?(with|having|has|in|at|occup(ying|ies)|holding|holds
    |enjoy(s|ing)|tak(es|ing)( up)?|claim(s|ing)|own(s|ing)) the (=@E) (position|place|spot|location|placement|site)
    ( (relative to|compared (to|with)|among|of|in relation to) (all|@ALL|@KIN)( (those|others|\w+))?( on offer)?)?$
    => that is \1
[@NONE] ,? (=@C) of which (there (is|are|lies?) )?@NONE( \w+)?@AT_END => that is furthest to the \1
[@NONE] ,? beyond which,? (to|on|in|towards?) the (=@C),? (there (is|are) )?@NONE( (is|are) \w+| \w+)?@AT_END
    => that is furthest to the \1
[@NONE] ,? where (there (is|are) )?@NONE (is|are|lies?) ((further|farther) )?@ADVERBS(the )?(=@C)@AT_END
    => that is furthest to the \1
[extremity|tip|fringe|limit|edge] ,?( @VERB)? (at|on) the extreme (=@C) (edge|end|side|border|margin|tip|extremity)
    @OF_IMAGE@AT_END => that is furthest to the \1
[whose] \ whose (position|location|place|spot|@MIDDLE|middle point) (is|lies|comes|falls|sits) (?=(the )?(@BETTER
    |@E)) => that is
[from] ,?( @VERB| that is| which is| that are| is| are)? (the )?((=@ORDINAL) )?(furthest|farthest|most (removed
    |remote|distant|far))( (away|off|out))? from (the )?(very )?(=@SIDE)([- ]@PARTS){0,2}@OF_IMAGE@AT_END
    => that is \1 furthest to the @OPPOSITE\2
[distance] ,?( @VERB| that is| that has)?( (with|at|having))? (the )?(largest|longest|most|max(imum
    |imal)?) distance (from|to)\ (the )?(=@SIDE)([- ]@PARTS){0,2}@OF_IMAGE@AT_END
    => that is furthest to the @OPPOSITE\1
[down|up] ,?( @VERB| that is| which is| that are)? (the )?(furthest|farthest) (=up|down)( (in|on|within))?
    ( @IMAGE_SIGN)?@AT_END => that is furthest \1
[closest|nearest|most|tight] ,? @VERB @ITS_SIDE (the )?(closest|nearest|tightest|most (closely|tightly|nearly))
    @AT_END => that is furthest to the \1
[@ALL] ,? @VERB @ITS_SIDE more (closely|tightly|nearly) than @ALL => that is furthest to the \1
[as] ,?( @VERB| that is)? as ((=@E)|far (to the )?(=@C)) as (any( of them| other)?|possible|it gets)@AT_END
    => that is furthest to the @SIDE_OF\1\2
[marks|marking|forms|forming|makes|defin] ,? (that |which )?(marks|marking|forms|forming|makes|making|defines
    |defining) the (=@C)([- ]hand)? (end|limit|edge|boundary|extremity|margin|tip)(( of the)( \w+){1,3})?$
    => that is furthest to the \1
# "the second closest to the left edge", "that lies most nearly in the middle", "pressed closest to the right"
[est|most|least] ,?( @VERB| that is| which is| that are| is| are)? (the )?((=@ORDINAL) )?@FURTHEST @ADVERBS@ITS_SIDE
    @AT_END => that is \1 furthest to the \2
,?( @VERB) (the )?(=@E)(?= than) => \1
,?( @VERB) ((at|in|on) )?(the )?(=@E)( (point|place|position|spot|@PARTS))?@OF_IMAGE@AT_END => that is \1
[right] \ right ((up|out|over|down|along) )?(against|at|on|by|to) (the )?(=@C) (edge|margin|border|limit|boundary
    |end|extremity|fringe)s?@OF_IMAGE( of (the|all) [\w-]+( [\w-]+)?)?@AT_END => that is furthest to the \1
[rear|the ] ,? (that |which )?(bring(s|ing) up the rear|(clos|end|finish|conclud|terminat|complet|open|start|begin
    |lead|head|top)(e?s|n?ing) (off )?the (line|row|queue|column|procession|series|sequence|string|run|order|list
    |set|file|pack|field|way)|trails the others)\ @ADVERBS@ITS_SIDE => that is furthest to the \1
# "at the eastern end"; where several are named, they are only thereabouts
[end|extremity|limit|tip|extreme] (?<!s),?( @VERB| that is| which is)? (right )?(at|on|near
    |by) the (very |far |extreme )?(=@SIDE)[- ](hand )?(end|extremity|limit|tip|extreme)@OF_IMAGE@AT_END
    => that is furthest to the \1
[of] \b(=that (is|are) (the )?(@E|largest|smallest|longest|shortest)) of (all )?(the |these |those )?
    [\w-]+( [\w-]+)?$ => \1
# "extreme left of the row", "at the eastern end of the line", "leading the group on the left"
[row|line|series|group|set|cluster|column|lot|bunch|string|array|formation] ,?( @VERB)?( (at|on|in|from
    |of))? (the )?((=@E)|(=@C)(?=([- ]hand)? (end|limit|extremity|tip|edge|head)))([- ](hand|end|limit|extremity
    |tip|edge|head|point|position|place))* (of|in) the (whole )?(row|line|series|group|set|cluster|column|lot|bunch
    |string|array|formation)\b( of (the )?[\w-]+)? => that is furthest to the @SIDE_OF\1\2
[member|one|element|item] (=@E|highest|lowest|(largest|smallest|longest|shortest)) (member|element|item|example
    |specimen|representative|one)s? (?=(of|among|in) ) => \1
[station|spot|position|place|slot] \ (occupying|taking|holding|filling|in) the (=@E) (station|spot|position|place
    |slot|point|berth)s?( of (them )?all| of the \w+)? => that is \1
,?( @VERB| that is| which is| that comes)? ((just|immediately|directly|right|straight|next in line|next|coming|one
    ( \w+)?) )?(after|behind|following|next to|beside|in from|along from|down from|up from|below|above) the (=@E)
    ( ones?| @KIN)?@AT_END => that is second from the @SIDE_OF\1
,?( @VERB| that is| which is)? (just|immediately|directly|right|next|one( \w+)?) ((to|on) the )?(@C( of)?|beneath
    |below|under|above|over|inside|short of) the (=@E)( ones?| @KIN)?@AT_END => that is second from the @SIDE_OF\1
[follow|succeed|second only|comes next|runner] ,? (that |which )?(follow(s|ing)|succeed(s|ing)|second only to
    |coming after|comes after)\ the (=@E)( ones?| @KIN)?( in [\w -]+)?$ => that is second from the @SIDE_OF\1
[runner] ^(the )?runner-?( )?up (for|as|to|in being) (the )?(=@E)(= .+)$ => the second \1\2
[one ] ,?( @VERB| that is)? (just )?one (place |position |spot |step )?((up|down|in|along|over|away|back
    |inward) )?from (the )?(=@C)([- ]@PARTS)?@OF_IMAGE@AT_END => that is second from the \1
[topmost|uppermost|northernmost|highest] ,?( @VERB| that is| which is)? (just|right|immediately|directly|one
    ( \w+)?) (below|beneath|under|after|down from|behind) the (highest|topmost|uppermost)( one| @KIN)?$
    => that is second from the top
[bottom|lowest|lower|southern] ,?( @VERB| that is| which is)? (just|right|immediately|directly|one( \w+)?) (above
    |over|up from|before|after) the (lowest|bottom-?most|lowermost)( one| @KIN)?$ => that is second from the bottom
[highest|lowest] ,?( @VERB) (the )?(=highest|lowest)( (up|down|placed))?@OF_IMAGE@AT_END => that is \1
[distance] ,? whose distance (from|to) @ITS_SIDE is (the )?(smallest|shortest|least|lowest|minimal)( of all)?@AT_END
    => that is furthest to the \1
[distance|gap|separation|offset|deviation|displacement] ,?( @VERB| that is| that has)?( (with|at|having))? (the )?
    (smallest|shortest|least|minimum|minimal) (distance|gap|separation|offset|deviation|displacement) (from|to
    |between it and) @ITS_SIDE@AT_END => that is furthest to the \1
[than any] ( @VERB)? (more|further) (=@C) than @ALL => that is furthest to the \1
# what remains: "strung out down the left-hand side"
@NOUN_BEFORE,? (@VERB @WAY(@TO )?|@WAY@TO )@AT(=@C)@CORNER@OF_IMAGE@AT_END => in the \1 corner
@NOUN_BEFORE,? @VERB @WAY(@TO )?@AT(?!@C@CORNER)(=@C)([- ]@PARTS){0,2}@OF_IMAGE@AT_END => in the \1
@NOUN_BEFORE,? @WAY@TO @AT(?!@C@CORNER)(=@C)([- ]@PARTS){1,2}@OF_IMAGE@AT_END => in the \1
[from] @NOUN_BEFORE,? from @AT(=@C)([- ]hand)?[- ](half|part|portion|section|area|quarter|third|sector|quadrant
    |corner|region|zone)@OF_IMAGE@AT_END => in the \1
@NOUN_BEFORE,? @WAY@TO (the |an? )(@IMAGE_SIGN(['’]s)? )?(=@C)@OF_IMAGE@AT_END => in the \1
""",
    _BLOCKS,
)
"""In signs."""
