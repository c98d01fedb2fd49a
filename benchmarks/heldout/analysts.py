"""Wordings of the second held-out list: as analysts, captions and searches would put it.

Everything here was written without looking at what a model or the sentence reader makes of it, and nothing was changed
after the first measurement. `tests/test_heldout_wordings.py` holds that the training grammar (`english.phrasing`)
cannot produce the sentences and that the first list shares no template.
"""

from __future__ import annotations

from benchmarks.heldout.wording import Noun, Wording
from rs2sam.datasets.english.phrasing import Description
from rs2sam.datasets.english.properties import Property
from rs2sam.datasets.english.vocabulary import NUMBER_WORDS, PLURAL_REGIONS

NEW_NOUN_SHARE, TYPO_SHARE, SEARCH_SHARE = 0.6, 0.05, 0.12
LEAST_TYPO_LETTERS = 6
MASSES = frozenset({"road", "water", "vegetation", "land"})
"""Categories that are areas: their words stand without "a"."""

NEW_NOUNS: dict[str, tuple[Noun, ...]] = {
    "airplane": (
        ("jetliner", "jetliners"),
        ("fixed-wing aircraft", "fixed-wing aircraft"),
        ("winged aircraft", "winged aircraft"),
    ),
    "ship": (("seagoing vessel", "seagoing vessels"), ("seacraft", "seacraft"), ("hull afloat", "hulls afloat")),
    "storage_tank": (
        ("fuel reservoir", "fuel reservoirs"),
        ("bulk liquid tank", "bulk liquid tanks"),
        ("tank-farm cylinder", "tank-farm cylinders"),
    ),
    "baseball_diamond": (("ballpark", "ballparks"), ("baseball infield", "baseball infields")),
    "tennis_court": (
        ("lawn-tennis court", "lawn-tennis courts"),
        ("tennis playing surface", "tennis playing surfaces"),
    ),
    "basketball_court": (
        ("hoops court", "hoops courts"),
        ("basketball playing surface", "basketball playing surfaces"),
    ),
    "ground_track_field": (
        ("track-and-field venue", "track-and-field venues"),
        ("400-metre track", "400-metre tracks"),
        ("sports oval", "sports ovals"),
    ),
    "harbor": (("landing stage", "landing stages"), ("quay", "quays"), ("boat berth", "boat berths")),
    "bridge": (("viaduct", "viaducts"), ("flyover", "flyovers"), ("bridge deck", "bridge decks")),
    "vehicle": (("road vehicle", "road vehicles"), ("passenger car", "passenger cars")),
    "building": (("dwelling", "dwellings"), ("roofed construction", "roofed constructions")),
    "swimming_pool": (("swimming bath", "swimming baths"), ("garden pool", "garden pools"), ("lido", "lidos")),
    "road": (("tarmac", "tarmac"), ("street network", "street network")),
    "water": (("waterways", "waterways"), ("standing or flowing water", "standing or flowing water")),
    "vegetation": (("foliage", "foliage"), ("plant life", "plant life")),
    "land": (("sandy soil", "sandy soil"), ("unbuilt land", "unbuilt land")),
    "field": (("arable parcel", "arable parcels"),),
    "tree": (("tree crown", "tree crowns"),),
}
FRAMES = (
    ("{}", 6.0),
    ("trace round {}", 1.0),
    ("digitise {} for me", 1.0),
    ("shade in {}", 1.0),
    ("boundary of {}", 1.0),
    ("what is the extent of {}?", 1.0),
    ("cut {} out of the photograph", 0.8),
    ("our analyst asks for {}", 0.8),
    ("photo shows {}", 1.0),
    ("pictured from overhead: {}", 0.8),
    ("{}, as captured by the drone", 0.8),
    ("{} on this aerial photograph", 0.8),
    ("the subject of interest is {}", 0.8),
    ("tell me which part of the photograph shows {}", 0.8),
    ("polygon wanted for {}", 0.8),
)
SEARCH_ENDINGS = ("", " aerial photo", " overhead imagery", " bird's-eye view")
ONLY = (
    "the sole {one} on show",
    "a solitary {one}",
    "the {one} that appears in this shot",
    "the one and only {one}",
)
ALL = (
    "{many}, as many as there are",
    "all of the {many} without exception",
    "the {many}, wherever they turn up",
    "the complete inventory of {many}",
    "{many} throughout the photograph",
)
STUFF = (
    "ground taken up by {mass}",
    "everything classed as {mass}",
    "{mass} coverage",
    "the {mass} class of a land-use map",
    "all that counts as {mass}",
)
COUNT = (
    "{n} {many} in total",
    "exactly {n} {many}",
    "the {n} different {many} on view",
    "{n} {many}, no more and no fewer",
)
ABSENT_ONE = ("a {one}, provided one exists", "some {one} or other", "the {one} that might be around")
ABSENT_ANY = ("any trace of {many}", "whatever {many} there may be", "{many}, should there be some")
PLACES: dict[str, tuple[str, ...]] = {
    "upper left": ("in the upper left-hand quadrant", "in the north-western quarter", "up and over to the left"),
    "upper right": ("in the upper right-hand quadrant", "in the north-eastern quarter", "up and over to the right"),
    "lower left": ("in the lower left-hand quadrant", "in the south-western quarter", "down and over to the left"),
    "lower right": ("in the lower right-hand quadrant", "in the south-eastern quarter", "down and over to the right"),
    "left": ("in the left-hand third", "over in the western third", "keeping to the frame's left"),
    "right": ("in the right-hand third", "over in the eastern third", "keeping to the frame's right"),
    "top": ("in the upper third", "high up in the frame", "toward the northern margin"),
    "bottom": ("in the lower third", "low down in the frame", "toward the southern margin"),
    "center": ("in the dead centre of the frame", "around the midpoint", "in the central ninth"),
    "upper center": ("in the middle of the upper third", "straight up from the frame's centre"),
    "lower center": ("in the middle of the lower third", "straight down from the frame's centre"),
    "center left": ("halfway up the left-hand side", "in the left-hand third at mid-height"),
    "center right": ("halfway up the right-hand side", "in the right-hand third at mid-height"),
    "leftmost": ("nearest the left-hand border", "with no other to its left", "that comes first from left to right"),
    "rightmost": ("nearest the right-hand border", "with no other to its right", "that comes last from left to right"),
    "topmost": ("nearest the upper border", "with no other above it", "that comes first from top to bottom"),
    "bottommost": ("nearest the lower border", "with no other below it", "that comes last from top to bottom"),
}
CORNERS = ("hugging the {}-hand corner", "wedged into the {}-hand corner of the frame")
SIZES = {
    "largest": ("with the biggest footprint", "occupying more ground than its peers", "that no other matches for size"),
    "smallest": ("with the tiniest footprint", "occupying less ground than its peers", "that all others outsize"),
    "larger": ("of generous dimensions", "on the bulky side"),
    "smaller": ("of scant dimensions", "on the slight side"),
}
COLOUR = ("of a {} hue", "{} in tone", "coloured {}", "that shows up {}")
RELATIONS = {
    "nearest": ("within easiest reach of {}", "with the least separation from {}", "most tightly neighbouring {}"),
    "farthest": ("as far as can be from {}", "with the widest gap to {}", "most remote from {}"),
    "beside": ("bordering on {}", "side by side with {}", "a stone's throw from {}"),
    "left": ("to the west of {}", "with {} to its right"),
    "right": ("to the east of {}", "with {} to its left"),
    "above": ("to the north of {}", "farther up the frame than {}"),
    "below": ("to the south of {}", "farther down the frame than {}"),
    "on": ("carried by {}", "resting on top of {}"),
}
OTHERS = ("its counterpart", "the remaining one")


