"""RRSIS-D: 17,402 refs of 20 classes in Google Earth and GaoFen images of 800 x 800 pixels (0.5-30 m/px).

`images/rrsisd/JPEGImages/*.jpg`, `rrsisd/refs(unc).p` and `rrsisd/instances.json`, in the form of refer. As
published:

- A mask keeps the pixels that **exactly one** segment of the annotation covers.
- The sentence is `raw`. Each sentence of a ref is a sample of its own; the published evaluation reads all of them,
  its training draws one of a ref.
- Split `test` takes every ref whose split contains the word.
- 09976.jpg is 800 x 801 and 15324.jpg 800 x 787, with masks of 800 x 800. The published code resizes image and mask
  to the model's size independently, which `Sample.target(..., resize_to=...)` equals; natively the mask is brought to
  the image's size by the nearest pixel.

The pickle is read with an unpickler that admits builtin containers and scalars only, so that a file from anywhere
runs nothing. Licence of the data: see its authors (Liu et al., CVPR 2024, github Lsan2401/RMSIN).
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rs2sam.datasets.base import Sample
from rs2sam.datasets.readers.coco import Instances, distinct_ids, entry_size, read_instances, sentence_text
from rs2sam.datasets.readers.masks import SegmentationMask
from rs2sam.errors import DataNotFoundError, InvalidInputError

REFS_FILE = Path("rrsisd", "refs(unc).p")
INSTANCES_FILE = Path("rrsisd", "instances.json")
IMAGE_FOLDER = Path("images", "rrsisd", "JPEGImages")

_REF_KEYS = ("ref_id", "ann_id", "image_id", "split", "sentences")
_ADMITTED = {(module, name) for module in ("builtins", "__builtin__") for name in ("set", "frozenset", "bytearray")}


def read_rrsisd(root: Path) -> list[Sample]:
    """Read RRSIS-D; pixels and masks stay on disk.

    Args:
        root: folder that holds `images/` and `rrsisd/`.

    Returns:
        One sample a sentence, in the order of the refs; `ref_id` is shared by the sentences of a ref.

    Raises:
        DataNotFoundError: a file or the image folder is not there.
        InvalidInputError: a file is malformed, or the pickle wants to run something.
    """
    for part in (REFS_FILE, INSTANCES_FILE, IMAGE_FOLDER):
        if not (root / part).exists():
            raise DataNotFoundError(
                f"RRSIS-D not found: `root='{root}'` has no `{part.as_posix()}`. Point `root` at the folder that holds "
                "`images/` and `rrsisd/`."
            )
    instances = read_instances(root / INSTANCES_FILE, last_of_equal_ids=True)
    refs_path = root / REFS_FILE
    refs = read_plain_pickle(refs_path)
    if not isinstance(refs, list) or not refs:
        raise InvalidInputError(f"`{refs_path}` must hold a list of refs, received {type(refs).__name__}")
    samples: list[Sample] = []
    for number, ref in enumerate(refs):
        samples += _samples_of(ref, f"`{refs_path}`, ref {number}", instances, root)
    return distinct_ids(samples)


def read_plain_pickle(path: Path) -> Any:
    """Read a pickle of builtin containers and scalars, written by Python 2 or 3, without running anything of it.

    Raises:
        InvalidInputError: it is damaged, or names a class or function.
    """
    content = path.read_bytes()
    try:
        return _PlainUnpickler(io.BytesIO(content), encoding="utf-8").load()
    except UnicodeDecodeError:
        pass  # text of Python 2 in another encoding; Latin-1 reads any
    except InvalidInputError as error:
        raise InvalidInputError(f"`{path}` {error}") from error
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to ask for
        raise _damaged(path, error) from error
    try:
        return _PlainUnpickler(io.BytesIO(content), encoding="latin1").load()
    except InvalidInputError as error:
        raise InvalidInputError(f"`{path}` {error}") from error
    except Exception as error:
        raise _damaged(path, error) from error


class _PlainUnpickler(pickle.Unpickler):
    """Admits no class and no function besides the builtin containers that need a name."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuse what is not on the list; nothing has been run by then."""
        if (module, name) in _ADMITTED:
            return super().find_class(module, name)
        raise InvalidInputError(
            f"may hold builtin containers and scalars only, received `{module}.{name}`. Nothing of it was run. "
            "Get the file from its authors again."
        )


def _damaged(path: Path, error: Exception) -> InvalidInputError:
    return InvalidInputError(f"`{path}` cannot be read as a pickle: {error!r}. Get the file from its authors again.")


def _samples_of(ref: Any, where: str, instances: Instances, root: Path) -> list[Sample]:
    """Samples of one ref."""
    missing = [key for key in _REF_KEYS if not isinstance(ref, dict) or key not in ref]
    if missing:
        raise InvalidInputError(f"{where}: a ref has the keys {', '.join(_REF_KEYS)}; `{missing[0]}` is missing")
    annotation = instances.annotation_of(ref["ann_id"], where)
    entry = instances.image_of(ref["image_id"], where)
    segmentation = annotation["segmentation"]
    mask = SegmentationMask((segmentation,), where, entry_size(entry), root / IMAGE_FOLDER / entry["file_name"], True)
    category_id = ref.get("category_id", annotation.get("category_id"))
    return [
        Sample(
            image=root / IMAGE_FOLDER / entry["file_name"],
            sentence=sentence,
            mask=mask,
            id=f"{ref['ref_id']}-{position}",
            category=instances.categories.get(category_id),
            split=_split_of(ref),
            ref_id=str(ref["ref_id"]),
            image_id=str(ref["image_id"]),
            raw_sentence=raw,
        )
        for position, (sentence, raw) in enumerate(sentence_text(one, where) for one in ref["sentences"])
    ]


def _split_of(ref: Mapping[str, Any]) -> str:
    """Split of a ref, as refer takes it: `testA` and `testB` are parts of `test`."""
    split = str(ref["split"])
    return "test" if "test" in split else split
