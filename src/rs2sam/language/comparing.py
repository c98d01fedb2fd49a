"""Rules for sizes, and for distances and directions from other objects.

They lead to a few wordings: "largest", "that is the (second) largest", "nearest to", "farthest from", "to the CELL of",
"above", "below". How rules are written: see `signs.table`.
"""

from __future__ import annotations

import re

from rs2sam.language.signs import BLOCKS, Rule, named, table

_BLOCKS = named(
    r"""
LARGE = generous|ample|voluminous|substantial|imposing|massive|considerable|enormous|gigantic|colossal|immense|vast
    |capacious|roomy|sprawling|bulky|hefty|monumental|sizeable|sizable|extensive|expansive|spacious|big|large|huge
    |titanic|mighty|weighty|commodious|extended
SMALL = diminutive|compact|undersized|minuscule|miniscule|minute|petite|modest|miniature|meagre|meager|tiny|little
    |small|scanty|restricted|modestly[- ]sized|cramped|pint-sized|dwarfish|microscopic|slight|reduced|limited|puny
LONG = elongated|drawn[- ]out|stretched([- ]out)?|lengthy|extended in length
SHORT = abbreviated|stubby|truncated|curtailed|stunted
SUPERLATIVE = (largest|smallest|longest|shortest)
BY_FAR = (by (a|some|a (wide|large|clear|long|good) )?(margin|distance|way|far|a long way|a mile)|far and away
    |easily|clearly|undoubtedly|decidedly|without (a )?doubt|hands down)
SIZE = ((sheer|overall|total|visible|surface|ground|physical|outline|plan|covered|apparent) )*(size|area|extent
    |footprint|bulk|dimensions?|surface|coverage|expanse|proportions|magnitude|mass|volume|acreage|outline|spread
    |ground (plan|cover)|bounding box(es)?|mask|polygon|planform( area)?|footprint area|floor ?plan|envelope
    |bigness|largeness|floor area|square footage|scale|stature|girth)s?
LENGTH = ((overall|total) )?(length|reach|major axis|end-to-end (length|extent|distance)|longitudinal extent
    |linear extent|run)
IN_SIZE = ( (in|by|for|as regards|regarding|with respect to|with regard to|in terms of|as to|in point of
    |in respect of|when it comes to|judged by|going by|on) ((its|their|the|of) )*@SIZE)
GROUND = ((amount|share|number|expanse|stretch|patch|area|piece|part) of )?(the )?(ground|room|space|area|land
    |surface|pixels?|terrain|territory|floor space|surface area|ground area|image area)( of \ue0ff)?|(portion|share
    |part|chunk|fraction|proportion|slice)( of \ue0ff)?
TAKES = (tak(es?|ing)( up)?|cover(s|ing)?|claim(s|ing)?|occup(y|ies|ying)|fill(s|ing)?( up)?|account(s|ing)? for|us
    (es?|ing)( up)?|hog(s|ging)?|swallow(s|ing)?( up)?|enclos(es?|ing)|consum(es?|ing)|(spread|sprawl|stretch)(e?s
    |ing)? (over|across)|extend(s|ing)? over|command(s|ing)?|need(s|ing)?|requir(es?|ing)|offer(s|ing)?
    |provid(es?|ing)|demand(s|ing)?|accommodat(es?|ing)|enjoy(s|ing)?|spann?(s|ing)?|encompass(es|ing)?|possess
    (es|ing)?|has|have|having|with|boast(s|ing)?|show(s|ing)?|present(s|ing)?)
OUTDO = (outstrip|exceed|surpass|dwarf|outsize|outdo|eclipse|overshadow|outclass|outgrow|outweigh|outmatch|overtop
    |outrank|top|beat|outshine|trump|best|excel)(e?s|p?ping|ing)?|outdoes|outdoing|outsizing|eclipsing
OUTDONE = (exceeded|surpassed|outdone|outstripped|eclipsed|beaten|topped|overshadowed|dwarfed|outsized|bettered
    |outclassed|bested)
UNDERCUT = (undercut(s|ting)?|(is|are) (smaller|less)( still)?( than)?)
UNMATCHED = (unmatched|unrivall?ed|unequall?ed|unsurpassed|unexceeded|unparalleled|second to none|not (matched
    |rivall?ed|equall?ed|surpassed|exceeded))
SAVE_ONE = (,? (save|but|bar|except|excepting|apart from|aside from)( for)?( (just|only))? (one|a single one|@ONE)
    ( other)?)
CLAUSE = ,? ((that|which) )?((is|are|has been|would be|comes out|turns out|ranks?|comes?) )?
DONE = (?=$|[,.;?!]| (that|which|on|at|near|with|within|and|is)\b| in (the )?(@C|@IMAGE_SIGN))
REFER = ((relative|with respect|in relation|with reference|with regard|compared) to|as regards|seen from
    |as seen from|viewed from|measured from|from the (point of view|perspective|viewpoint|position) of
    |counting from|from)
Y = (=((the|that|this|a|an|its) )[^,.;?!\0]{2,45}?)
IS = ,?( @VERB| that is| which is| that has| which has| that| which)?
""",
    BLOCKS,
)
COMPARING = _BLOCKS
SIZE_BLOCKS = {name: _BLOCKS[name] for name in ("SIZE", "SUPERLATIVE")}

