"""Sentences that name nothing that is taught, so that a model can be taught to say so.

Four kinds: names of things of which no source has masks, taught things in other languages than English, letters and
signs without meaning, and the words of a request without what is requested.
"""

from __future__ import annotations

import re

import numpy as np

from rs2sam.datasets.english.frames import framed
from rs2sam.datasets.english.vocabulary import CARRIERS
from rs2sam.datasets.english.wordnet import untaught_nouns


def _listed(text: str) -> tuple[str, ...]:
    """Entries of a text, divided by bars."""
    return tuple(text.replace("\n", "").split("|"))


UNTAUGHT: tuple[str, ...] = _listed(
    """
solar panel|wind turbine|greenhouse|playground|cemetery|church|chimney|dam|train|railway track|railway station|
freight wagon|crane|container|shipping container|scaffold|lighthouse|statue|monument|fountain|tower|water tower|
power line|pylon|substation|transformer|antenna|satellite dish|radar dome|billboard|street lamp|traffic light|
crosswalk|zebra marking|parking meter|bench|tent|market stall|umbrella|beach towel|person|pedestrian|cyclist|
bicycle|motorbike|cow|sheep|horse|elephant|dog|cat|bird|whale|shark|zebra|giraffe|flower bed|vineyard|orchard|
palm oil plantation|rice paddy|cornfield|haystack|barbecue|chair|table|sofa|bed|lamp|keyboard|laptop|phone|bottle|
pizza|banana|apple|burger|coffee cup|glacier|iceberg|snow|volcano|crater|cliff|canyon|waterfall|cloud|shadow|
rainbow|smoke plume|fire|lightning|star|moon|planet|mine shaft|quarry|landfill|scrap heap|sewage basin|oil derrick|
drilling rig|pipeline|conveyor belt|gas flare|nuclear reactor|cooling tower|windmill|silo|grain elevator|rocket|
missile|submarine|hovercraft|hot air balloon|airship|parachute|kite|drone|cable car|ski lift|ski slope|ice rink|
skate park|race car|velodrome|golf cart|tractor|combine harvester|excavator|bulldozer|forklift|fire engine|
ambulance|police helicopter pad|tank with a gun|bunker|barracks|trench|fence|wall|gate|stairs|window|door|
chimney smoke|balcony|terrace|trampoline|swing|slide|sandpit|tombstone|temple|mosque|pagoda|castle|ruin|pyramid|
amphitheatre|theatre stage|stadium seat|tribune|scoreboard|goalpost|volleyball net|badminton net|cricket wicket|
rugby post|bowling green|running shoe|helmet|backpack|suitcase|book|clock|computer|violin|guitar|piano|spoon|fork|
knife|plate|sandwich|cake|tree house|rock|boulder|gravel heap|coal pile|log pile|timber stack|brick pile|tyre heap|
garbage bag|trash bin|manhole|well|hydrant|mailbox|bus stop|petrol station|gas pump|toll booth|tunnel entrance|
railroad crossing|tram|locomotive|metro train|monorail|runway marking|windsock|control tower|jet bridge|hangar door|
aircraft carrier deck|oil spill|algae bloom|coral reef|mangrove|sand dune|salt pan|mudflat|wetland reed|beaver dam|
fish farm|lobster trap|buoy|anchor|sail|oar|surfboard|kayak paddle|diver|seagull|dolphin|penguin|polar bear|camel|
llama|kangaroo|dragon|unicorn|ghost|alien|spaceship|time machine|democracy|happiness|idea|music|noise|number|
question|sentence|yesterday|temperature|price|population|noise level|
hay bale|straw bale|silage bale|water trough|beehive|scarecrow|dovecote|sprinkler|irrigation pivot|polytunnel|
ferris wheel|roller coaster|carousel|bouncy castle|climbing frame|seesaw|swing set|picnic table|park bench|deckchair|
sunbed|parasol|gazebo|pergola|marquee|awning|clothesline|washing line|barrel|pallet|crate|skip|dumpster|wheelie bin|
shopping cart|trolley|wheelbarrow|ladder|scaffolding pole|sandbag|barricade|traffic cone|bollard|kerb|guard rail|
noise barrier|speed bump|road sign|road marking|arrow marking|manhole cover|drain cover|storm drain|culvert|
radio mast|mobile mast|cell tower|telephone pole|utility pole|flagpole|weather vane|weather station|rain gauge|
lightning rod|air conditioner|ventilation shaft|skylight|solar heater|rooftop garden|dormer|chimney pot|
satellite receiver|radio telescope|observatory|oil rig|drilling platform|offshore platform|gas platform|wellhead|
pump jack|flare stack|blast furnace|kiln|slag heap|ash pond|settling basin|spoil tip|open pit|gravel pit|cave|sinkhole|
rock outcrop|landslide|lava flow|geyser|hot spring|snowdrift|sea ice|ice floe|crevasse|fog bank|contrail|thundercloud|
dust storm|wildfire|burn scar|plume|whirlpool|wave|surf|foam|seaweed|kelp|water lily|duckweed|
crowd|spectator|queue of people|soldier|farmer|lifeguard|football player|goalkeeper|driver|pilot|sailor|horse rider|
herd of cattle|flock of sheep|flock of birds|goat|donkey|buffalo|pig|chicken|ostrich|flamingo|crocodile|seal|sea lion|
motorcycle|scooter|moped|rickshaw|horse cart|wheelchair|baby carriage|skateboard|railway carriage|railcar|
rail wagon|signal box|railway signal|overhead line|catenary|level crossing gate|buffer stop|funicular|cable tramway|
minaret|spire|bell tower|obelisk|mausoleum|gravestone|tomb|shrine|totem pole|sundial|triumphal arch|gargoyle|
missile launcher|cannon|radar|barbed wire|watchtower|minefield|tank trap|foxhole|debris|wreck|wreckage|scrap metal|
tyre|rubbish heap|plastic bag|oil drum|gas bottle|propane cylinder|firewood|tree stump|fallen log|mulch pile|
compost heap
"""
)
"""Singular names of what no source has masks of, near things and far ones."""

