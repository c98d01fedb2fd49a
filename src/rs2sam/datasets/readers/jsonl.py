"""Referring JSONL, this project's own format, for anyone's data: one JSON object a line.

```
{"image": "images/7.png", "sentence": "the white plane on the left", "mask": "masks/7.png", "split": "train"}
{"image": "images/7.png", "sentence": "the runway", "segmentation": {"size": [512, 512], "counts": "..."}}
{"image": "images/7.png", "sentence": "the ship", "segmentation": null}
```
Needed are `image`, `sentence` and either `mask` (a file; any level but 0 is foreground, see `masks.py`) or
`segmentation` (COCO run lengths or polygons in pixels); `null` in either says that nothing in the image is meant.
Pixels of which nobody knows whether they are meant are left out of losses and metrics: those that a mask file declares
as nodata (see `masks.py`), those of the level that `"ignore": 255` names, and those of an `ignore_segmentation`.
Optional: `split`, `id`, `category`, `kind`, `ref_id`, `image_id` and `category_segmentation` (everything of the
category). Other keys are left to their owner. Paths are relative to the file's folder. Lines of `train.jsonl`,
`val.jsonl` and `test.jsonl` that name no split are of that split.
"""

from __future__ import annotations

import filecmp
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from PIL import Image

from rs2sam.datasets.base import MaskSource, Sample
from rs2sam.datasets.images import ImageSource
from rs2sam.datasets.plain_values import file_name, plain_text
from rs2sam.datasets.readers.coco import sentence_text
from rs2sam.datasets.readers.masks import MaskFile, SegmentationMask, check_segmentation
from rs2sam.datasets.readers.run_lengths import encode_runs
from rs2sam.errors import DataNotFoundError, InvalidInputError, words_of
from rs2sam.fields import brief, parse_json
from rs2sam.files import refuse_special_file

ImageMode: TypeAlias = Literal["copy", "link", "reference"]
"""What becomes of the images of a written data set: copied, linked to (symbolically), or left where they are."""

FILE_NAME = "annotations.jsonl"
_SPLIT_NAMES = ("train", "val", "test")
_TEXT_FIELDS = ("split", "id", "category", "kind", "ref_id", "image_id")


def jsonl_files(path: Path | str) -> list[Path]:
    """Files that `read_jsonl` reads: the path itself, or those in the folder."""
    path = Path(path)
    if path.is_file():
        return [path] if path.suffix == ".jsonl" else []
    return sorted(path.glob("*.jsonl"))


def read_jsonl(path: Path | str, on_error: Callable[[InvalidInputError], None] | None = None) -> list[Sample]:
    """Read referring JSONL; pixels and masks stay on disk.

    Args:
        path: a file, or a folder of `*.jsonl`.
        on_error: receives what is wrong with a line, which is then left out; None: it is raised.

    Returns:
        One sample a line, in the order of the files.

    Raises:
        DataNotFoundError: there is no such file, or none has a line.
        InvalidInputError: a line is malformed, or an id comes twice; the message says file and line.
    """
    files = jsonl_files(path)
    samples: list[Sample] = []
    seen: dict[str, str] = {}
    left_out = 0
    for file in files:
        for number, line in enumerate(_lines(file), start=1):
            if not line.strip():
                continue
            where = f"{file}:{number}"
            try:
                sample = _parse(line, file, number, where)
                if sample.id in seen:
                    raise InvalidInputError(
                        f"{where}: an `id` is one sample's only, received {sample.id!r} again; it is at "
                        f"{seen[sample.id]}"
                    )
            except InvalidInputError as error:
                if on_error is None:
                    raise
                on_error(error)
                left_out += 1
                continue
            seen[sample.id] = where
            samples.append(sample)
    if not samples and not left_out:
        raise DataNotFoundError(
            f"no referring JSONL found: `{path}` is no file or folder of `*.jsonl` with at least one line"
        )
    return samples


