"""Instances of a COCO file with sentences about them, in the annotations or in a list of refs beside it.

Found are `instances.json`, `instances_<split>.json`, both also under `annotations/`, and
`<split>/_annotations.coco.json`. Images are looked for in `images/`, `images/<split>/`, the folder of the file, the
root and `<split>/`. The sentences stand

- in an annotation, as `sentence` (text), `sentences` (list) or `caption` (text): the target is that annotation;
- or in `refs.json` (`refs_<split>.json` for `instances_<split>.json`), a list of refs `{"ref_id", "ann_id" or
  "ann_ids", "sentence" or "sentences"}`: the target is the union of the annotations, and with no annotation
  (`"ann_ids": []`, then with `"image_id"`) nothing in the image is meant.

A sentence in a list is text or `{"raw" or "sent": text}`. The split is the annotation's or ref's `split`, else the
image's, else the file's.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rs2sam.datasets.base import Sample
from rs2sam.datasets.plain_values import file_name, plain_id, plain_text, read_json
from rs2sam.datasets.readers.masks import SegmentationMask, check_segmentation
from rs2sam.errors import DataNotFoundError, InvalidInputError
from rs2sam.fields import brief

_ROBOFLOW_NAME = "_annotations.coco.json"
_SENTENCE_KEYS = ("sentence", "sentences", "caption")


@dataclass(frozen=True)
class Instances:
    """A COCO file of instances, by their ids.

    Args:
        path: the file.
        images: id -> entry with `file_name`, and `height` and `width` where they are known.
        annotations: id -> entry with `image_id`, and `category_id` and `segmentation` where they are known.
        categories: id -> name.
    """

    path: Path
    images: Mapping[Any, Mapping[str, Any]]
    annotations: Mapping[Any, Mapping[str, Any]]
    categories: Mapping[Any, str]

    def image_of(self, image_id: object, referrer: str) -> Mapping[str, Any]:
        """Entry of an image.

        Args:
            image_id: its id.
            referrer: what asks for it, for the message.

        Raises:
            InvalidInputError: there is none of this id.
        """
        return self._entry(self.images, image_id, "images", referrer)

    def annotation_of(self, annotation_id: object, referrer: str) -> Mapping[str, Any]:
        """Entry of an annotation; as `image_of`, and it has a segmentation."""
        annotation = self._entry(self.annotations, annotation_id, "annotations", referrer)
        if annotation.get("segmentation") is None:
            raise InvalidInputError(
                f"`{self.path}`: annotation {annotation_id} has sentences and no `segmentation`. Add polygons or run "
                "lengths; a box alone is no target."
            )
        check_segmentation(annotation["segmentation"], f"`{self.path}`, annotation {annotation_id}: `segmentation`")
        return annotation

    def _entry(
        self, entries: Mapping[Any, Mapping[str, Any]], key: object, name: str, referrer: str
    ) -> Mapping[str, Any]:
        """An entry of a list by its id."""
        if not isinstance(key, Hashable) or key not in entries:
            raise InvalidInputError(
                f"{referrer} is about id {brief(key)}, which `{name}` of `{self.path}` does not hold. Take the files "
                "of one release, or remove the entry."
            )
        return entries[key]


def read_instances(path: Path, *, last_of_equal_ids: bool = False) -> Instances:
    """Read a COCO file of instances.

    Args:
        path: the file.
        last_of_equal_ids: where entries share an id, take the last of them, as refer does it, instead of refusing.

    Raises:
        DataNotFoundError: there is no such file.
        InvalidInputError: it is no COCO file of instances, or an id comes twice.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not all(isinstance(content.get(k), list) for k in ("images", "annotations")):
        raise InvalidInputError(
            f"`{path}` must be a COCO file: an object with the lists `images`, `annotations` and `categories`"
        )
    lists = (("categories", "name"), ("images", "file_name"), ("annotations", "image_id"))
    named = {name: _entries(content.get(name, []), ("id", key), f"`{path}`, `{name}`") for name, key in lists}
    for name, entries in named.items():
        twice = [key for key, count in Counter(one["id"] for one in entries).items() if count > 1]
        if twice and not last_of_equal_ids:
            raise InvalidInputError(
                f"`{path}`, `{name}`: an id is one entry's only, received {twice[0]!r} more than once. Number the "
                "entries anew; files that were put together often share ids."
            )
    categories, images, annotations = ({one["id"]: one for one in entries} for entries in named.values())
    return Instances(path, images, annotations, {key: str(one["name"]) for key, one in categories.items()})


