"""The categories the project knows, and the words of rule-made sentences about them (`nouns` has their names)."""

from __future__ import annotations

CATEGORIES: tuple[str, ...] = (
    "airplane",
    "ship",
    "storage_tank",
    "baseball_diamond",
    "tennis_court",
    "basketball_court",
    "ground_track_field",
    "harbor",
    "bridge",
    "vehicle",
    "building",
    "swimming_pool",
    "road",
    "water",
    "vegetation",
    "land",
    "field",
    "tree",
    "large_vehicle",
    "golf_field",
    "park",
    "soccer_field",
    "roundabout",
    "helicopter",
)
"""Every category of every source, in the order of the semantic label stack. Append only: weights depend on it."""

COLOURS: tuple[str, ...] = ("white", "black", "grey", "red", "blue", "green", "brown", "yellow", "orange")
"""Colour names that an instance's `colour` attribute may hold."""

COLOUR_WORDS: dict[str, tuple[str, ...]] = {
    "white": ("white", "white", "bright white"),
    "black": ("black", "black", "dark"),
    "grey": ("grey", "gray"),
    "red": ("red", "red", "reddish"),
    "blue": ("blue", "blue", "bluish"),
    "green": ("green", "green", "greenish"),
    "brown": ("brown", "brown", "brownish"),
    "yellow": ("yellow",),
    "orange": ("orange",),
}

CONFUSABLE_COLOURS: frozenset[frozenset[str]] = frozenset(
    frozenset(pair)
    for pair in (
        ("white", "grey"),
        ("grey", "black"),
        ("brown", "red"),
        ("brown", "orange"),
        ("brown", "yellow"),
        ("brown", "grey"),
        ("brown", "black"),
        ("orange", "red"),
        ("orange", "yellow"),
        ("blue", "grey"),
        ("blue", "black"),
        ("green", "black"),
        ("green", "brown"),
        ("green", "grey"),
    )
)
"""Pairs that two people may name either way: one neither confirms nor excludes the other."""

COLOURED_CATEGORIES: frozenset[str] = frozenset(
    {"airplane", "ship", "storage_tank", "tennis_court", "basketball_court", "vehicle", "building"}
)
"""Categories whose colour is named from pixels: uniform objects whose colours differ (pools are all blue)."""


PLURAL_REGIONS: frozenset[str] = frozenset(
    {"building", "vehicle", "tree", "swimming_pool", "field", "airplane", "ship"}
)
"""Categories that are named in the plural when only their area is known."""

SPOILS_ABSENCE: dict[str, frozenset[str]] = {
    "field": frozenset({"baseball_diamond", "ground_track_field", "vegetation", "land"}),
    "vegetation": frozenset({"tree", "field"}),
    "tree": frozenset({"vegetation"}),
    "land": frozenset({"field", "road", "building", "baseball_diamond"}),
    "water": frozenset({"swimming_pool", "ship", "harbor", "bridge"}),
    "road": frozenset({"bridge", "vehicle"}),
    "harbor": frozenset({"ship"}),
}
"""Category -> categories beside which one may find it after all: beside them it is never said to be absent."""

CARRIERS: tuple[tuple[str, float], ...] = (
    ("{}", 70.0),
    ("{}.", 3.0),
    ("segment {}", 4.0),
    ("find {}", 3.0),
    ("show me {}", 2.0),
    ("show {}", 1.0),
    ("please segment {}", 1.5),
    ("please find {}", 1.0),
    ("highlight {}", 1.5),
    ("outline {}", 1.0),
    ("mark {}", 1.0),
    ("select {}", 1.0),
    ("locate {}", 1.5),
    ("extract {}", 0.7),
    ("delineate {}", 0.5),
    ("where {be} {}?", 1.5),
    ("where {be} {}", 1.0),
    ("i am looking for {}", 0.7),
    ("i want {}", 0.5),
    ("give me the mask of {}", 0.5),
    ("a mask of {}", 0.3),
    ("can you segment {}?", 0.7),
    ("could you find {} in this image?", 0.5),
    ("segment {} in this image", 0.7),
    ("{} in this image", 1.0),
    ("{} in the aerial image", 0.7),
    ("{} in the satellite image", 0.5),
    ("there {be} {}", 0.4),
    ("identify {}", 0.7),
    ("detect {}", 0.7),
    ("mask {}", 0.5),
    ("get me {}", 0.3),
    ("return the pixels of {}", 0.3),
    ("{} visible in the scene", 0.5),
    ("{}, please", 0.5),
    ("i need {}", 0.4),
    ("{} seen from above", 0.3),
)
"""Ways to ask, with weights; `{}` takes the noun phrase, `{be}` is or are."""

NUMBER_WORDS: dict[int, str] = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}