def write_jsonl(
    samples: Iterable[Sample], out_dir: Path | str, image_mode: ImageMode = "copy", overwrite: bool = False
) -> Path:
    """Write samples as referring JSONL: `annotations.jsonl`, and images under `images/`.

    Masks become run lengths at the size in which they were annotated, so that nothing is lost. Images that are no files
    are written as PNG in any mode. The file with the lines comes last and at once: an interrupted run leaves none.

    Args:
        samples: what to write; ids have to be distinct.
        out_dir: folder, made where it is missing.
        image_mode: what becomes of image files.
        overwrite: replace an `annotations.jsonl` that is there.

    Returns:
        The path of `annotations.jsonl`.

    Raises:
        InvalidInputError: the file is there and `overwrite` is not set, an id comes twice, or there are no samples.
    """
    if image_mode not in get_args(ImageMode):
        raise InvalidInputError(f"`image_mode` is one of {', '.join(get_args(ImageMode))}; received {image_mode!r}")
    out_dir = Path(out_dir)
    target = out_dir / FILE_NAME
    if target.exists() and not overwrite:
        raise InvalidInputError(f"`{target}` is already there. Choose another folder, or overwrite it on purpose.")
    out_dir.mkdir(parents=True, exist_ok=True)
    writer = _ImageWriter(out_dir, image_mode)
    unfinished = out_dir / f"{FILE_NAME}.partial"
    seen: set[str] = set()
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            for sample in samples:
                if not isinstance(sample, Sample):
                    raise InvalidInputError(
                        f"`samples` are values of `Sample`, received {type(sample).__name__}: {str(sample)[:80]!r}. "
                        "Read a folder with `rs2sam.datasets.readers.reading.open_dataset(folder).samples()`."
                    )
                if sample.id in seen:
                    raise InvalidInputError(f"ids of samples are distinct; `{sample.id}` comes twice")
                seen.add(sample.id)
                file.write(json.dumps(_entry(sample, writer), ensure_ascii=False) + "\n")
        if not seen:
            raise InvalidInputError("a data set needs at least one sample, received none; check the split's name")
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def _entry(sample: Sample, writer: _ImageWriter) -> dict[str, Any]:
    """One line as an object; its image is written."""
    entry: dict[str, Any] = {"image": writer.write(sample), "sentence": sample.published_sentence}
    mask = sample.annotation()
    entry["segmentation"] = None if mask is None else encode_runs(mask)
    unknown = sample.unknown()
    if unknown is not None:
        entry["ignore_segmentation"] = encode_runs(unknown)
    category_mask = sample.category_target()
    if category_mask is not None:
        entry["category_segmentation"] = encode_runs(category_mask)
    for name in _TEXT_FIELDS:
        value = getattr(sample, name)
        if value is not None:
            entry[name] = value
    return entry


class _ImageWriter:
    """Brings each image into a data set once, and never replaces a file that is there."""

    def __init__(self, out_dir: Path, mode: ImageMode) -> None:
        self._out_dir = out_dir.resolve()
        self._folder = out_dir.resolve() / "images"
        self._mode = mode
        self._written: dict[object, str] = {}
        self._kept: list[ImageSource] = []  # their `id` is a key, so they must not be freed

    def write(self, sample: Sample) -> str:
        """Bring the image of a sample along; returns its path as the line has it."""
        key = self._key(sample)
        if key not in self._written:
            place = self._bring(sample)
            self._written[key] = Path(os.path.relpath(place, self._out_dir)).as_posix()
        return self._written[key]

    def _key(self, sample: Sample) -> object:
        """What tells one image from another."""
        if isinstance(sample.image, Path):
            return os.path.realpath(sample.image)
        if sample.image_id is not None:
            return "image_id", sample.image_id
        self._kept.append(sample.image)
        return id(sample.image)

    def _bring(self, sample: Sample) -> Path:
        """Copy, link, refer to or draw an image; returns where it is."""
        image = sample.image
        if not isinstance(image, Path):
            pixels = sample.pixels()
            stem = re.sub(r"[^\w.-]+", "_", sample.image_id or sample.id)
            return self._settle(stem, ".png", lambda place: Image.fromarray(pixels).save(place, format="PNG"))
        sample.image_size()  # a missing or damaged file is said now, not by whoever reads the result
        source = image.resolve()
        if self._mode == "reference" or source.is_relative_to(self._out_dir):
            return source
        make = partial(shutil.copyfile, source) if self._mode == "copy" else partial(os.symlink, source)
        return self._settle(image.stem, image.suffix, make)

    def _settle(self, stem: str, suffix: str, make: Callable[[Path], object]) -> Path:
        """Make a file under the first of `7.png`, `7-2.png`, ... that is free or holds the same."""
        self._folder.mkdir(exist_ok=True)
        made = self._folder / f".{stem}.partial"
        made.unlink(missing_ok=True)
        try:
            make(made)
            for number in count(1):
                place = self._folder / (f"{stem}{suffix}" if number == 1 else f"{stem}-{number}{suffix}")
                if not os.path.lexists(place):
                    return made.replace(place)
                if place.is_file() and filecmp.cmp(place, made, shallow=False):
                    return place
        finally:
            made.unlink(missing_ok=True)
        raise AssertionError("names do not end")