def instance_files(root: Path) -> list[tuple[Path, str | None]]:
    """COCO files under a root, each with the split that its name says."""
    found: list[tuple[Path, str | None]] = []
    for folder in (root, root / "annotations"):
        for path in sorted(folder.glob("instances*.json")):
            split = path.stem.removeprefix("instances").lstrip("_-")
            found.append((path, split or None))
    found += [(path, path.parent.name) for path in sorted(root.glob(f"*/{_ROBOFLOW_NAME}"))]
    return found


def read_coco(root: Path) -> list[Sample]:
    """Read instances with sentences; pixels and masks stay on disk.

    Args:
        root: folder as the module's text describes it.

    Returns:
        One sample a sentence, in the order of the files.

    Raises:
        DataNotFoundError: there is no COCO file, or none of its annotations has a sentence.
        InvalidInputError: a file is malformed.
    """
    files = instance_files(root)
    if not files:
        raise DataNotFoundError(
            f"COCO instances not found: `root='{root}'` has no `instances.json`. Point `root` at the folder "
            "that holds it."
        )
    samples: list[Sample] = []
    for path, split in files:
        reader = _Reader(root, read_instances(path), split)
        samples += reader.from_annotations()
        refs = path.with_name(path.name.replace("instances", "refs")) if path.name != _ROBOFLOW_NAME else None
        if refs is not None and refs.is_file():
            samples += reader.from_refs(refs)
    if not samples:
        raise DataNotFoundError(
            f"no sentences found: the annotations of `{files[0][0]}` have no {', '.join(_SENTENCE_KEYS)}, and there is "
            "no `refs.json` beside it. Add `sentence` to the annotations that are referred to; for imagery that "
            "`rs2sam data convert --source` knows, it makes sentences."
        )
    return distinct_ids(samples)


def distinct_ids(samples: list[Sample]) -> list[Sample]:
    """Number ids that come more than once: `7`, `7~2`, `7~3`."""
    seen: Counter[str] = Counter()
    result = []
    for sample in samples:
        seen[sample.id] += 1
        again = seen[sample.id]
        result.append(sample if again == 1 else replace(sample, id=f"{sample.id}~{again}"))
    return result


class _Reader:
    """Makes the samples of one COCO file."""

    def __init__(self, root: Path, instances: Instances, split: str | None) -> None:
        self._root = root
        self._instances = instances
        self._split = split
        self._prefix = "" if split is None else f"{split}-"
        self._masks: dict[tuple[Any, Any], SegmentationMask | None] = {}
        self._of_category: dict[tuple[Any, Any], list[Mapping[str, Any]]] = defaultdict(list)
        for annotation in instances.annotations.values():
            if annotation.get("segmentation") is not None:
                self._of_category[annotation["image_id"], annotation.get("category_id")].append(annotation)

    def from_annotations(self) -> list[Sample]:
        """Samples of the sentences in the annotations."""
        samples = []
        for key, annotation in self._instances.annotations.items():
            where = f"`{self._instances.path}`, annotation {key}"
            for position, sentence in enumerate(_sentences(annotation, where)):
                checked = self._instances.annotation_of(key, where)
                samples.append(self._sample(sentence, (checked,), f"{key}-{position}", str(key), checked, where))
        return samples

    def from_refs(self, path: Path) -> list[Sample]:
        """Samples of a list of refs."""
        refs = read_json(path)
        if not isinstance(refs, list) or not all(isinstance(ref, dict) for ref in refs):
            raise InvalidInputError(f"`{path}` must be a list of refs: objects with `ann_id` and `sentences`")
        samples = []
        for number, ref in enumerate(refs):
            ref_id = str(plain_id(ref.get("ref_id", number), f"`{path}`, ref {number}: `ref_id`"))
            where = f"`{path}`, ref {ref_id}"
            for key in ("image_id", "category_id", "split"):
                if ref.get(key) is not None:
                    plain_id(ref[key], f"{where}: `{key}`")
            keys = ref["ann_ids"] if "ann_ids" in ref else [ref["ann_id"]] if "ann_id" in ref else None
            sentences = list(_sentences(ref, where))
            if not isinstance(keys, list) or not sentences:
                raise InvalidInputError(
                    f"{where}: a ref needs `ann_id`, or `ann_ids` as a list, and `sentence` or `sentences`; received "
                    f"the keys {', '.join(map(str, ref))}"
                )
            annotations = tuple(self._instances.annotation_of(key, where) for key in keys)
            for position, sentence in enumerate(sentences):
                samples.append(self._sample(sentence, annotations, f"{ref_id}-{position}", ref_id, ref, where))
        return samples

    def _sample(
        self,
        sentence: str,
        annotations: tuple[Mapping[str, Any], ...],
        name: str,
        ref_id: str,
        owner: Mapping[str, Any],
        where: str,
    ) -> Sample:
        """One sample; `owner` is the annotation or ref that has the sentence."""
        image_ids = {annotation["image_id"] for annotation in annotations} or {owner.get("image_id")}
        if len(image_ids) != 1:
            raise InvalidInputError(f"{where}: the annotations of one ref are of one image, received {image_ids}")
        image_id = image_ids.pop()
        entry = self._instances.image_of(image_id, where)
        image = self._image_path(str(entry["file_name"]))
        category_ids = {annotation.get("category_id") for annotation in annotations} or {owner.get("category_id")}
        category_id = category_ids.pop() if len(category_ids) == 1 else None
        split = owner.get("split") or entry.get("split") or self._split
        return Sample(
            image=image,
            sentence=sentence,
            mask=self._mask(annotations, entry, image, where),
            id=self._prefix + name,
            category=self._instances.categories.get(category_id),
            split=None if split is None else str(split),
            category_mask=self._category_mask(image_id, category_id, entry, image),
            ref_id=self._prefix + ref_id,
            image_id=f"{self._prefix}{image_id}",
        )

    def _mask(
        self, annotations: tuple[Mapping[str, Any], ...], entry: Mapping[str, Any], image: Path, where: str
    ) -> SegmentationMask | None:
        """The union of annotations, drawn later; None where there are none."""
        if not annotations:
            return None
        segmentations = tuple(annotation["segmentation"] for annotation in annotations)
        return SegmentationMask(segmentations, where, entry_size(entry), image)

    def _category_mask(
        self, image_id: object, category_id: object, entry: Mapping[str, Any], image: Path
    ) -> SegmentationMask | None:
        """Everything of a class in an image: one value for all sentences about it, so that it is drawn once."""
        key = image_id, category_id
        if key not in self._masks:
            where = f"`{self._instances.path}`, image {image_id}, class {category_id}"
            mask = self._mask(tuple(self._of_category.get(key, ())), entry, image, where)
            self._masks[key] = None if mask is None else replace(mask, is_shared=True)
        return self._masks[key]

    def _image_path(self, name: str) -> Path:
        """Where an image is; where it should be, if it is nowhere."""
        split = self._split or ""
        root = self._root
        folders = (root / "images", root / "images" / split, self._instances.path.parent, root, root / split)
        return next((folder / name for folder in folders if (folder / name).is_file()), folders[0] / name)