class AnalystWording(Wording):
    """Requests, captions and searches; now and then a letter left out."""

    new_nouns = NEW_NOUNS
    new_noun_share = NEW_NOUN_SHARE
    frames = FRAMES
    others = OTHERS

    def _agreed(self, clauses: list[str], description: Description) -> list[str]:
        if not description.is_plural:
            return clauses
        return [clause.replace(" its ", " their ").replace("shows up", "show up") for clause in clauses]

    def _core(self, description: Description, one: str, many: str) -> str:
        if description.properties:
            return f"the {many if description.is_plural else one}"
        if description.kind == "absent":
            is_mass = description.category in MASSES
            return _with_article(self._choose(ABSENT_ANY if is_mass else ABSENT_ONE + ABSENT_ANY), one, many)
        if description.is_region and description.category not in PLURAL_REGIONS:
            return self._choose(STUFF).format(mass=one)
        if description.is_region or description.says_all:
            return self._choose(ALL).format(many=many)
        if description.count is not None:
            return self._choose(COUNT).format(n=NUMBER_WORDS[description.count], many=many)
        return _with_article(self._choose(ONLY), one, many)

    def _clause(self, prop: Property) -> str:
        if prop.kind == "colour":
            return self._choose(COLOUR).format(prop.name).replace("a orange", "an orange")
        if prop.kind == "size":
            return self._choose(SIZES[prop.name])
        if prop.kind == "relation":
            return self._choose(RELATIONS[prop.name]).format(self._anchor(prop))
        if prop.name.endswith(" corner"):
            return self._choose(CORNERS).format(prop.name.removesuffix(" corner"))
        return self._choose(PLACES[prop.name])

    def _said(self, text: str) -> str:
        if self.rng.random() < SEARCH_SHARE:
            text = text.removeprefix("the ").replace(" the ", " ") + self._choose(SEARCH_ENDINGS)
        else:
            text = self._framed(text)
        return self._mistyped(text) if self.rng.random() < TYPO_SHARE else text

    def _mistyped(self, text: str) -> str:
        """One inner letter of the longest word left out."""
        word = max(text.split(), key=len)
        if len(word) < LEAST_TYPO_LETTERS:
            return text
        place = int(self.rng.integers(2, len(word) - 1))
        return text.replace(word, word[:place] + word[place + 1 :], 1)


def _with_article(template: str, one: str, many: str) -> str:
    """A template with its nouns, "a" or "an" before them."""
    if one[0] in "aeiou":
        template = template.replace("a {one}", "an {one}").replace("a solitary an", "a solitary")
    return template.format(one=one, many=many)