def _lines(file: Path) -> list[str]:
    """Lines of a text file; a byte order mark is dropped."""
    refuse_special_file("file of JSON lines", file)
    try:
        return file.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"`{file}` cannot be read as UTF-8 text: {words_of(error)}. Save it as UTF-8."
        ) from error


def _parse(line: str, file: Path, number: int, where: str) -> Sample:
    """The sample of one line."""
    try:
        entry = parse_json(line)
    except ValueError as error:
        raise InvalidInputError(
            f"{where}: a line is one JSON object; {words_of(error)}. Write each sample on one line."
        ) from error
    if not isinstance(entry, dict) or not isinstance(entry.get("image"), str) or not entry["image"]:
        raise InvalidInputError(f'{where}: a line needs "image", the path of a file; received {brief(line.strip())}')
    fields = {name: _text(entry, name, where) for name in _TEXT_FIELDS}
    image = file.parent / file_name(entry["image"], f'{where}, "image"')
    default_split = file.stem if file.stem in _SPLIT_NAMES else None
    category, unknown = entry.get("category_segmentation"), entry.get("ignore_segmentation")
    for name, one in (("category_segmentation", category), ("ignore_segmentation", unknown)):
        if one is not None:
            check_segmentation(one, f'{where}: "{name}"')
    sentence, raw = sentence_text(entry.get("sentence"), f'{where}, "sentence"')
    return Sample(
        image=image,
        sentence=sentence,
        mask=_target(entry, file, image, where),
        id=fields["id"] or f"{file.stem}-{number}",
        category=fields["category"],
        kind=fields["kind"],
        split=fields["split"] or default_split,
        category_mask=None if category is None else SegmentationMask((category,), where, image=image),
        ref_id=fields["ref_id"],
        image_id=fields["image_id"] or entry["image"],
        raw_sentence=raw,
        ignore=None if unknown is None else SegmentationMask((unknown,), where, image=image),
    )


def _target(entry: Mapping[str, Any], file: Path, image: Path, where: str) -> MaskSource:
    """Where the mask of a line comes from; None: nothing is meant."""
    given = [key for key in ("mask", "segmentation") if key in entry]
    meant = [key for key in given if entry[key] is not None]
    if not given or len(meant) > 1:
        raise InvalidInputError(
            f'{where}: a line needs either "mask" (a file) or "segmentation" (polygons or run lengths), or one of them '
            f"as null where nothing is meant; received {' and '.join(given) or 'neither'}"
        )
    if not meant:
        return None
    value = entry[meant[0]]
    if meant == ["segmentation"]:
        check_segmentation(value, f'{where}: "segmentation"')
        return SegmentationMask((value,), where, image=image)
    if not isinstance(value, str) or not value:
        raise InvalidInputError(f'{where}: "mask" is the path of a file, received {brief(value)}')
    level = entry.get("ignore")
    if level is not None and (isinstance(level, bool) or not isinstance(level, (int, float))):
        raise InvalidInputError(f'{where}: "ignore" is a level of the mask, a number; received {brief(level)}')
    return MaskFile(file.parent / file_name(value, f'{where}, "mask"'), ignore=level)


def _text(entry: Mapping[str, Any], name: str, where: str) -> str | None:
    """An optional field; numbers become text."""
    value = entry.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise InvalidInputError(f'{where}: "{name}" is text, received {brief(value)}')
    return plain_text(str(value), f'{where}, "{name}"')