def entry_size(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width that the entry of an image says, in pixels; None where it says nothing usable."""
    height, width = entry.get("height"), entry.get("width")
    if type(height) is int and type(width) is int and height > 0 and width > 0:
        return height, width
    return None


def sentence_text(value: object, where: str) -> tuple[str, str | None]:
    """Text of a sentence as datasets hold it.

    Args:
        value: text, or an object with `raw` or `sent`; the published code reads `raw`.
        where: what has the sentence, for the message.

    Returns:
        The text without the white space around it, and with it (None where there is none).

    Raises:
        InvalidInputError: it is no text, or empty.
    """
    text = value.get("raw", value.get("sent")) if isinstance(value, Mapping) else value
    if not isinstance(text, str) or not text.strip():
        raise InvalidInputError(f"{where}: a sentence is text that is not empty, received {brief(value)}")
    sentence = plain_text(text, f"{where}: a sentence").strip()
    return sentence, None if text == sentence else text


def _sentences(owner: Mapping[str, Any], where: str) -> Iterator[str]:
    """Sentences of an annotation or a ref, without the white space around them."""
    for key in _SENTENCE_KEYS:
        value = owner.get(key)
        if value is not None:
            for one in value if isinstance(value, list) else [value]:
                yield sentence_text(one, where)[0]


def _entries(entries: Any, keys: tuple[str, ...], where: str) -> list[Mapping[str, Any]]:
    """Check that a list holds objects that have text or a number under these keys, and under `category_id` if any."""
    if not isinstance(entries, list):
        raise InvalidInputError(f"{where} must be a list, received {brief(entries)}")
    for number, entry in enumerate(entries):
        missing = [
            key for key in keys if not isinstance(entry, dict) or not isinstance(entry.get(key), (str, int, float))
        ]
        if missing:
            raise InvalidInputError(f"{where}: entry {number} has no `{missing[0]}`: {brief(entry)}")
        for key in (*keys, "category_id"):
            if entry.get(key) is not None:
                plain_id(entry[key], f"{where}: entry {number}: `{key}`")
        if "file_name" in keys:
            file_name(entry["file_name"], f"{where}: entry {number}: `file_name`")
    return entries
