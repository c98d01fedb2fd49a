"""Write the fixed list of held-out sentences, in wordings that the training grammar does not produce.

    python tools/make_heldout.py ../shared/data benchmarks/heldout/sentences.jsonl
    python tools/make_heldout.py ../shared/data benchmarks/heldout/analysts.jsonl --wording analysts --seed 41

What is said comes from the annotation of the images that are in no training split (`val` and `test`), as in training;
how it is said comes from the nouns, clauses and frames below, none of which `english.phrasing` knows. Half of the
sentences keep a noun that training uses, so that unknown words and unknown frames are measured apart. Images that look
like a training image are left out. A list is made once and committed; `benchmarks/heldout.py` measures with it. The
second list is worded by `heldout_wordings`, since the sentence reader was developed against the first.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from heldout_wordings import AnalystWording
from numpy.typing import NDArray
from PIL import Image

from rs2sam.datasets.base import AnnotatedImage
from rs2sam.datasets.english.expressions import KINDS, descriptions
from rs2sam.datasets.english.nouns import NOUNS
from rs2sam.datasets.english.phrasing import Description
from rs2sam.datasets.english.properties import Property
from rs2sam.datasets.english.vocabulary import NUMBER_WORDS, PLURAL_REGIONS
from rs2sam.datasets.readers.sources import read_sources

NEW_NOUN_SHARE, MISSPELLED_SHARE, TELEGRAM_SHARE = 0.5, 0.05, 0.08
HASH_SIDE, NEAR_BITS = 16, 24
MAX_CLASS_SHARE = 0.2  # of a kind's sentences, about one class of one source: half of the images show pools

# category -> (singular, plural); a mass noun has one form.
NEW_NOUNS: dict[str, tuple[tuple[str, str], ...]] = {
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


class Wording:
    """Words descriptions at random.

    Args:
        rng: source of all choices.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def sentence(self, description: Description) -> str:
        """One sentence for a description."""
        one, many = self._noun(description.category)
        clauses = [self._clause(prop) for prop in description.properties]
        if description.kind == "absent" and not clauses:
            core = self._choose(ABSENT).format(one=one)
        elif description.is_region:
            plural = description.category in PLURAL_REGIONS
            core = self._choose(ALL if plural else STUFF).format(one=one, many=many if plural else one)
        elif description.says_all:
            core = self._choose(ALL).format(one=one, many=many)
        elif description.count is not None:
            core = self._choose(COUNT).format(n=NUMBER_WORDS[description.count], many=many)
        elif not clauses:
            core = self._choose(ONLY).format(one=one)
        else:
            core = f"the {many if description.is_plural else one}"
        text = ", ".join([" ".join([core, *clauses[:1]]), *clauses[1:]])
        if self.rng.random() < TELEGRAM_SHARE:
            return text.replace("the ", "").replace("that lies ", "").replace("that is ", "")
        weights = np.array([weight for _, weight in FRAMES])
        frame = FRAMES[int(self.rng.choice(len(FRAMES), p=weights / weights.sum()))][0]
        text = frame.format(text)
        return self._misspelled(text) if self.rng.random() < MISSPELLED_SHARE else text

    def _noun(self, category: str) -> tuple[str, str]:
        """Singular and plural of one noun, half of the time one that training does not use."""
        if self.rng.random() < NEW_NOUN_SHARE:
            return self._choose(NEW_NOUNS[category])
        noun = NOUNS[category][0]
        return noun.singular, noun.plural

    def _clause(self, prop: Property) -> str:
        """One property as a clause behind the noun."""
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
        if prop.name in COMPASS and self.rng.random() < 0.3:
            return f"in the {COMPASS[prop.name]}"
        return self._choose(CELLS).format(prop.name)

    def _anchor(self, prop: Property) -> str:
        """What a relation refers to."""
        assert prop.anchor is not None
        if prop.anchor_is_other:
            return "its fellow"
        one, many = self._noun(prop.anchor)
        return f"the {many if prop.anchor_is_plural else one}"

    def _misspelled(self, text: str) -> str:
        """Two neighbouring letters of the longest word swapped."""
        word = max(text.split(), key=len)
        place = int(self.rng.integers(1, len(word) - 2)) if len(word) > 4 else 0
        return text.replace(word, word[:place] + word[place + 1] + word[place] + word[place + 2 :], 1)

    def _choose(self, options: Any) -> Any:
        """One of a few options."""
        return options[int(self.rng.integers(len(options)))]