CELL_NAMES: dict[str, tuple[str, ...]] = {
    "upper left": ("upper left", "top left", "upper-left", "top-left", "northwest", "north-west"),
    "upper right": ("upper right", "top right", "upper-right", "top-right", "northeast", "north-east"),
    "lower left": ("lower left", "bottom left", "lower-left", "bottom-left", "southwest", "south-west"),
    "lower right": ("lower right", "bottom right", "lower-right", "bottom-right", "southeast", "south-east"),
    "left": ("left", "left", "left", "west", "western"),
    "right": ("right", "right", "right", "east", "eastern"),
    "top": ("top", "upper", "top", "upper", "north", "northern"),
    "bottom": ("bottom", "lower", "bottom", "lower", "south", "southern"),
    "center": ("center", "middle", "centre"),
    "upper center": ("upper center", "top center", "upper middle", "top middle"),
    "lower center": ("lower center", "bottom center", "lower middle", "bottom middle"),
    "center left": ("center left", "middle left", "left center"),
    "center right": ("center right", "middle right", "right center"),
}
"""Place in the image -> its names, usable before a noun."""

CELL_PHRASES: dict[str, tuple[str, ...]] = {
    "corner": (
        "in the {}",
        "at the {}",
        "on the {}",
        "in the {} of the image",
        "in the {} part of the image",
        "in the {} area",
        "on the {} side",
        "located in the {}",
        "situated in the {}",
        "positioned at the {}",
        "towards the {}",
        "that is in the {}",
    ),
    "tight corner": (
        "in the {} corner",
        "at the {} corner of the image",
        "in the {} corner of the image",
        "near the {} corner",
    ),
    "side": (
        "on the {}",
        "on the {} side",
        "at the {} side",
        "on the {} of the image",
        "on the {} side of the image",
        "to the {}",
        "at {}",
        "located on the {}",
        "situated on the {} side",
        "in the {} part",
        "in the {} part of the image",
        "that is on the {}",
        "towards the {}",
    ),
    "vertical": (
        "at the {}",
        "at the {} of the image",
        "in the {} part",
        "in the {} part of the image",
        "on the {} side",
        "near the {}",
        "towards the {}",
        "located at the {}",
        "in the {} area",
        "that is at the {}",
    ),
    "middle": (
        "in the {}",
        "at the {}",
        "in the {} of the image",
        "at the {} of the image",
        "near the {}",
        "located in the {}",
        "situated in the {}",
        "that is in the {}",
        "around the {}",
    ),
}
"""Form of a place -> phrases that follow a noun."""

EXTREMES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "left": (
        ("leftmost", "far left", "left-most", "westernmost"),
        ("farthest to the left", "furthest left", "on the far left", "on the extreme left", "closest to the left edge"),
    ),
    "right": (
        ("rightmost", "far right", "right-most", "easternmost"),
        (
            "farthest to the right",
            "furthest right",
            "on the far right",
            "on the extreme right",
            "closest to the right edge",
        ),
    ),
    "top": (
        ("topmost", "uppermost", "highest", "northernmost"),
        ("closest to the top", "farthest up", "nearest the top edge", "at the very top"),
    ),
    "bottom": (
        ("bottommost", "lowermost", "lowest", "southernmost"),
        ("closest to the bottom", "farthest down", "nearest the bottom edge", "at the very bottom"),
    ),
}
"""Extreme -> (words before a noun, phrases after it)."""

SIZES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "largest": (
        ("largest", "biggest", "largest visible", "greatest"),
        ("with the largest area", "that is the largest", "that is bigger than the others"),
    ),
    "smallest": (
        ("smallest", "tiniest", "littlest"),
        ("with the smallest area", "that is the smallest", "that is smaller than the others"),
    ),
    "larger": (("larger", "bigger", "big", "large"), ("that is larger", "that is bigger")),
    "smaller": (("smaller", "small", "little"), ("that is smaller",)),
}
"""Size -> (words before a noun, phrases after it)."""

DIRECTIONS: dict[str, tuple[str, ...]] = {
    "left": (
        "to the left of {}",
        "on the left of {}",
        "left of {}",
        "on the left side of {}",
        "which is to the left of {}",
    ),
    "right": (
        "to the right of {}",
        "on the right of {}",
        "right of {}",
        "on the right side of {}",
        "which is to the right of {}",
    ),
    "above": ("above {}", "on the upper side of {}", "located above {}", "higher up than {}"),
    "below": (
        "below {}",
        "beneath {}",
        "on the lower side of {}",
        "located below {}",
        "under {}",
        "lower down than {}",
    ),
}
"""Direction from an anchor -> phrases that take the anchor."""

NEAREST: tuple[str, ...] = (
    "nearest {}",
    "nearest to {}",
    "closest to {}",
    "that is closest to {}",
    "with the smallest distance to {}",
    "which is nearest to {}",
)
FARTHEST: tuple[str, ...] = ("farthest from {}", "furthest away from {}", "most distant from {}")
BESIDE: tuple[str, ...] = (
    "next to {}",
    "beside {}",
    "near {}",
    "close to {}",
    "adjacent to {}",
    "by {}",
    "right next to {}",
)
ON: tuple[str, ...] = ("on {}", "that is on {}", "driving on {}", "located on {}")