FOREIGN: tuple[str, ...] = _listed(
    """
die dächer|die schiffe im hafen|alle flugzeuge|das schwimmbad|les bateaux|les toits rouges|la piscine|
toutes les voitures|los aviones|el puente|la piscina|los coches|le navi|il ponte|gli aerei|as casas|o barco|
de schepen|het zwembad|statki|samoloty|mosty|gemiler|uçaklar|köprü|laivat|talot|båtene|flygplan|lodě|letadla|дома|
корабли|самолеты|мост|бассейн|飞机|船|桥|游泳池|建筑物|車|橋|船舶|プール|비행기|배|다리|수영장|
الطائرات|السفن|جسر|हवाई जहाज|पुल|เรือ|máy bay|
con tàu|die straßen|der see|das wasser|die bäume|les arbres|l'eau|la rivière|el río|los árboles|las calles|
die autos|die öltanks|les réservoirs|los tanques|le strade|gli alberi|l'acqua
"""
)
"""Taught things in other languages, which the model does not read."""

FILLER: tuple[str, ...] = _listed(
    """
the|all|find|segment everything|show me|please|what is this|the largest|on the left|in the upper left corner|
the red one|nothing|something|everything|the one|it|them|the object|the objects|the image|mask|segment|
the thing on the right|where|and|of the|near|the smallest|leftmost|hello there|how are you|i like this picture|
what a nice day|who took this photo|when was this taken|the second|two|both
"""
)
"""Requests, places and comparisons without a thing, and talk."""

NONSENSE: tuple[str, ...] = _listed(
    """
qwertz|asdf|foo|bar|baz|lorem|ipsum|dolor|xyz|test|blah|null|none|hello|abc
"""
)
"""What people type to see what happens."""