def picture_hash(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Signs of the horizontal differences of a small grey version: (HASH_SIDE^2,) bool."""
    grey = np.asarray(Image.fromarray(rgb).convert("L").resize((HASH_SIDE + 1, HASH_SIDE)), dtype=np.int16)
    return (grey[:, 1:] > grey[:, :-1]).ravel()


def without_doubles(images: list[AnnotatedImage]) -> tuple[list[AnnotatedImage], int]:
    """The held-out images that look like no training image, in any quarter turn, and how many were left out."""
    trained = np.array([picture_hash(image.pixels()) for image in images if image.split == "train"])
    kept, dropped = [], 0
    for image in images:
        if image.split == "train":
            continue
        turned = [picture_hash(np.ascontiguousarray(np.rot90(image.pixels(), k))) for k in range(4)]
        nearest = min(int((trained != own).sum(axis=1).min()) for own in turned)
        if nearest > NEAR_BITS:
            kept.append(image)
        dropped += nearest <= NEAR_BITS
    return kept, dropped


def chosen(
    images: list[AnnotatedImage], per_kind: int, rng: np.random.Generator, wording: Wording | AnalystWording
) -> list[dict[str, Any]]:
    """Up to `per_kind` sentences of each kind, spread over classes and images."""
    pools: dict[str, dict[tuple[str, str], list[tuple[AnnotatedImage, Description]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for image in images:
        pixels = image.pixels()
        for kind in KINDS:
            for description in descriptions(image, kind, pixels):
                pools[kind][image.source, description.category].append((image, description))
    rows = []
    for kind in KINDS:
        uses: Counter[str] = Counter()
        groups = {key: [members[i] for i in rng.permutation(len(members))] for key, members in pools[kind].items()}
        taken, left = 0, dict.fromkeys(groups, round(MAX_CLASS_SHARE * per_kind))
        while taken < per_kind and any(groups[key] and left[key] for key in groups):
            for key in sorted(groups):
                if groups[key] and left[key] and taken < per_kind:
                    left[key] -= 1
                    groups[key].sort(key=lambda entry: uses[entry[0].id], reverse=True)
                    image, description = groups[key].pop()
                    uses[image.id] += 1
                    taken += 1
                    rows.append(
                        {
                            "id": f"{kind}-{taken:03d}",
                            "source": image.source,
                            "image": image.id,
                            "sentence": wording.sentence(description),
                            "kind": kind,
                            "category": description.category,
                            "targets": None if kind == "absent" else list(description.targets),
                            "is_region": description.is_region,
                        }
                    )
    return rows


def main() -> None:
    """Parse the command line and write the list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of annotated imagery")
    parser.add_argument("output", type=Path, help="JSON Lines file to write")
    parser.add_argument("--per-kind", type=int, default=140)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--wording", choices=("frames", "analysts"), default="frames")
    arguments = parser.parse_args()
    kept: list[AnnotatedImage] = []
    for name, images in read_sources(arguments.data).items():
        own, dropped = without_doubles(images)
        print(f"{name}: {len(own)} held-out images, {dropped} left out because they look like a training image")
        kept += own
    rng = np.random.default_rng(arguments.seed)
    wording = Wording(rng) if arguments.wording == "frames" else AnalystWording(rng)
    rows = chosen(kept, arguments.per_kind, rng, wording)
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    partial = arguments.output.with_suffix(".partial")
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    partial.replace(arguments.output)
    kinds = Counter(row["kind"] for row in rows)
    print(f"{len(rows)} sentences on {len({(r['source'], r['image']) for r in rows})} images: {dict(kinds)}")


if __name__ == "__main__":
    main()