SIZE_WORDS: tuple[Rule, ...] = table(
    r"""
[most] \bmost (@LONG)\b => longest
[most] \bmost (@SHORT)\b => shortest
[most] \bmost (generously|amply|lavishly|largely|massively|hugely)[- ](sized|proportioned|built
    |dimensioned)\b => largest
[most] \bmost (modestly|meagrely|compactly|sparingly)[- ](sized|proportioned|built|dimensioned)\b => smallest
[measuring|ranking] ,? ((that|which) )?(measur(ing|es)|rank(ing|s)|com(ing|es) out)( as)? (the )?(=@SUPERLATIVE)
    ( overall| of (them )?all)?$ => that is the \1
[max|min] , (the )?max(imum|imal)? (?=@SIZE\b) => with the largest
[max|min] , (the )?min(imum|imal)? (?=@SIZE\b) => with the smallest
[being|assessed|judged|considered|deemed|thought|said|known|found|believed|reckoned] \b(=the one|one|that is|which is)\
    ((being|that is|which is) )?(assessed|judged|considered|deemed|thought|said|known|found|believed|reckoned)( to be
    | as)? (?=the @SUPERLATIVE) => \1
[by far] ^(=the [\w-]+( [\w-]+)?)( that [^,]+)?, by far (=the @SUPERLATIVE) (of|among) (all )?(the|these|those) [\w-]+
    ( [\w-]+)?$ => \1 that is \2
[least] \bleast (long|elongated|lengthy|drawn[- ]out)\b => shortest
[most] \bmost (@LARGE)\b(?!-) => largest
[most] \bmost (@SMALL)\b => smallest
[least] \bleast (@LARGE)\b => smallest
[least] \bleast (@SMALL)\b => largest
[est] \b(biggest|greatest|hugest|bulkiest|heftiest|vastest|roomiest|amplest|grandest|chunkiest|beefiest|fattest
    |massivest|mightiest|meatiest)\b => largest
[est] \b(tiniest|littlest|minutest|teeniest|puniest|dinkiest|weeniest|skimpiest|scantiest|meagrest|teensiest
    |titchiest|slightest|smallest-sized)\b => smallest
[right] \bright (?=(behind|after|below|above|under) the (largest|smallest|longest|shortest)) => just
[lengthiest] \blengthiest\b => longest
[stub|stump|curt] \b(stubbiest|stumpiest|curtest)\b => shortest
[min|max|size] ^(the )?max(imum|imal)?[- ]size(d)?[ ] => the largest
[min|max|size] ^(the )?min(imum|imal)?[- ]size(d)?[ ] => the smallest
[margin|distance|far|easily|clearly|doubt|hands|mile] ,? ?\b(=that is )?@BY_FAR(?= the @SUPERLATIVE) => \1
[prize|crown|place|gold|honours] \b(=takes|wins|claims|earns|gets|deserves) (the )?(prize|crown|gold|honours
    |title) (for|in) (=@SIZE) => \1 first place in \2
[champion|leader|winner|king|runner|record] \b(champion|leader|winner|king|front-?runner|record[- ]holder
    |number one)@IN_SIZE (among(st)?|of|out of)\ (?=(all |the |these |those )) => largest of
[from] \b(=second|third|fourth) from (the )?(bottom|end|last)@IN_SIZE => \1 smallest
[from] \b(=second|third|fourth) from (the )?(top|start)@IN_SIZE => \1 largest
[smallness] \b(=second|third) in smallness\b => \1 smallest
[giant|titan|colossus|monster|whale|behemoth|leviathan|goliath|heavyweight|jumbo] \b(giant|titan|colossus|monster
    |whale|behemoth|leviathan|goliath|heavyweight|jumbo) (among(st)?|of|out of) (?=(all |the |these |those ))
    => largest of
[dwarf|midget|baby|minnow|runt|shrimp|pygmy|tiddler|featherweight] \b(dwarf|midget|baby|minnow|runt|shrimp|pygmy
    |tiddler|featherweight) (among(st)?|of|out of) (?=(all |the |these |those )) => smallest of
[runner] \b(the )?runner-?( )?up@IN_SIZE? (among(st)?|of|out of) (?=(all |the |these |those )) => the second largest of
[next-to-|next to ] \bnext[- ]to[- ](=largest|smallest|longest|shortest)(?= \w) => second \1
[next-to-|next to ] \bnext[- ]to[- ]least(?= ) => second smallest
[next-to-|next to ] \bnext[- ]to[- ]most(?= ) => second largest
[second-to-|second to the|second from] \b(that is |which is )?second[- ](to|from) the (=largest|smallest)\b
    => that is the second \1
[lesser|more sub|greater|ampler|bulkier|tinier|vaster|grander|more ] \b(more (@LARGE)|greater|ampler|bulkier|vaster
    |grander|roomier|heftier)(?= (of|in|than|one|\w+ of)\b) => larger
[lesser|less|tinier|punier|slighter|more ] \b(more (@SMALL)|less (@LARGE)|lesser|tinier|punier|slighter|littler)
    (?= (of|in|than|one|\w+ of)\b) => smaller
[top|number|no|#] ^(the )?(top|number one|no\.? 1|#1|chief|leading) (=(?!@SUPERLATIVE)[\w-]+( [\w-]+)?)(?<!s)
    @IN_SIZE$ => the largest \1
[by|in|for] ^(=the ((two|three|four|five) )?(second )?@SUPERLATIVE)@IN_SIZE (of|among) (all )?(the|these|those)[ ]
    => \1 of the
[ranking|list|league|table|order] \bat the (top|head) of the (=size|area) (ranking|list|league|table|order)\b
    => ranked first by \1
[ranking|list|league|table|order] \bat the (bottom|foot|end) of the (=size|area) (ranking|list|league|table|order)\b
    => ranked last by \1
[than] \b(in|for|as regards) (its )?size (?=than) =>
""",
    _BLOCKS,
)
"""Before anything is put in signs."""


