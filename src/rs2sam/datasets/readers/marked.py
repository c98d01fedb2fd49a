"""Images that a model marked itself: `tools/compact/mark_by_model.py` writes the marks, here they are read.

A folder of marks has a folder a source, with a PNG an image (0: none of the classes, k: class k, 255: nobody knows) and
`marks.json`: the `classes`, those that are `exhaustive`, and what they were `made_with`. All of it is for training
alone: what a model said is nothing to measure one on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from rs2sam.datasets.base import AnnotatedImage, LabelRegions, Mask
from rs2sam.datasets.english.vocabulary import CATEGORIES
from rs2sam.datasets.plain_values import read_json
from rs2sam.datasets.readers.greenery import NAIP_GSD_M, UNLABELLED, photographs
from rs2sam.errors import DataNotFoundError, InvalidImageError, InvalidInputError, words_of
from rs2sam.fields import texts

NAIP_MARKED, POOLS_MARKED = "naip_marked", "pools_marked"
"""The sources that are made of marks."""
POOLS = "swimming_pools"
"""The source whose images get further classes."""
MARKS_FILE = "marks.json"
UNKNOWN = 255
_TOOL = "tools/compact/mark_by_model.py"


@dataclass(frozen=True)
class Marks:
    """The marks of one source.

    Args:
        folder: of its PNG files.
        classes: of the values 1, 2, ... in them.
        exhaustive: of which everything is marked, or unknown.
    """

    folder: Path
    classes: tuple[str, ...]
    exhaustive: frozenset[str]

    @classmethod
    def read(cls, folder: Path) -> Marks:
        """Read `marks.json`.

        Raises:
            DataNotFoundError: there is none.
            InvalidInputError: it names no classes, or classes that there are not.
        """
        path = folder / MARKS_FILE
        if not path.is_file():
            raise DataNotFoundError(
                f"no marks in `{folder}`: `{MARKS_FILE}` is missing. Make them with `{_TOOL}`, correct `data.marked`, "
                f"or leave `{NAIP_MARKED}` and `{POOLS_MARKED}` out."
            )
        content = read_json(path)
        if not isinstance(content, dict):
            raise InvalidInputError(f"`{path}` must be an object; make the marks again with `{_TOOL}`.")
        classes = texts(f"classes in {path}", content.get("classes"))
        exhaustive = frozenset(texts(f"exhaustive in {path}", content.get("exhaustive")))
        unknown = sorted({*classes, *exhaustive} - set(CATEGORIES))
        if not classes or unknown or not exhaustive <= set(classes):
            raise InvalidInputError(
                f"`{path}` must name classes among {', '.join(CATEGORIES)}, the exhaustive ones among them; received "
                f"classes {list(classes)}, exhaustive {sorted(exhaustive)}."
            )
        return cls(folder, classes, exhaustive)

    def of(self, stem: str, size_hw: tuple[int, int]) -> tuple[LabelRegions, Mask]:
        """The marks of one image: what is marked, and (H, W) bool, True = nothing is known.

        Classes that are not there are named where they are exhaustive, and are then absent.

        Args:
            stem: name of the image without its ending.
            size_hw: of the image.

        Raises:
            DataNotFoundError: the image has no marks.
            InvalidImageError: the file cannot be read.
            InvalidInputError: the marks are of another size, or have a value of no class.
        """
        path = self.folder / f"{stem}.png"
        try:
            with Image.open(path) as file:
                values = np.asarray(file.convert("L"))
        except FileNotFoundError as error:
            raise DataNotFoundError(f"no marks `{path}`; make them all again with `{_TOOL}`.") from error
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise InvalidImageError(
                f"`{path}` cannot be read: {words_of(error)}. Make the marks again with `{_TOOL}`."
            ) from error
        found = set(np.unique(values).tolist()) - {0, UNKNOWN}
        if values.shape != size_hw or max(found, default=0) > len(self.classes):
            raise InvalidInputError(
                f"`{path}` must have its image's size {size_hw} and values up to {len(self.classes)} or {UNKNOWN}; "
                f"received {values.shape} and {sorted(found)}. Make the marks again with `{_TOOL}`."
            )
        shown = [k for k, name in enumerate(self.classes, 1) if k in found or name in self.exhaustive]
        table = np.zeros(256, np.uint8)
        table[shown] = np.arange(1, len(shown) + 1)
        return LabelRegions(table[values], tuple(self.classes[k - 1] for k in shown)), values == UNKNOWN


def marked_photographs(folder: Path | str, root: Path | str) -> list[AnnotatedImage]:
    """Read the aerial photographs of Californian towns that nobody marked, 256 px of 0.6 m, with a model's marks.

    Args:
        folder: of marks.
        root: folder of the data sets, which has `naip_unlabelled`.

    Raises:
        DataNotFoundError: marks or photographs are not there.
        InvalidInputError: as for `Marks`.
    """
    marks = Marks.read(Path(folder) / UNLABELLED)
    images = []
    for file, size_hw in photographs(Path(root) / UNLABELLED, NAIP_MARKED):
        regions, unknown = marks.of(file.stem, size_hw)
        images.append(
            AnnotatedImage(
                image=file,
                size_hw=size_hw,
                instances=(),
                regions=regions,
                exhaustive_categories=marks.exhaustive,
                id=file.stem,
                source=NAIP_MARKED,
                gsd_m=NAIP_GSD_M,
                split="train",
                unknown=unknown,
            )
        )
    return images


def marked_pools(folder: Path | str, pools: Sequence[AnnotatedImage]) -> list[AnnotatedImage]:
    """Add a model's marks to images whose swimming pools somebody marked.

    Args:
        folder: of marks.
        pools: of the source `swimming_pools`; those of the split `train` are taken.

    Raises:
        DataNotFoundError: marks are not there.
        InvalidInputError: as for `Marks`.
    """
    marks = Marks.read(Path(folder) / POOLS)
    images = []
    for annotated in pools:
        if annotated.split != "train":
            continue
        regions, unknown = marks.of(annotated.id, annotated.size_hw)
        everything = annotated.exhaustive_categories | marks.exhaustive
        images.append(
            replace(annotated, regions=regions, exhaustive_categories=everything, source=POOLS_MARKED, unknown=unknown)
        )
    return images
