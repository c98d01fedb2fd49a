"""Readers of annotated imagery: files in, `AnnotatedImage` out, each image with its split.

Splits are by ground: images that show common ground form a group, and a group is in one split. The pixels stay on disk
until asked for. Terms of use stand at each reader.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from rs2sam.datasets.base import AnnotatedImage, Instance, LabelRegions
from rs2sam.datasets.english.colours import looks_false_colour
from rs2sam.datasets.images import image_size, load_pixels
from rs2sam.datasets.readers.coco import entry_size, read_instances
from rs2sam.datasets.readers.components import connected_components
from rs2sam.datasets.readers.labelled_sets import BOXED_SETS, MASKED_SETS, boxed_set, masked_set
from rs2sam.datasets.readers.mask_files import read_grey_mask
from rs2sam.errors import DataNotFoundError, InvalidInputError

_TEST_SHARE, _VAL_SHARE = 0.15, 0.07
# Chosen so that every class has about its share in each split.
_SPLIT_SALTS = {"nwpu_vhr10": 132, "openaerialmap_buildings": 123, "roads": 46, "swimming_pools": 92}

# Images that show the same place, often rotated: found by colour histograms (4 bits a channel, Bhattacharyya
# coefficient above 0.965, 0.93 between neighbours in the numbering) and checked by eye: rotated views do not correlate.
_NWPU_SAME_GROUND = """
004 009 046 063, 005 064, 011 040 041 077, 013 043, 019 020, 029 030, 031 032 042 045 055 075 076, 038 053,
065 070, 098 099, 101 102 103 104 105, 107 240 241 248 251 255 477 547 548 549 550 552 553 555 559 560 561 562
582 583 584 586 589 591 592 593 595 606 613 614 615 616 620 629, 118 119 120 124, 126 127, 128 130 131, 132
233, 133 134 135 157 160 161 162 163 201 204 205 208 209 210 211 212 213 215 216 223 224 226 227 228 229 230
331 341 342 343 344 346 348 349 350 351 353 354 356, 137 138, 140 142 145 156 246 249, 150 151 152, 171 172,
173 175, 174 177 178, 188 189, 194 195 196, 200 630, 234 576, 236 243, 260 263, 285 321, 288 297, 293 303, 313
314, 333 335, 337 367, 430 433, 446 447, 458 459 460 461 462 463 464 644 645 646 647 648 649, 467 468 470 471
472 473 475 476 478 483 484 485 487 492 497, 522 533 534 536 537, 524 525, 528 529 530 531, 540 541 542 544,
543 619, 545 546, 567 568 573, 601 603, 605 611, 637 639
"""

_NWPU_SPORTS = frozenset({"baseball_diamond", "tennis_court", "basketball_court", "ground_track_field"})
_NWPU_WATERSIDE = frozenset({"ship", "harbor", "bridge", "storage_tank"})
# Category -> categories beside which it was seen unannotated. It is exhaustive in the images that hold none of these.
_NWPU_UNANNOTATED_BESIDE: dict[str, frozenset[str]] = {
    "airplane": frozenset(),
    "ship": frozenset({"harbor", "bridge"}),
    "storage_tank": frozenset({"airplane", "harbor", "bridge"}),
    "baseball_diamond": frozenset({"tennis_court", "basketball_court", "ground_track_field", "harbor", "bridge"}),
    "tennis_court": frozenset({"basketball_court", "baseball_diamond", "ground_track_field", "harbor", "bridge"}),
    "basketball_court": frozenset({"tennis_court", "baseball_diamond", "ground_track_field", "harbor", "bridge"}),
    "ground_track_field": frozenset({"harbor", "bridge"}),
    "harbor": frozenset({"ship", "bridge", "storage_tank"}),
    "bridge": frozenset({"airplane", "ship", "harbor", "storage_tank"}),
    "vehicle": _NWPU_SPORTS | _NWPU_WATERSIDE | {"airplane"},
}

_DUBAI_COLOURS: dict[str, tuple[int, int, int]] = {
    "building": (0x3C, 0x10, 0x98),
    "land": (0x84, 0x29, 0xF6),
    "road": (0x6E, 0xC1, 0xE4),
    "vegetation": (0xFE, 0xDD, 0x3A),
    "water": (0xE2, 0xA9, 0x29),
}
_DUBAI_UNKNOWN: tuple[tuple[int, int, int], ...] = ((0x9B, 0x9B, 0x9B), (0, 0, 0))
_DUBAI_SPLITS = {"tile1": "val", "tile4": "test"}
# A wider share may hide an object of a class that seems absent.
_DUBAI_MAX_UNKNOWN_SHARE = 0.01

# Not annotated, yet certainly not there: the places are known (dwellings, at most 20 m of them, or no coast near).
_ABSENT_FROM_POOLS = frozenset({"baseball_diamond"})
_ABSENT_FROM_ROADS = frozenset({"airplane", "ship", "harbor"})
_ABSENT_FROM_DUBAI = frozenset({"airplane", "baseball_diamond"})
_ABSENT_FROM_OAM = frozenset(
    {
        "airplane",
        "ship",
        "baseball_diamond",
        "tennis_court",
        "basketball_court",
        "ground_track_field",
        "harbor",
        "bridge",
    }
)

_POOL_GAP_PX = 4
_POOL_MIN_AREA_PX = 30
_OAM_METRES_AT_ZOOM_0 = 156543.034
"""Metres of a pixel of Web Mercator at the equator, on which Uganda lies: elsewhere they shrink with the latitude."""
_GREY = 127
"""Masks of two levels, softened by compression, are foreground above it."""


def nwpu_vhr10(root: Path | str) -> list[AnnotatedImage]:
    """Read NWPU VHR-10: 454 airborne and satellite images, 2,660 objects of 10 classes as polygons, 0.08-2 m/px.

    Part of it is colour-infrared, where no colour is named. Vehicles were annotated only in close-ups of streets, small
    boats not beside harbours, sports grounds not always: `exhaustive_categories` follows what was seen in the images.
    Terms: imagery for research; polygons MIT.

    Args:
        root: folder with `images/` and `instances.json`.

    Source: Cheng et al. 2014-2016 (imagery); chaozhong2010/VHR-10_dataset_coco (polygons).
    """
    root = Path(root)
    groups = _same_ground_groups()
    images = []
    for entry, polygons, names in _read_coco(root, frozenset(_NWPU_UNANNOTATED_BESIDE)):
        path = root / "images" / entry["file_name"]
        instances = _polygon_instances(entry, polygons, names)
        present = {instance.category for instance in instances}
        if "vehicle" in present and looks_false_colour(load_pixels(path)):
            instances = tuple(replace(i, attributes={"colour": None}) for i in instances)
        stem = path.stem
        group = groups.get(stem, stem)
        images.append(
            AnnotatedImage(
                image=path,
                size_hw=(entry["height"], entry["width"]),
                instances=instances,
                regions={},
                exhaustive_categories=_nwpu_exhaustive(present),
                id=stem,
                source="nwpu_vhr10",
                split=split_of("nwpu_vhr10", group),
                group=group,
            )
        )
    return images


def openaerialmap_buildings(root: Path | str) -> list[AnnotatedImage]:
    """Read 103 map tiles of 256 px over Ugandan towns (0.07-0.3 m/px) with building polygons.

    Terms: imagery OpenAerialMap CC-BY 4.0, polygons OpenStreetMap ODbL.

    Args:
        root: folder with `images/` and `instances.json`; files are named `OAM-<x>-<y>-<zoom>.jpg`.
    """
    root = Path(root)
    images = []
    for entry, polygons, names in _read_coco(root, frozenset({"building"})):
        stem = Path(entry["file_name"]).stem
        x, y, zoom = _numbers(Path(entry["file_name"]), "OAM-{}-{}-{}")
        # Neighbouring tiles share roofs: blocks of 4 x 4 tiles stay together.
        group = f"{zoom}-{x // 4}-{y // 4}"
        images.append(
            AnnotatedImage(
                image=root / "images" / entry["file_name"],
                size_hw=(entry["height"], entry["width"]),
                instances=_polygon_instances(entry, polygons, names),
                regions={},
                exhaustive_categories=frozenset({"building"}) | _ABSENT_FROM_OAM,
                id=stem,
                source="openaerialmap_buildings",
                gsd_m=_OAM_METRES_AT_ZOOM_0 / 2**zoom,
                split=split_of("openaerialmap_buildings", group),
                group=group,
            )
        )
    return images


def dubai_landcover(root: Path | str) -> list[AnnotatedImage]:
    """Read 54 satellite images of Dubai with land cover as regions: building, land, road, vegetation, water.

    Split by tile: parts of one tile are never separated. Terms: Humans in the Loop / MBRSC, CC0.

    Args:
        root: folder with `images/*.jpg` and `masks/*.png` in the palette of the publisher (nearest colour is taken).
    """
    root = Path(root)
    names = tuple(_DUBAI_COLOURS)
    lookup = _palette_lookup((*_DUBAI_COLOURS.values(), *_DUBAI_UNKNOWN))
    images = []
    for image, mask in _image_mask_pairs(root):
        rgb = load_pixels(mask) >> 3
        colour = lookup[rgb[..., 0], rgb[..., 1], rgb[..., 2]]
        labels = np.where(colour < len(names), colour + 1, 0).astype(np.uint8)
        tile = image.stem.split("_")[0]
        is_complete = (labels == 0).mean() <= _DUBAI_MAX_UNKNOWN_SHARE
        exhaustive = frozenset(names) if is_complete else frozenset()
        images.append(
            AnnotatedImage(
                image=image,
                size_hw=labels.shape,
                instances=(),
                regions=LabelRegions(labels, names),
                exhaustive_categories=exhaustive | _ABSENT_FROM_DUBAI,
                id=image.stem,
                source="dubai_landcover",
                split=_DUBAI_SPLITS.get(tile, "train"),
                group=tile,
            )
        )
    return images


def swimming_pools(root: Path | str) -> list[AnnotatedImage]:
    """Read 675 aerial images of Cannes, 512 px, with swimming pools from binary masks.

    Fragments of a pool (a ladder, a shadow across it) are joined over gaps of a few pixels; specks are dropped.
    Terms: none stated; for research.

    Args:
        root: folder with `images/*.jpg` and `masks/*.png`.
    """
    images = []
    for image, path in _image_mask_pairs(Path(root)):
        mask = read_grey_mask(path, _GREY)
        instances = tuple(
            Instance.from_mask("swimming_pool", component)
            for component in connected_components(mask, gap_px=_POOL_GAP_PX, min_area_px=_POOL_MIN_AREA_PX)
        )
        # Tiles are numbered along rows of the city: runs of 20 stay together.
        group = str(_numbers(image, "CANNES_TILES_512x512-{}")[0] // 20)
        images.append(
            AnnotatedImage(
                image=image,
                size_hw=mask.shape,
                instances=instances,
                regions={},
                exhaustive_categories=frozenset({"swimming_pool"}) | _ABSENT_FROM_POOLS,
                id=image.stem,
                source="swimming_pools",
                split=split_of("swimming_pools", group),
                group=group,
            )
        )
    return images


def roads(root: Path | str) -> list[AnnotatedImage]:
    """Read 80 aerial images of suburbs, 400 px, with roads as a region. Terms: none stated; for research.

    Args:
        root: folder with `images/*.jpg` and `masks/*.png`.
    """
    images = []
    for image, path in _image_mask_pairs(Path(root)):
        mask = read_grey_mask(path, _GREY)
        group = str(_numbers(image, "satImage_{}")[0] // 5)
        images.append(
            AnnotatedImage(
                image=image,
                size_hw=mask.shape,
                instances=(),
                regions=LabelRegions(mask.astype(np.uint8), ("road",)),
                exhaustive_categories=frozenset({"road"}) | _ABSENT_FROM_ROADS,
                id=image.stem,
                source="roads",
                split=split_of("roads", group),
                group=group,
            )
        )
    return images


def _with_splits(read: Callable[[Path, str], list[AnnotatedImage]], name: str, root: Path) -> list[AnnotatedImage]:
    """Read a set whose groups are named in it, each image with the split of its group."""
    return [
        image if image.split else replace(image, split=split_of(name, str(image.group))) for image in read(root, name)
    ]


READERS: dict[str, Callable[[Path], list[AnnotatedImage]]] = {
    "nwpu_vhr10": nwpu_vhr10,
    "dubai_landcover": dubai_landcover,
    "swimming_pools": swimming_pools,
    "openaerialmap_buildings": openaerialmap_buildings,
    "roads": roads,
    **{name: partial(_with_splits, boxed_set, name) for name in BOXED_SETS},
    **{name: partial(_with_splits, masked_set, name) for name in MASKED_SETS},
}
"""Reader of each source; the name is also the folder's name."""