def _for_each(text: str, **words: tuple[str, ...]) -> str:
    """A table once for each of several words in the place of `@NAME`."""
    tables = []
    for several in zip(*words.values(), strict=True):
        one = text
        for name, word in zip(words, several, strict=True):
            one = re.sub(rf"@{name}\b", lambda _, word=word: word, one)  # type: ignore[misc]
        tables.append(one)
    return "".join(tables)


_WHICH = "((?P<n>second|third|fourth|fifth)[- ])?"

SIZE_RULES: tuple[Rule, ...] = (
    *table(
        _for_each(
            r"""
# "smaller than all the rest save one", "bigger than its peers in extent"
[@ALL] @CLAUSE(@MORE)@IN_SIZE? than @ALL@IN_SIZE?@SAVE_ONE => that is the second @BEST
[@ALL] @CLAUSE(@MORE)@IN_SIZE? than @ALL@IN_SIZE?(?! of\b) => that is the @BEST
[@ALL] ,? (that |which |and )?@ALL (is|are|being) (@LESS)@IN_SIZE?( than (it|this one|that one|this
    |that))? => that is the @BEST
[@NONE] ,? (than which|and|that|where|such that|with) @NONE (is|are|comes
    |can be) (@MORE)@IN_SIZE?( than it)?@AT_END => that is the @BEST
""",
            MORE=("larger|bigger|greater", "smaller|less|lesser", "longer", "shorter"),
            LESS=("smaller|less|lesser", "larger|bigger|greater", "shorter", "longer"),
            BEST=("largest", "smallest", "longest", "shortest"),
        ),
        _BLOCKS,
    ),
    *table(
        r"""
[@ALL] @CLAUSE@TAKES (more|a (greater|larger|bigger)|greater) (@GROUND|@SIZE) than @ALL(['’]s?)? => that is the largest
[@ALL] @CLAUSE@TAKES (less|fewer|a smaller|smaller) (@GROUND|@SIZE) than @ALL(['’]s?)? => that is the smallest
[@ALL] \ whose (@SIZE) @TAKES more (@GROUND) than @ALL(['’]s?)? => that is the largest
[@ALL] \ whose (@SIZE) @TAKES (less|fewer) (@GROUND) than @ALL(['’]s?)? => that is the smallest
[@ALL] \ whose (@SIZE) (@OUTDO) (that of )?@ALL(['’]s?)? => that is the largest
# "that outstrips all its fellows in size", "which all the rest exceed in area"
[@ALL] @CLAUSE(@OUTDO) @ALL( there)?( put together)?@IN_SIZE?@SAVE_ONE => that is the second largest
[@ALL] @CLAUSE(@OUTDO) @ALL( there)?@IN_SIZE?@DONE => that is the largest
[its ] ,? that (@OUTDO) its @KIN( there)?@IN_SIZE@DONE => that is the largest
[@ALL] ,? (that|which) @ALL (@OUTDO)@IN_SIZE?@DONE => that is the smallest
[@ALL] ,? to which @ALL (is|are) superior@IN_SIZE?@DONE => that is the smallest
[@ALL] ,? to which @ALL (is|are) inferior@IN_SIZE?@DONE => that is the largest
[@NONE] ,? (that|which)? ?@NONE (can )?(@OUTDO|match(es)?|equals?|rivals?)@IN_SIZE?@DONE => that is the largest
[@NONE] ,? (that|which)? ?@NONE @UNDERCUT@IN_SIZE?@DONE => that is the smallest
[@NONE] ,? (to|with) which @NONE (comes? (close|near)|compares?|can (compare|compete))@IN_SIZE?@DONE
    => that is the largest
[@NONE] @CLAUSE(@OUTDONE|@UNMATCHED)@IN_SIZE? by @NONE@IN_SIZE?@DONE => that is the largest
[un|second to none|not ] ,? (with|of|having|that has) an? @SIZE( that is)? @UNMATCHED( by (@ALL|(its
    |any of its) @KIN))? => that is the largest
[whose] \ whose @SIZE is @UNMATCHED( by @ALL)? => that is the largest
[un|second to none|not ] @CLAUSE@UNMATCHED@IN_SIZE( by (@ALL|its @KIN))? => that is the largest
[@ALL] @CLAUSE@OUTDONE@IN_SIZE? by @ALL@IN_SIZE?@DONE => that is the smallest
[@ALL] @CLAUSE(ahead of|leading|dominating|dominates|leads|overtakes|outdistancing|superior to|above
    |in front of) @ALL@IN_SIZE@DONE => that is the largest
[@ALL] @CLAUSE(behind|inferior to|trailing|below) @ALL@IN_SIZE@DONE => that is the smallest
[@ONE] @CLAUSE(larger|bigger|greater)@IN_SIZE? than @ONE@IN_SIZE?@DONE => that is the second smallest
[@ONE] @CLAUSE(smaller|less)@IN_SIZE? than @ONE@IN_SIZE?@DONE => that is the second largest
[@ONE] @CLAUSE(only )?@OUTDONE@IN_SIZE? (only )?by @ONE@IN_SIZE?@DONE => that is the second largest
[@ONE] @CLAUSE(undercut)@IN_SIZE? by @ONE@IN_SIZE?@DONE => that is the second smallest
[@ONE] ,? (that|which) @ONE (@OUTDO)@IN_SIZE?@DONE => that is the second largest
[@ONE] ,? (that|which) @ONE @UNDERCUT@IN_SIZE?@DONE => that is the second smallest
[@ONE] ,? (that )?(yields?|yielding|second|giving way|gives way)@IN_SIZE? (only )?to @ONE@IN_SIZE?@DONE
    => that is the second largest
[@ONE] ,? (than which|with|having|that has) @ONE (is |that is )?(larger|bigger)( than it)?
    => that is the second largest
[@ONE] ,? (than which|with|having|that has) @ONE (is |that is )?smaller( than it)? => that is the second smallest
[@ONE] @CLAUSE(the )?(=@SUPERLATIVE),? (were it not|but|if not|if it were not|if it weren['’]t|except|save)
    ( for)? @ONE => that is the second \1
[whose] \ whose (@SIZE) (?=that is the @SUPERLATIVE) =>
[than all] @CLAUSE(larger|bigger|greater)@IN_SIZE? than all (but|save|bar|except)( for)? (one|a single one|@ONE)
    @IN_SIZE?@DONE => that is the second largest
[than all] @CLAUSE(smaller|less)@IN_SIZE? than all (but|save|bar|except)( for)? (one|a single one|@ONE)@IN_SIZE?@DONE
    => that is the second smallest
[only] @CLAUSE(smaller only than|@OUTDONE@IN_SIZE? only by|only @OUTDONE@IN_SIZE? by|second only to) the largest
    ( ones?| of (them )?all)?@IN_SIZE?@DONE => that is the second largest
[only] @CLAUSE(larger|bigger) only than the smallest( ones?| of (them )?all)?@DONE => that is the second smallest
[than the] @CLAUSE(just|only just|only|one size|a size|next|slightly) (larger|bigger|greater) than the smallest
    ( ones?| of (them )?all)?@DONE => that is the second smallest
[than the] @CLAUSE(just|only just|only|one size|a size|next|slightly) (smaller|less) than the largest( ones?
    | of (them )?all)?@DONE => that is the second largest
[only the] ,? (that|which) only the largest( one)? (@OUTDO)@IN_SIZE?@DONE => that is the second largest
[only the] ,? (that|which) only the smallest( one)? @UNDERCUT@IN_SIZE?@DONE => that is the second smallest
[end to end|tip to tip|stem to stern|end to the other] ,? ((that|which) (has|shows) |with |having |of )(the )?
    (largest|longest|most|max(imum|imal)?) [\w-]+ (from )?(end to end|tip to tip|stem to stern|one end to the other)
    => that is the longest
[end to end|tip to tip|stem to stern|end to the other] ,? ((that|which) (has|shows) |with |having |of )(the )?
    (smallest|shortest|least|min(imum|imal)?) [\w-]+ (from )?(end to end|tip to tip|stem to stern
    |one end to the other) => that is the shortest
# "just behind the largest", "one step up from the tiniest", "the next largest after the biggest one"
[next|after|behind|following|below|above] \bnext[- ](=@SUPERLATIVE)( (=\w+( \w+)?))?,? ((just|right|immediately) )?
    (after|behind|following|below|to) (the )?(@SUPERLATIVE|first|top|very)( ones?| \w+)? => second \1 \2
[next] \bnext[- ](=@SUPERLATIVE)(?= \w) => second \1
[behind|after|below|following|above|up|down|removed|short|to the] ,?( @VERB| that is| which is)? ((just|right
    |immediately|directly|straight|next|one( (step|place|notch|rung|position|size))?|a (step|notch|place))( (up
    |down|above|below|removed|away|next|in line))*)@IN_SIZE? (behind|after|below|following|from|above|over|to|than
    |under|short of|shy of) the (=@SUPERLATIVE)( ones?| of (them )?all)?@IN_SIZE?@AT_END => that is the second \1
[second only|second to] @CLAUSEsecond (only )?to the (=@SUPERLATIVE)( ones?)?@IN_SIZE? => that is the second \1
""",
        _BLOCKS,
    ),
    *table(
        _for_each(
            r"""
# "having the largest surface area", "of greatest bulk", "that accounts for the fewest pixels"
,? ((that|which) )?(@TAKES|of|at|in possession of|characteri[sz]ed by) (the )?@MOST (@SIZE|@GROUND)( of (all|any
    |them all|the lot|@ALL))?@AT_END => that is the \g<n> @BEST
,? whose @SIZE is (the )?@MOST( of (all|them all))?@AT_END => that is the \g<n> @BEST
,? (that|which) measures (the )?@MOST@IN_SIZE@AT_END => that is the \g<n> @BEST
,? ((that|which) (is|are) )?(the )?@MOST@IN_SIZE@AT_END => that is the \g<n> @BEST
""",
            MOST=(
                f"{_WHICH}(most|largest|max(imum|imal)?|highest|widest|utmost|top|broadest)",
                f"{_WHICH}(least|smallest|fewest|min(imum|imal)?|lowest|narrowest|tightest)",
            ),
            BEST=("largest", "smallest"),
        ),
        _BLOCKS,
    ),
    *table(
        r"""
[most|least] ,? ((that|which) )?@TAKES (the )?most( of (the )?@IMAGE_SIGN@AT_END|$) => that is the largest
[most|least] ,? ((that|which) )?@TAKES (the )?least( of (the )?@IMAGE_SIGN@AT_END|$) => that is the smallest
[est] \b(=@SUPERLATIVE)(=( [\w-]+){0,3}?)@IN_SIZE@DONE => \1\2
[has|with] ,? (that (has|shows)|with|having) (the )?(=largest|smallest)$ => that is the \1
[largest|smallest] \b(=largest|smallest)([- ](in size|sized))(?= \w) => \1
# lengths
[length|reach|run] ,? (with|of|having|that has|has|that boasts) (the )?(largest|longest|most|max(imum|imal)?
    |highest) @LENGTH@AT_END => that is the longest
[length|reach|run] ,? (with|of|having|that has|has) (the )?(smallest|shortest|least|min(imum|imal)?|lowest) @LENGTH
    @AT_END => that is the shortest
[length] ,? max(imum|imal)?( in)? length$ => that is the longest
[length] ,? min(imum|imal)?( in)? length$ => that is the shortest
[most|longest|largest|furthest|farthest] ,? ((that|which) )?(measur(es|ing)|extend(s|ing)|stretch(es|ing)|span(s
    |ning)|run(s|ning)|cover(s|ing)|reach(es|ing))( out)?( (for|over|across))? (the )?(most|longest|largest
    |furthest|farthest)( (distance|stretch|way))?( (from )?(end to end|one end to the other|tip to tip
    |stem to stern|end to the other))?@AT_END => that is the longest
[least|shortest|smallest] ,? ((that|which) )?(measur(es|ing)|extend(s|ing)|stretch(es|ing)|span(s|ning)|run(s|ning)
    |cover(s|ing)|reach(es|ing))( out)?( (for|over|across))? (the )?(least|shortest|smallest)( (distance|stretch
    |way))?( (from )?(end to end|one end to the other|tip to tip|stem to stern|end to the other))?@AT_END
    => that is the shortest
[@NONE] ,? (that|which) @NONE (@OUTDO|match(es)?|equals?|rivals?) in length@AT_END => that is the longest
[@ALL] ,? (that|which) (stretches|extends|reaches|runs|goes on)( out)? (further|farther|longer) than @ALL
    => that is the longest
[@ALL] ,? (that|which) is not (as|so) long as @ALL => that is the shortest
[@ALL] ,? (that|which) is not (as|so) (large|big) as @ALL => that is the smallest
[@ALL] ,? whose length @ALL (cannot|can not|do not|don['’]t|fail to) (equal|match|reach|rival) => that is the longest
[length] ,? whose length (@OUTDO) (that of )?@ALL(['’]s?)? => that is the longest
[longest|shortest] (=longest|shortest) (from )?(end to end|tip to tip|stem to stern) => \1
""",
        _BLOCKS,
    ),
)
"""In signs."""

