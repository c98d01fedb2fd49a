"""Wordings of the first held-out list: requests and captions that the training grammar does not produce."""

from __future__ import annotations

from benchmarks.heldout.wording import Noun, Wording
from rs2sam.datasets.english.phrasing import Description
from rs2sam.datasets.english.properties import Property
from rs2sam.datasets.english.vocabulary import NUMBER_WORDS, PLURAL_REGIONS

NEW_NOUN_SHARE, MISSPELLED_SHARE, TELEGRAM_SHARE = 0.5, 0.05, 0.08

NEW_NOUNS: dict[str, tuple[Noun, ...]] = {
    "airplane": (("airliner", "airliners"), ("jet", "jets"), ("flying machine", "flying machines")),
    "ship": (("marine vessel", "marine vessels"), ("floating craft", "floating craft")),
    "storage_tank": (("petroleum tank", "petroleum tanks"), ("cylindrical tank", "cylindrical tanks")),
    "baseball_diamond": (("softball diamond", "softball diamonds"), ("baseball playing ground", "baseball grounds")),
    "tennis_court": (("court for playing tennis", "courts for playing tennis"), ("tennis ground", "tennis grounds")),
    "basketball_court": (("court for playing basketball", "courts for playing basketball"),),
    "ground_track_field": (("athletic field with a running lane", "athletic fields"), ("race oval", "race ovals")),
    "harbor": (("wharf", "wharves"), ("mooring", "moorings"), ("marina", "marinas")),
    "bridge": (("overpass", "overpasses"), ("crossing", "crossings")),
    "vehicle": (("motorcar", "motorcars"), ("auto", "autos")),
    "building": (("edifice", "edifices"), ("built structure", "built structures"), ("home", "homes")),
    "swimming_pool": (("bathing pool", "bathing pools"), ("backyard pool", "backyard pools")),
    "road": (("carriageway", "carriageways"), ("asphalt lane", "asphalt lanes")),
    "water": (("sea or canal", "sea or canal"), ("wet surface", "wet surfaces")),
    "vegetation": (("plants and grass", "plants and grass"), ("green cover", "green cover")),
    "land": (("barren terrain", "barren terrain"), ("undeveloped earth", "undeveloped earth")),
    "field": (("cultivated plot", "cultivated plots"),),
    "tree": (("woody plant", "woody plants"),),
}
FRAMES = (
    ("{}", 10.0),
    ("could you point out {}", 1.0),
    ("pick out {}", 1.0),
    ("identify {}", 1.0),
    ("which pixels belong to {}?", 0.7),
    ("draw the shape of {}", 0.7),
    ("{}, please", 1.0),
    ("{} and nothing else", 0.7),
    ("I need {} masked", 0.7),
    ("in this view, {}", 0.7),
)
ALL = ("every single {one}", "each and every {one}", "the whole set of {many}", "any {many} that can be seen")
STUFF = ("the parts covered by {many}", "wherever there is {many}", "the surface made up of {many}", "{many} zones")
ONLY = ("the one {one} around", "the only {one} to be seen", "the {one} visible here", "the lone {one}")
COUNT = ("the group of {n} {many}", "all {n} of these {many}", "{n} {many} that are visible")
ABSENT = ("any {one} in this scene", "the {one} here, if there is one", "every last {one}", "the {one}")
COMPASS_SHARE = 0.3
COMPASS = {
    "upper left": "northwest",
    "upper right": "northeast",
    "lower left": "southwest",
    "lower right": "southeast",
    "left": "west",
    "right": "east",
    "top": "north",
    "bottom": "south",
}
CELLS = ("occupying the {} section", "lying over at the {}", "set in the picture's {}", "found around the {} zone")
CENTRE = ("right at the heart of the picture", "sitting centrally", "halfway across and halfway down")
CORNER = ("tucked into the {} corner", "that fills the {} corner")
EXTREMES = {
    "leftmost": ("that lies farther left than any other", "bordering the west most closely"),
    "rightmost": ("that lies farther right than any other", "bordering the east most closely"),
    "topmost": ("that sits above all the rest", "with nothing of its kind further up"),
    "bottommost": ("that sits beneath all the rest", "with nothing of its kind further down"),
}
SIZES = {
    "largest": ("taking up the most room", "of the greatest extent"),
    "smallest": ("covering the least ground", "of the most modest extent"),
    "larger": ("of the more sizable sort",),
    "smaller": ("of the less sizable sort",),
}
COLOUR = ("whose colour is {}", "painted {}", "looking {}")
RELATIONS = {
    "nearest": ("at the shortest distance from {}", "least distant from {}"),
    "farthest": ("at the greatest remove from {}", "lying off far away from {}"),
    "beside": ("flanking {}", "alongside {}", "neighbouring {}"),
    "left": ("having {} on its right-hand side", "positioned west of {}"),
    "right": ("having {} on its left-hand side", "positioned east of {}"),
    "above": ("positioned north of {}", "higher in the picture than {}"),
    "below": ("positioned south of {}", "further down the picture than {}"),
    "on": ("standing atop {}", "that has {} under it"),
}
OTHERS = ("its fellow",)


class FrameWording(Wording):
    """Frames of requests around clauses; now and then a telegram, or two letters that changed places."""

    new_nouns = NEW_NOUNS
    new_noun_share = NEW_NOUN_SHARE
    frames = FRAMES
    others = OTHERS

    def _core(self, description: Description, one: str, many: str) -> str:
        if description.kind == "absent" and not description.properties:
            return self._choose(ABSENT).format(one=one)
        if description.is_region:
            plural = description.category in PLURAL_REGIONS
            return self._choose(ALL if plural else STUFF).format(one=one, many=many if plural else one)
        if description.says_all:
            return self._choose(ALL).format(one=one, many=many)
        if description.count is not None:
            return self._choose(COUNT).format(n=NUMBER_WORDS[description.count], many=many)
        if not description.properties:
            return self._choose(ONLY).format(one=one)
        return f"the {many if description.is_plural else one}"

    def _clause(self, prop: Property) -> str:
        if prop.kind == "colour":
            return self._choose(COLOUR).format(prop.name)
        if prop.kind == "size":
            return self._choose(SIZES[prop.name])
        if prop.kind == "relation":
            return self._choose(RELATIONS[prop.name]).format(self._anchor(prop))
        if prop.name in EXTREMES:
            return self._choose(EXTREMES[prop.name])
        if prop.name == "center":
            return self._choose(CENTRE)
        if prop.name.endswith(" corner"):
            return self._choose(CORNER).format(prop.name.removesuffix(" corner"))
        if prop.name in COMPASS and self.rng.random() < COMPASS_SHARE:
            return f"in the {COMPASS[prop.name]}"
        return self._choose(CELLS).format(prop.name)

    def _said(self, text: str) -> str:
        if self.rng.random() < TELEGRAM_SHARE:
            return text.replace("the ", "").replace("that lies ", "").replace("that is ", "")
        text = self._framed(text)
        return self._misspelled(text) if self.rng.random() < MISSPELLED_SHARE else text

    def _misspelled(self, text: str) -> str:
        """Two neighbouring letters of the longest word swapped."""
        word = max(text.split(), key=len)
        place = int(self.rng.integers(1, len(word) - 2)) if len(word) > 4 else 0
        return text.replace(word, word[:place] + word[place + 1] + word[place] + word[place + 2 :], 1)
