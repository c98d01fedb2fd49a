"""Readers of imagery in two plain layouts, so that a further set is an entry in a table.

`instances.json`: COCO with boxes (`box_only`), turned rectangles or outlines. `masks/` + `classes.json`: value ->
class. Both name the `group` of each image (images of one group show common ground) and the classes that are
`exhaustive`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from rs2sam.datasets.base import AnnotatedImage, Instance, LabelRegions, Mask
from rs2sam.datasets.plain_values import read_json
from rs2sam.datasets.readers.components import connected_components
from rs2sam.datasets.readers.outlines import core_of_box, core_of_rectangle
from rs2sam.errors import InvalidInputError

VOID = 255
_MIN_AREA_PX = 30


@dataclass(frozen=True)
class BoxedSet:
    """A set of boxes, rectangles or outlines.

    Args:
        names: class in the file -> category, where they differ.
        turned: its polygons are rectangles around objects, not outlines.
        gsd_m: ground sampling distance [m/px] where all images share one.
        only_train: too few images to measure on.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    turned: bool = False
    gsd_m: float | None = None
    only_train: bool = False


@dataclass(frozen=True)
class MaskedSet:
    """A set of label masks.

    Args:
        values: value in the mask -> category; other values are ground of no category, 255 is void.
        counted: categories whose connected pieces are objects.
        exhaustive: categories of which everything is marked; None: as `classes.json` says.
        gsd_m: ground sampling distance [m/px] where all images share one.
    """

    values: Mapping[int, str]
    counted: tuple[str, ...] = ()
    exhaustive: tuple[str, ...] | None = None
    gsd_m: float | None = None


_DOTA_NAMES = {"small_vehicle": "vehicle"}
BOXED_SETS: dict[str, BoxedSet] = {
    "airbus_aircraft": BoxedSet(gsd_m=0.5),
    "airbus_oil_tanks": BoxedSet(gsd_m=1.2),
    "cats_drone_vehicles": BoxedSet(gsd_m=0.04),
    "dior_fewshot": BoxedSet(),
    "neon_tree_boxes": BoxedSet(gsd_m=0.1),
    "dota_tiles": BoxedSet(_DOTA_NAMES, turned=True, only_train=True),
    "isaid_samples": BoxedSet(_DOTA_NAMES, only_train=True),
}
MASKED_SETS: dict[str, MaskedSet] = {
    "barnarp_buildings": MaskedSet({1: "building"}, ("building",), gsd_m=0.17),
    # What is called water there are pools; its "ground" is any ground, paved or not.
    "dronedeploy_chips": MaskedSet(
        {1: "building", 3: "vegetation", 4: "swimming_pool", 6: "vehicle"},
        ("building", "swimming_pool", "vehicle"),
        ("building", "vegetation", "swimming_pool", "vehicle"),
        gsd_m=0.1,
    ),
    "eth_cil_roads": MaskedSet({1: "road"}, gsd_m=0.3),
    "google_maps_nyc": MaskedSet({1: "road", 2: "water", 3: "park"}, gsd_m=1.0),
    "india_landcover": MaskedSet({0: "land", 1: "building", 2: "vegetation", 3: "road", 4: "water", 5: "land"}),
    "massachusetts_roads": MaskedSet({1: "road"}, gsd_m=1.0),
    "s2_water_bodies": MaskedSet({1: "water"}, gsd_m=10.0),
}