RELATION_RULES: tuple[Rule, ...] = table(
    r"""
# nearest and farthest
[neighbo] ^(the |its )?(=(second |third )?(nearest|closest)) neighbou?r (of|to) @Y (among|amongst|out of|of) (all )?(the
    |these|those) (=[\w-]+( [\w-]+)?)s$ => the \3 \1 to \2
[separat|apart] @IS (separated|apart|removed|parted) from @Y by the (shortest|smallest|least|narrowest)( (distance
    |gap|space|stretch))?@AT_END => nearest to \1
[separat|apart] @IS (separated|apart|removed|parted) from @Y by the (longest|largest|greatest|widest|most)
    ( (distance|gap|space|stretch))?@AT_END => farthest from \1
[@ALL] @IS (less|not so|not as) (far|distant|remote)( away| off)? from @Y (than|as) @ALL => nearest to \1
[distance] ,? whose distance (to|from) @Y is (the )?(smallest|shortest|least|lowest|minimal|minimum)( of all)?$
    => nearest to \1
[distance] ,? whose distance (to|from) @Y is (the )?(largest|longest|most|highest|maximal|maximum)( of all)?$
    => farthest from \1
[second] ,? (that |which )?((comes|ranks|is|stands|coming|ranking|placed) )?second in (closeness|nearness
    |proximity) to[ ] => second nearest to
[next] ,?( @VERB| that is)? next[- ](nearest|closest) to @Y,? (after|behind|following) the (nearest|closest|first)
    ( one)?$ => second nearest to \1
[nearest|closest] \b(=nearest|closest) by (?=to ) => \1
[neighbo] ,? (that is |which is )?((=second) )?(the )?@Y['’]s? (nearest|closest|immediate) neighbou?r$ => nearest to \2
[neighbo] ,? (that is |which is )?(the )?(nearest|closest) neighbou?r (of|to)[ ] => nearest to
[between] ,? (with|that has|which has|having|has) the (least|smallest|shortest|narrowest) (ground|distance|gap|space
    |room|stretch|separation)( of ground)? between (itself|it|them)( and| to)? @Y@AT_END => nearest to \1
[between] ,? (with|that has|which has|having|has) the (most|largest|longest|widest|furthest) (ground|distance|gap
    |space|room|stretch|separation)( of ground)? between (itself|it|them)( and| to)? @Y@AT_END => farthest from \1
[which] ,? to which @Y (is|lies|sits|stands) (nearer|closer|nearest|closest)( than to @ALL| of all)?@AT_END
    => nearest to \1
[first] ^(the )?first (=\w+( \w+){0,2}?) (that |which )?(one|you|we|i) (would |will |might |could )?(reach|meet|hit
    |come to|come upon|encounter|arrive at|get to|find)( (when|if|on|by|in))?( (setting out|starting|going|coming
    |leaving|walking|moving|travell?ing|proceeding|one|you|set out|started|heading))* ?(out )?(from )?@Y$
    => the \1 nearest to \2
[imally] @IS minimally (distant|far|remote|removed) (away )?from[ ] => nearest to
[imally] @IS maximally (distant|far|remote|removed) (away )?from[ ] => farthest from
[proximity|vicinity|closeness|nearness] @IS (in|at|with) (the )?(closest|nearest|greatest|largest
    |most immediate) (proximity|vicinity|closeness|nearness) (to|of)[ ] => nearest to
[@ALL] @IS (nearer|closer)( to)? @Y than @ALL => nearest to \1
[@ALL] @IS (further|farther|more distant|more remote)( away| off| out)? from @Y than @ALL => farthest from \1
[@NONE] ,? than which @NONE (is|lies|sits|stands|comes) (nearer|closer)( to)? @Y@AT_END => nearest to \1
[@NONE] ,? than which @NONE (is|lies|sits|stands) (more (remote|distant)|further|farther)( away| off)? from @Y@AT_END
    => farthest from \1
[remote|distant|far|removed|close] @IS (the )?(least|smallest) (remote|distant|far|removed|distance)( away
    | off)? (from|to)[ ] => nearest to
[distance|gap|remove|separation|minim|maxim|shortest] @IS( (at|with|lying at|having))? (the |a )?(least|smallest
    |shortest|min(imum|imal)?|narrowest|closest) (distance|gap|remove|separation|range|interval|path|way|route)
    ( (away|off))? (from|to)[ ] => nearest to
[distance|gap|remove|separation|minim|maxim|longest] @IS ((at|with|lying at|having) )?(the |a )?(most|largest
    |longest|max(imum|imal)?|widest|furthest|farthest) (distance|gap|remove|separation|range|interval|path|way
    |route)( (away|off|apart|out))? (from|to)[ ] => farthest from
[farthest|furthest|remote|distant|removed] @IS (the )?((=second) )?(furthest|farthest|most (remote|distant|removed
    |far))( (away|off|out|apart|distant|removed))? from (?!(the )?(very )?(@IMAGE_SIGN|@C)) => \1 farthest from
[@ONE] ,? (that|which) @ONE (beats?|betters?|surpass(es)?|exceeds?|outdoes) in (nearness|closeness|proximity) to[ ]
    => second nearest to
[nearest|closest] \b(second|next)[- ](nearest|closest) (of|among) the (=\w+( \w+)?) to[ ] => second nearest \1 to
[nearest|closest] \bnext[- ](nearest|closest) (=\w+( \w+)?) to @Y,? (after|behind|following) the (nearest|closest
    |first)( one)?$ => second nearest \1 to \2
[nearest|closest] \b(=nearest|closest) of (all )?(the )?(=\w+( \w+)?) to (?=the |a ) => \1 \2 to
[nearest|closest|near] ,? @VERB (the )?((=second) )?(nearest|closest)( (of all|by))? (to )?(?=(the|that|this|a
    |an) (?!@C|@IMAGE_SIGN)) => \1 nearest to
[nearest|closest|farthest|furthest] ^(=the [\w\ue040-\ue09f -]+?)['’]s ((=second|third) )?(nearest
    |closest) (?!neighbo)(=[\w-]+( [\w-]+)?)$ => the \2 \3 nearest to \1
[nearest|closest|farthest|furthest] ^(=the [\w\ue040-\ue09f -]+?)['’]s ((=second|third) )?(farthest|furthest
    |most distant) (=[\w-]+( [\w-]+)?)$ => the \2 \3 farthest from \1
# "the second-nearest car w.r.t. the house", "the nearest neighbour of the house among the cars"
[nearest|closest|farthest|furthest] ^(the )?(=((second|third|@NUMBER) )?(nearest|closest)) (=[\w-]+( [\w-]+)?),?\
    (@REFER) (?=@Y$) => the \2 \1 to
[farthest|furthest] ^(the )?(=((second|third|@NUMBER) )?(farthest|furthest)) (=[\w-]+( [\w-]+)?),? (@REFER) (?=@Y$)
    => the \2 \1 from
# one distance and one direction from the same thing
[nearest|closest] ^(the )?(=nearest|closest) (=[\w-]+( [\w-]+)?),?( @VERB| that is)? ((to|on) the )?(=@C)( side)? of @Y$
    => the \2 to the \3 of \4 nearest to \4
[nearest|closest] ^(the )?(=nearest|closest) (=[\w-]+( [\w-]+)?),?( @VERB| that is)? (=above|below) @Y$
    => the \2 \3 \4 nearest to \4
# directions
[whose] ,? whose (=@C)([- ](hand|side))* neighbou?r is @Y@AT_END => to the @OPPOSITE\1 of \2
[it] ,? (with|that has|which has|having|has) (=the [^,.;?!\0]{2,40}?)( @VERB)? (to|on|at|towards?) ((its
    |their) (=@C)([- ](hand|side|flank|hand side))*|the (=@C)([- ](hand|side|flank|hand side))* of it)@AT_END
    => to the @OPPOSITE\2@OPPOSITE\3 of \1
[beneath|below|under] ,? (with|that has|which has|having|has) (=the [^,.;?!\0]{2,40}?)
    ( @VERB)? (directly |immediately |just )?(beneath|below|underneath|under) it(self)?@AT_END => above \1
[above|over] ,? (with|that has|which has|having|has) (=the [^,.;?!\0]{2,40}?)
    ( @VERB)? (directly |immediately |just )?(above|over) it(self)?@AT_END => below \1
[which] ,? (for|to|of) which (=the [^,.;?!\0]{2,40}?) (is|forms|makes) the ((neighbou?r|one|next thing|landmark
    |object) (to|on) the (=@C)|(=@C)([- ]hand)? (neighbou?r|one))@AT_END => to the @OPPOSITE\2@OPPOSITE\3 of \1
[which] ,? (for|from) which @Y (lies|is|sits|stands|appears) (to|on|at|in) the (=@C)([- ](hand|side))*$
    => to the @OPPOSITE\2 of \1
[beyond|past] ,? (beyond|past) @Y (to|on|in|towards?) the (=@C)([- ](hand|side))*$ => to the \2 of \1
[flank|border|adjoin|hug] ,? ((that|which) )?(flank|border|adjoin|hug)(s|ging|ing) @Y (on|at|to) (its|the) (=@C)
    ([- ](hand|side|flank|edge))*$ => to the \2 of \1
[over] ,?( that is| that lies| lying)? over (=the [\w -]{3,30}) (in|on|within) @IMAGE_SIGN$ => above \1
[which] ,? (to|on|at) (the (=@C)( side)? of which|whose (=@C)( side)?) (is|lies|stands|sits|one finds|you find) @Y
    @AT_END => to the @OPPOSITE\1@OPPOSITE\2 of \3
,? (that |which )?(=the [^,.;?!\0]{2,40}?) (lies|is|sits|stands) (to the )?(=@C)(wards?)? of( it)?$
    => to the @OPPOSITE\2 of \1
[higher|lower|further|farther] @IS (higher|further up|farther up)( up)?( (in|on|within))?( @IMAGE_SIGN)? than (?=@Y)
    => above
[higher|lower|further|farther] @IS (lower|further down|farther down)( down)?( (in|on|within))?
    ( @IMAGE_SIGN)? than (?=@Y) => below
[than] @IS ((further|farther|more) )?(to the )?(=@C) than (?!@ALL)(?=@Y) => to the \1 of
(?<=[\w\ue080-\ue09f])(?<!^the)(?<!^a),?( @VERB| that is| which is| that are)? ((just|due|directly|immediately|right
    |straight|well|slightly|somewhat|over|off|out|round|across|away|down|up) )*((to|on|at|off|towards?) )?
    (the |its )?(=@C)([- ](hand|side|flank|edge|face|direction))*(wards?)? (of|from|relative to|with respect to
    |compared (to|with)) (?=(the|that|this|a|an) (?!@IMAGE_SIGN|@C[- ](half|side|part|edge)|@E( ones?| @KIN)?($
    |[,.]))[\w\ue040-\ue09f]) => to the \1 of
[above|over] ,? @VERB (directly |immediately |just )?above (?=(the|a|an) )(?!the ground) => above
[below|beneath|under] ,? @VERB (directly |immediately |just )?(below|beneath) (?=(the|a|an) ) => below
""",
    _BLOCKS,
)
"""In signs."""
