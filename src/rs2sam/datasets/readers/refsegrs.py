"""RefSegRS: 4,420 phrases about tiles of 512 x 512 pixels from SkyScapes (0.13 m/px, aerial, Munich).

`images/<name>.tif`, `masks/<name>.tif` and `output_phrase_{train,val,test}.txt` with a line `<name> <phrase>` for
each sample; a name stands for one target, so that the same ground may come under several names. Foreground is
brighter than 50 in grey, whatever the file's mode. Licence of the data: see its authors (Yuan et al., TGRS 2024,
github zhu-xlab/rrsis).

The published code keeps the newline at the end of a phrase, and its tokenizer, which has no piece for it, makes an
unknown token of it: `</s>` comes one position later than without. `Sample.sentence` has none, `published_sentence` has.
"""

from __future__ import annotations

from pathlib import Path

from rs2sam.datasets.base import Sample
from rs2sam.datasets.plain_values import file_name
from rs2sam.datasets.readers.masks import MaskFile
from rs2sam.errors import DataNotFoundError, InvalidInputError, words_of

FOREGROUND_ABOVE = 50
_PHRASES = "output_phrase_{}.txt"
_SPLITS = ("train", "val", "test")


def phrase_files(root: Path) -> dict[str, Path]:
    """Split -> its file of phrases, for those that are there."""
    files = {split: root / _PHRASES.format(split) for split in _SPLITS}
    return {split: path for split, path in files.items() if path.is_file()}


def read_refsegrs(root: Path) -> list[Sample]:
    """Read RefSegRS; pixels and masks stay on disk.

    Args:
        root: folder with `images/`, `masks/` and at least one file of phrases.

    Returns:
        One sample a line, in the order of the files.

    Raises:
        DataNotFoundError: a folder or every file of phrases is not there.
        InvalidInputError: a line has no phrase, or a name that no file has.
    """
    files = phrase_files(root)
    missing = [f"{folder}/" for folder in ("images", "masks") if not (root / folder).is_dir()]
    if missing or not files:
        raise DataNotFoundError(
            f"RefSegRS not found: `root='{root}'` has no `{missing[0] if missing else _PHRASES.format('train')}`. "
            "Point `root` at the folder that holds `images/`, `masks/` and `output_phrase_train.txt`."
        )
    return [sample for split, path in files.items() for sample in _read_split(root, split, path)]


def _read_split(root: Path, split: str, path: Path) -> list[Sample]:
    """Samples of one file of phrases."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            lines = list(file)
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"`{path}` must be UTF-8 text: {words_of(error)}. Save it again.") from error
    samples = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, _, phrase = line.partition(" ")
        sentence = phrase.strip()
        if not name or not sentence:
            raise InvalidInputError(
                f"`{path}`, line {number}: a line is `<image name> <phrase>`, received {line!r}. Complete the line or "
                "remove it."
            )
        stem = file_name(f"{name.removesuffix('.tif')}.tif", f"`{path}`, line {number}: an image").removesuffix(".tif")
        samples.append(
            Sample(
                image=root / "images" / f"{stem}.tif",
                sentence=sentence,
                mask=MaskFile(root / "masks" / f"{stem}.tif", above=FOREGROUND_ABOVE),
                id=f"{split}-{number}",
                split=split,
                ref_id=stem,
                image_id=stem,
                raw_sentence=None if phrase == sentence else phrase,
            )
        )
    return samples