def boxed_set(root: Path | str, name: str) -> list[AnnotatedImage]:
    """Read a set of `BOXED_SETS`.

    Args:
        root: folder with `images/` and `instances.json`.
        name: of the set.

    Raises:
        DataNotFoundError: there is no `instances.json`.
    """
    root, layout = Path(root), BOXED_SETS[name]
    content = read_json(root / "instances.json")
    categories = {one["id"]: layout.names.get(one["name"], one["name"]) for one in content["categories"]}
    exhaustive = {layout.names.get(one, one) for one in content.get("exhaustive", ())}
    by_image: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for annotation in content["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    images = []
    for entry in content["images"]:
        size_hw = (int(entry["height"]), int(entry["width"]))
        instances, unknown = [], np.zeros(size_hw, bool)
        for annotation in sorted(by_image[entry["id"]], key=lambda one: -float(one.get("area", 0))):
            category = categories[annotation["category_id"]]
            instance = _instance(annotation, category, size_hw, layout.turned, unknown)
            if instance is not None:
                instances.append(instance)
        for instance in instances:  # what one box leaves open may be another's object
            x0, y0, x1, y1 = instance.box_xyxy
            unknown[y0:y1, x0:x1] &= ~instance.mask
        images.append(
            AnnotatedImage(
                image=root / "images" / entry["file_name"],
                size_hw=size_hw,
                instances=tuple(instances),
                regions={},
                exhaustive_categories=frozenset(exhaustive),
                id=Path(entry["file_name"]).stem,
                source=name,
                gsd_m=layout.gsd_m,
                split="train" if layout.only_train else None,
                group=str(entry["group"]),
                unknown=unknown if unknown.any() else None,
            )
        )
    return images


def masked_set(root: Path | str, name: str) -> list[AnnotatedImage]:
    """Read a set of `MASKED_SETS`.

    Args:
        root: folder with `images/`, `masks/` and `classes.json`.
        name: of the set.

    Raises:
        DataNotFoundError: there is no `classes.json`.
        InvalidInputError: a mask is not of its image's size.
    """
    root, layout = Path(root), MASKED_SETS[name]
    content = read_json(root / "classes.json")
    exhaustive = frozenset(content["exhaustive"] if layout.exhaustive is None else layout.exhaustive)
    names = tuple(dict.fromkeys(layout.values.values()))
    lookup = np.zeros(256, np.uint8)
    for value, category in layout.values.items():
        lookup[value] = names.index(category) + 1
    images = []
    for entry in content["images"]:
        path = root / "images" / entry["file_name"]
        values = np.asarray(Image.open(root / "masks" / f"{path.stem}.png"))
        if values.shape != (entry["height"], entry["width"]):
            raise InvalidInputError(
                f"mask of `{path}` must have its image's size {(entry['height'], entry['width'])}, received "
                f"{values.shape}. Copy the set again."
            )
        labels = lookup[values]
        instances: list[Instance] = []
        for category in layout.counted:
            label = names.index(category) + 1
            pieces = connected_components(labels == label, min_area_px=_MIN_AREA_PX)
            instances += [Instance.from_mask(category, piece) for piece in pieces]
            labels[labels == label] = 0
        regions = tuple(one for one in names if one not in layout.counted)
        relabel = np.array([0, *(regions.index(one) + 1 if one in regions else 0 for one in names)], np.uint8)
        void: Mask = values == VOID
        images.append(
            AnnotatedImage(
                image=path,
                size_hw=labels.shape,
                instances=tuple(instances),
                regions=LabelRegions(relabel[labels], regions) if regions else {},
                exhaustive_categories=exhaustive,
                id=path.stem,
                source=name,
                gsd_m=layout.gsd_m,
                group=str(entry["group"]),
                unknown=void if void.any() else None,
            )
        )
    return images


def _instance(
    annotation: Mapping[str, Any], category: str, size_hw: tuple[int, int], turned: bool, unknown: Mask
) -> Instance | None:
    """One object, or None where nothing of it is certain; sets in `unknown` what its box leaves open."""
    if annotation.get("box_only"):
        x, y, width, height = (round(float(value)) for value in annotation["bbox"])
        core, is_open = core_of_box(category, max(height, 2), max(width, 2))
    else:
        polygons = [np.asarray(one, np.float64).reshape(-1, 2) for one in annotation["segmentation"]]
        corners = np.concatenate(polygons)
        x, y = (int(value) for value in np.floor(corners.min(0)))
        width, height = (int(value) for value in np.ceil(corners.max(0)) - (x, y))
        window = (max(height, 1), max(width, 1))
        if turned and len(polygons) == 1 and len(polygons[0]) == 4:
            core, is_open = core_of_rectangle(category, polygons[0] - (x, y), window)
        else:
            core, is_open = _drawn([one - (x, y) for one in polygons], window), np.zeros(window, bool)
    top, left = max(-y, 0), max(-x, 0)
    core, is_open = (one[top : size_hw[0] - y, left : size_hw[1] - x] for one in (core, is_open))
    x, y = max(x, 0), max(y, 0)
    unknown[y : y + core.shape[0], x : x + core.shape[1]] |= is_open
    if not core.any():
        return None
    trimmed = Instance.from_mask(category, core)
    return Instance(category, trimmed.mask, (trimmed.origin_xy[0] + x, trimmed.origin_xy[1] + y), trimmed.attributes)


def _drawn(polygons: list[Any], size_hw: tuple[int, int]) -> Mask:
    """Polygons in pixel coordinates, filled: (h, w) bool."""
    canvas = Image.new("1", (size_hw[1], size_hw[0]))
    for polygon in polygons:
        ImageDraw.Draw(canvas).polygon([(float(x) - 0.5, float(y) - 0.5) for x, y in polygon], fill=1)
    return np.asarray(canvas, bool)
