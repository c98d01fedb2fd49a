"""Let a model mark images that nobody marked, or not all of, for a further stage of its own training.

    python tools/compact/mark_by_model.py DATA runs/compact-512/model runs/compact-512/class_maps.safetensors marks
    rs2sam train recipes/compact-marked.yaml --set data.root=DATA --set data.marked=marks ...

DATA holds the data sets' folders; marked are the photographs of `naip_unlabelled` and the training images of
`swimming_pools`. The model's class maps are asked at several enlargements and mirrored, and each class is averaged over
those enlargements where it is seen best. What they are sure of becomes a class, what they are sure not to be becomes
none, and all between is left open. OUT gets a folder a source with a PNG of labels an image (0: none of the classes, k:
class k, 255: unknown) and `marks.json`, written last; `rs2sam.datasets.readers.marked` reads them.

Sure of are only `EXHAUSTIVE` classes: of them all is marked or left open. Of the others some is marked. Shades are
taken for water: it is never marked, and left open where it may be.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from safetensors.torch import load_file
from torch.nn import functional as F

import rs2sam
from rs2sam.datasets.base import AnnotatedImage, Mask
from rs2sam.datasets.english.vocabulary import CATEGORIES
from rs2sam.datasets.images import Pixels, load_pixels
from rs2sam.datasets.readers.components import smaller_pieces
from rs2sam.datasets.readers.greenery import UNLABELLED, greenery, photographs
from rs2sam.datasets.readers.marked import MARKS_FILE, NAIP_MARKED, POOLS, UNKNOWN
from rs2sam.datasets.readers.sources import swimming_pools
from rs2sam.models.weights.loading import load_encode_once
from rs2sam.processing import Processor
from rs2sam.training.objective.encode_once import ClassMaps

CLASSES = (
    "land",
    "road",
    "water",
    "vegetation",
    "building",
    "bridge",
    "tennis_court",
    "swimming_pool",
    "vehicle",
)
"""Later ones lie on earlier ones where both are sure: from `ON_TOP` on always, before it where they are surer."""
ON_TOP = CLASSES.index("swimming_pool")
EXHAUSTIVE = ("building", "vegetation", "swimming_pool", "vehicle")
"""Of these, what may be one is left open, down to a low probability where many are missed (`MAYBE_OF`)."""
LARGE_VEHICLE = "large_vehicle"

SURE, SURE_OF = 0.65, {"vehicle": 0.55, "building": 0.55}
"""Probability above which a pixel is of a class."""
MAYBE, MAYBE_OF = 0.2, {"building": 0.12, "vehicle": 0.04}
"""Probability above which it may be of one that is exhaustive: cars that are hardly seen taught that cars are none."""
CERTAIN = 0.85
"""Probability of another class above which it is not."""
NO_GREENERY = 0.4
"""Probability of vegetation below which what is green by its colour is left open."""
LEAST_AREA_PX = {
    "vehicle": 8,
    "swimming_pool": 12,
    "building": 40,
    "road": 60,
    "land": 60,
    "vegetation": 10,
    "water": 200,
    "bridge": 80,
    "tennis_court": 80,
}
"""Smaller pieces are of no class; of an exhaustive one they are left open."""
MAYBE_WATER = 0.3
"""Probability above which ground of no class is left open in the photographs, which have lakes."""
SURE_WATER, LEAST_WATER_PX = 0.6, 9000
"""Probability and area above which water is left open beside pools, where what is smaller is shade."""
POOL_RIM_PX = 3
"""Around a marked pool nothing else is marked."""

MOST_SIDE = 1536
"""Longer side that images are enlarged to at most [px]."""
STRIDE = 32

Maps = dict[str, NDArray[np.float32]]
"""Class -> (H, W) probability in [0, 1]."""
Enlargements = Mapping[str, Mapping[float, float]]
"""Class -> enlargement -> its weight in the mean of the class."""

PHOTOGRAPH_ENLARGEMENTS: Enlargements = {
    "land": {1: 1, 1.5: 1, 2: 1},
    "road": {1: 1.2, 1.5: 1, 2: 0.8},
    "water": {1: 1, 1.5: 1, 2: 1, 3: 1},
    "vegetation": {1: 1, 1.5: 1, 2: 1},
    "building": {1.5: 1, 2: 1.5, 3: 1},
    "bridge": {1: 1, 1.5: 1},
    "tennis_court": {1: 1, 1.5: 1, 2: 1},
    "swimming_pool": {1.5: 1, 2: 1, 3: 1},
    "vehicle": {2: 1, 3: 1.5},
    LARGE_VEHICLE: {2: 1, 3: 1},
}
"""Of 0.6 m/px: objects are seen when they are larger."""
_ALL, _SMALLER, _LARGER = (dict.fromkeys(steps, 1.0) for steps in ((0.5, 0.75, 1, 1.5), (0.5, 0.75, 1), (1, 1.5)))
POOL_ENLARGEMENTS: Enlargements = {
    **dict.fromkeys((*CLASSES, LARGE_VEHICLE), _ALL),
    **dict.fromkeys(("building", "swimming_pool", "vehicle", LARGE_VEHICLE), _LARGER),
    "road": _SMALLER,
}
"""Of the images with pools, which are seen from nearer."""


@dataclass(frozen=True)
class MarkedImage:
    """An image to be marked.

    Args:
        stem: name of its marks.
        rgb: (H, W, 3) uint8.
        pools: (H, W) bool, what somebody marked as pools; None: nobody looked for them.
    """

    stem: str
    rgb: Pixels
    pools: Mask | None = None


class Seer:
    """A model's class maps of images at any enlargement.

    Args:
        model: model folder.
        class_maps: `class_maps.safetensors` of the run that wrote it.
        device: of torch.
        mixed: whether bfloat16 is used where autocast has it so, as in training.
    """

    def __init__(self, model: Path, class_maps: Path, device: str = "cpu", mixed: bool = True) -> None:
        self.model = load_encode_once(model, torch.float32, device).eval()
        self.heads = ClassMaps(self.model.config.decoder_width, len(CATEGORIES)).to(device).eval()
        self.heads.load_state_dict(load_file(class_maps, device=device))
        config = Processor.from_folder(model).config
        self._mean, self._std = (np.float32(values) for values in (config.image_mean, config.image_std))
        self._device, self._mixed = torch.device(device), mixed

    def see(self, rgb: Pixels, enlargements: Enlargements) -> Maps:
        """The maps of all classes that enlargements are given for, each averaged over its own and over a mirror image.

        Args:
            rgb: (H, W, 3) uint8.
            enlargements: for each class.
        """
        names = list(enlargements)
        sums = {name: np.zeros(rgb.shape[:2], np.float32) for name in names}
        for enlargement in sorted({one for weights in enlargements.values() for one in weights}):
            for name, seen in zip(names, self._at(rgb, enlargement, names), strict=True):
                sums[name] += np.float32(enlargements[name].get(enlargement, 0)) * seen
        return {name: total / np.float32(sum(enlargements[name].values())) for name, total in sums.items()}

    @torch.no_grad()
    def _at(self, rgb: Pixels, enlargement: float, names: list[str]) -> NDArray[np.float32]:
        """(K, H, W) probabilities of classes at one enlargement."""
        height, width = rgb.shape[:2]
        enlargement = min(enlargement, MOST_SIDE / max(height, width))
        tall, wide = (max(round(side * enlargement / STRIDE), 1) * STRIDE for side in (height, width))
        resized = np.asarray(Image.fromarray(rgb).resize((wide, tall), Image.Resampling.BICUBIC), np.float32)
        values = ((resized / 255 - self._mean) / self._std).transpose(2, 0, 1)[None]
        inputs = torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(self._device)
        chosen = [CATEGORIES.index(name) for name in names]
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._mixed):
            plain, mirrored = (self._logits(one) for one in (inputs, inputs.flip(3)))
        both = [logits[:, chosen].float() for logits in (plain, mirrored.flip(3))]
        found = [F.interpolate(one, size=(height, width), mode="bilinear").sigmoid() for one in both]
        mean: NDArray[np.float32] = ((found[0] + found[1]) / 2)[0].cpu().numpy()
        return mean

    def _logits(self, inputs: torch.Tensor) -> torch.Tensor:
        """(1, 3, H, W) to (1, K, H/4, W/4)."""
        classes: torch.Tensor = self.heads(self.model.pyramid(self.model.trunk(inputs))[0]).classes
        return classes


def marks_of_photograph(image: MarkedImage, maps: Maps) -> NDArray[np.uint8]:
    """Labels of a photograph that nobody marked.

    Args:
        image: it.
        maps: of `CLASSES` and large vehicles; (H, W).
    """
    maps, water = _without_water(maps)
    labels, unknown = _labels(image.rgb, maps)
    labels[unknown | ((water > MAYBE_WATER) & (labels == 0))] = UNKNOWN
    return labels


def marks_beside_pools(image: MarkedImage, maps: Maps) -> NDArray[np.uint8]:
    """Labels of all but the pools, which somebody marked.

    Args:
        image: with its pools.
        maps: as for `marks_of_photograph`.
    """
    assert image.pools is not None
    maps, water = _without_water(maps)
    maps["swimming_pool"] = np.zeros_like(water)
    grown = Image.fromarray(image.pools.astype(np.uint8)).filter(ImageFilter.MaxFilter(2 * POOL_RIM_PX + 1))
    beside = np.asarray(grown) == 0
    labels, unknown = _labels(image.rgb, {name: seen * beside for name, seen in maps.items()})
    is_water = water > SURE_WATER
    unknown |= is_water & ~smaller_pieces(is_water, LEAST_WATER_PX + 1)
    labels[unknown] = UNKNOWN
    labels[image.pools] = 0
    return labels


def _without_water(maps: Maps) -> tuple[Maps, NDArray[np.float32]]:
    """Maps of `CLASSES`, trucks among the vehicles and without water, and that of water."""
    vehicles = np.maximum(maps["vehicle"], maps[LARGE_VEHICLE])
    water = maps["water"]
    own = {name: maps[name] for name in CLASSES}
    return own | {"vehicle": vehicles, "water": np.zeros_like(water)}, water


def _labels(rgb: Pixels, maps: Maps) -> tuple[NDArray[np.uint8], Mask]:
    """Labels 1 + index in `CLASSES`, 0 elsewhere, and where nobody knows."""
    labels = np.zeros(rgb.shape[:2], np.uint8)
    best, unknown = np.zeros(labels.shape, np.float32), np.zeros(labels.shape, bool)
    for index, name in enumerate(CLASSES):
        is_sure = maps[name] > SURE_OF.get(name, SURE)
        small = smaller_pieces(is_sure, LEAST_AREA_PX[name])
        if name in EXHAUSTIVE:
            unknown |= small
        taken = is_sure & ~small & ((maps[name] >= best) | (index >= ON_TOP))
        labels[taken] = index + 1
        best[taken] = maps[name][taken]
    for name in EXHAUSTIVE:
        is_other = labels != CLASSES.index(name) + 1
        if name != "vehicle":  # a car stands on what is surely a road
            is_other &= ~((labels > 0) & (best > CERTAIN))
        unknown |= (maps[name] > MAYBE_OF.get(name, MAYBE)) & is_other
    is_vegetation = labels == CLASSES.index("vegetation") + 1
    unknown |= greenery(rgb).is_green & (maps["vegetation"] < NO_GREENERY)
    return labels, unknown & ~is_vegetation


def photographs_to_mark(data: Path) -> Iterator[MarkedImage]:
    """The photographs of `naip_unlabelled`."""
    for file, _ in photographs(data / UNLABELLED, NAIP_MARKED):
        yield MarkedImage(file.stem, load_pixels(file))


def pools_to_mark(data: Path) -> Iterator[MarkedImage]:
    """The training images of `swimming_pools`."""
    training: list[AnnotatedImage] = [one for one in swimming_pools(data / POOLS) if one.split == "train"]
    for annotated in training:
        yield MarkedImage(annotated.id, annotated.pixels(), annotated.category_mask("swimming_pool"))


def mark(source: str, data: Path, out: Path, seer: Seer, made_with: Mapping[str, Any]) -> int:
    """Mark the images of a source and write `OUT/SOURCE`; `marks.json` last, so that it is there where all else is.

    Args:
        source: `naip_unlabelled` or `swimming_pools`.
        data: folder of the data sets.
        out: folder of the marks.
        seer: the model.
        made_with: what is written about it.

    Returns:
        How many images were marked.
    """
    is_photograph = source == UNLABELLED
    images = photographs_to_mark(data) if is_photograph else pools_to_mark(data)
    enlargements = PHOTOGRAPH_ENLARGEMENTS if is_photograph else POOL_ENLARGEMENTS
    folder = out / source
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKS_FILE).unlink(missing_ok=True)
    count = 0
    for image in images:
        maps = seer.see(image.rgb, enlargements)
        labels = marks_of_photograph(image, maps) if is_photograph else marks_beside_pools(image, maps)
        Image.fromarray(labels).save(folder / f"{image.stem}.png")
        count += 1
        if sys.stderr.isatty():
            print(f"\r{source}: {count}", end="", file=sys.stderr)
    # Beside marked pools there is no water: what looks like it is shade, or large and left open.
    exhaustive = EXHAUSTIVE if is_photograph else ("building", "vegetation", "vehicle", "water")
    told = {"classes": CLASSES, "exhaustive": exhaustive, "made_with": {**made_with, "enlargements": enlargements}}
    (folder / MARKS_FILE).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return count


def main() -> None:
    """Reads folders and files from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds naip_unlabelled and swimming_pools")
    parser.add_argument("model", type=Path, help="model folder of a run, of a model that encodes an image once")
    parser.add_argument("class_maps", type=Path, help="class_maps.safetensors of the same run")
    parser.add_argument("out", type=Path, help="folder that the marks are written to")
    parser.add_argument("--sources", nargs="+", choices=(UNLABELLED, POOLS), default=[UNLABELLED, POOLS])
    parser.add_argument("--device", default="cpu", help="of torch, e.g. cuda")
    parser.add_argument("--precision", choices=("bf16", "float32"), default="bf16")
    arguments = parser.parse_args()
    seer = Seer(arguments.model, arguments.class_maps, arguments.device, arguments.precision == "bf16")
    weights = {"model": arguments.model / "model.safetensors", "class_maps": arguments.class_maps}
    digests = {f"{name}_sha256": hashlib.sha256(path.read_bytes()).hexdigest() for name, path in weights.items()}
    made_with = {"rs2sam": rs2sam.__version__, **digests}
    for source in arguments.sources:
        count = mark(source, arguments.data, arguments.out, seer, made_with)
        print(f"\r{source}: {count} images marked in {arguments.out / source}")


if __name__ == "__main__":
    main()