def read_sources(root: Path | str) -> dict[str, list[AnnotatedImage]]:
    """Read every source that has a folder under `root`.

    Raises:
        DataNotFoundError: if none has.
    """
    root = Path(root)
    sources = {name: read(root / name) for name, read in READERS.items() if (root / name / "images").is_dir()}
    if not sources:
        raise DataNotFoundError(
            f"No annotated imagery found: `root='{root}'` holds none of {', '.join(READERS)}. "
            "Point `root` at the folder that holds these folders."
        )
    return sources


def split_of(source: str, group: str) -> str:
    """Return the split of a group: `train` (78 %), `val` (7 %) or `test` (15 %), the same on every machine."""
    digest = hashlib.sha256(f"{source}/{_SPLIT_SALTS.get(source, 0)}/{group}".encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    if position < _TEST_SHARE:
        return "test"
    return "val" if position < _TEST_SHARE + _VAL_SHARE else "train"


def _same_ground_groups() -> dict[str, str]:
    """Map each listed NWPU image to the first image of its group."""
    groups: dict[str, str] = {}
    for line in _NWPU_SAME_GROUND.replace("\n", " ").split(","):
        stems = line.split()
        groups.update(dict.fromkeys(stems, stems[0]))
    return groups


def _nwpu_exhaustive(present: set[str]) -> frozenset[str]:
    """Return the categories that are safely exhaustive in an image holding `present`."""
    return frozenset(
        category for category, unsafe in _NWPU_UNANNOTATED_BESIDE.items() if not (present - {category}) & unsafe
    ) - ({"vehicle"} if "vehicle" not in present else set())


def _read_coco(
    root: Path, classes: frozenset[str]
) -> list[tuple[dict[str, Any], list[Mapping[str, Any]], Mapping[Any, str]]]:
    """Read `instances.json`: (image entry, its annotations, category names) for each image, in file order."""
    path = root / "instances.json"
    if not path.is_file():
        raise DataNotFoundError(
            f"No annotations found: `root='{root}'` has no `instances.json`. Point `root` at the folder that holds it."
        )
    content = read_instances(path)
    unknown = sorted(set(content.categories.values()) - classes)
    if unknown:
        raise InvalidInputError(
            f"`{path}` holds other imagery: its class `{unknown[0]}` is none of {', '.join(sorted(classes))}. Point "
            "`root` at another folder, or name another source."
        )
    by_image: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for key in content.annotations:
        annotation = content.annotation_of(key, f"`{path}`")
        by_image[annotation["image_id"]].append(annotation)
    entries = []
    for entry in content.images.values():
        height, width = entry_size(entry) or image_size(root / "images" / entry["file_name"])
        entries.append(({**entry, "height": height, "width": width}, by_image[entry["id"]], content.categories))
    return entries


def _numbers(file: Path, form: str) -> list[int]:
    """The whole numbers that stand for `{}` in a file's name without its ending."""
    found = re.fullmatch(re.escape(form).replace(r"\{\}", r"(\d+)"), file.stem)
    if found is None:
        raise InvalidInputError(
            f"Images of this source are named `{form}`, received `{file.name}`: splits by ground follow the numbers. "
            "Point `root` at the folder of this source, or name another source."
        )
    return [int(number) for number in found.groups()]


def _polygon_instances(
    entry: dict[str, Any], annotations: list[Mapping[str, Any]], names: Mapping[Any, str]
) -> tuple[Instance, ...]:
    """Rasterise COCO polygons; annotations without a pixel inside the image are dropped."""
    instances = []
    for annotation in annotations:
        mask = Image.new("1", (entry["width"], entry["height"]))
        draw = ImageDraw.Draw(mask)
        for ring in annotation["segmentation"]:
            draw.polygon([round(v) for v in ring], fill=1)
        array = np.asarray(mask)
        if array.any():
            instances.append(Instance.from_mask(names[annotation["category_id"]], array))
    return tuple(instances)


def _image_mask_pairs(root: Path) -> list[tuple[Path, Path]]:
    """List `images/X.jpg` with `masks/X.png`, sorted by name."""
    pairs = [(image, root / "masks" / f"{image.stem}.png") for image in sorted((root / "images").glob("*.jpg"))]
    missing = [mask.name for _, mask in pairs if not mask.is_file()]
    if missing or not pairs:
        what = f"`masks/{missing[0]}` is missing" if missing else "`images/` holds no .jpg"
        raise DataNotFoundError(
            f"Each image needs its mask: in `root='{root}'` {what}. Point `root` at the folder of images/ and masks/."
        )
    return pairs


def _palette_lookup(colours: tuple[tuple[int, int, int], ...]) -> NDArray[np.uint8]:
    """Return (32, 32, 32) uint8: for each colour in steps of 8 the index of the nearest palette entry."""
    axis = np.arange(32) * 8 + 4
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)  # (32, 32, 32, 3)
    distance = ((grid[..., None, :] - np.array(colours)) ** 2).sum(-1)  # (32, 32, 32, colours)
    nearest: NDArray[np.uint8] = distance.argmin(-1).astype(np.uint8)
    return nearest