_CARRIER_WEIGHTS = np.array([weight for _, weight in CARRIERS]) / sum(weight for _, weight in CARRIERS)
_DETERMINERS = ("the", "all the", "a", "every", "", "all")
_LISTED_SHARE = 0.6
"""Of the names that are drawn: those of `UNTAUGHT`, which has near things."""
_PREPOSITION = re.compile(r"(?<=\w)[ -](?:of|over|in|on|with|for)[ -](?=\w)")
_NO_MAN = ("human", "caiman", "cayman", "talisman", "ottoman", "shaman", "german", "roman")
_LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
_SIGNS = tuple("0123456789?!.,;:#%&*()-+=/")


def untaught_sentence(rng: np.random.Generator, framed_share: float = 0.0) -> str:
    """Draw a sentence that names nothing taught: six in ten about another thing, the others of the other kinds.

    Args:
        rng: source of all choices.
        framed_share: share of those about another thing that `frames` words.
    """
    draw = rng.random()
    if draw < 0.6:
        name = untaught_name(rng)
        determiner = _DETERMINERS[int(rng.integers(len(_DETERMINERS)))]
        if rng.random() < 0.5 and determiner not in ("a", "every"):
            name = plural(name)
        determiner = "an" if determiner == "a" and name[0] in "aeiou" else determiner
        phrase = f"{determiner} {name}".strip()
        if framed_share and rng.random() < framed_share:
            return framed(phrase, rng)
        carrier = CARRIERS[int(rng.choice(len(CARRIERS), p=_CARRIER_WEIGHTS))][0]
        return carrier.replace("{be}", "is").format(phrase)
    if draw < 0.75:
        return FOREIGN[int(rng.integers(len(FOREIGN)))]
    if draw < 0.9:
        return gibberish(rng)
    return FILLER[int(rng.integers(len(FILLER)))]


def gibberish(rng: np.random.Generator) -> str:
    """Draw letters, signs or words that mean nothing; never blank, nor - and / alone, which tokenizers drop."""
    num_words, draw = int(rng.integers(1, 4)), rng.random()
    if draw < 0.5:
        return " ".join(_letters(rng) for _ in range(num_words))
    if draw < 0.65:
        return f"the {_letters(rng)}"
    if draw < 0.8:
        return f"all the {_letters(rng)}s"
    if draw < 0.9:
        signs = "".join(rng.choice(_SIGNS, int(rng.integers(1, 10))))
        return signs if signs.strip("-/") else f"{signs}?"
    return " ".join(rng.choice(NONSENSE, num_words))


def untaught_name(rng: np.random.Generator) -> str:
    """Draw a singular noun: six in ten of `UNTAUGHT`, where near things are, the others of WordNet's."""
    if rng.random() < _LISTED_SHARE:
        return UNTAUGHT[int(rng.integers(len(UNTAUGHT)))]
    return untaught_nouns().draw(rng)


def plural(name: str) -> str:
    """The regular plural of a name; of "block of flats" that of the block."""
    head, rest = head_and_rest(name)
    if head.endswith("craft"):
        return name
    if head.endswith("man") and not head.endswith(_NO_MAN):
        return f"{head[:-2]}en{rest}"
    if head.endswith("s") and not head.endswith(("ss", "us")):
        return name
    if head.endswith("y") and head[-2:-1] not in tuple("aeiou"):
        return f"{head[:-1]}ies{rest}"
    return f"{head}{'es' if head.endswith(('ch', 'sh', 'x', 'ss', 'us')) else 's'}{rest}"


def head_and_rest(name: str) -> tuple[str, str]:
    """A name before its first preposition, and all from there on."""
    found = _PREPOSITION.search(name)
    return (name[: found.start()], name[found.start() :]) if found else (name, "")


def _letters(rng: np.random.Generator) -> str:
    """A word of letters without meaning."""
    return "".join(rng.choice(_LETTERS, int(rng.integers(2, 9))))
