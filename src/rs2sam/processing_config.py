"""Sizes and conventions of one model's inputs and answers: what `preprocessor_config.json` holds."""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

from rs2sam.errors import DataNotFoundError, InvalidInputError, words_of
from rs2sam.fields import brief, parse_json

CONFIG_FILE = "preprocessor_config.json"

SIDE_MULTIPLE = 32
"""What sides of a picture in its own aspect are multiples of [px]: the stride of the trunk's coarsest map."""

# Keys that transformers adds when its own processor writes the same file.
_FOREIGN_KEYS = {"processor_class", "image_processor_type", "tokenizer_class", "transformers_version"}

_SIZES = {
    "image_size": (1, 4096),
    "union_image_size": (1, 2048),
    "max_text_tokens": (3, 65_536),
    "pad_token_id": (0, 2_000_000),
}
"""Least and greatest value: a folder must not ask for arrays that nobody can hold."""
_LEAST_STD, _MOST_MEAN = 1e-3, 1e3
_MOST_TILES = 64
_MOST_EVIDENCE = 25  # the cells that are looked at, all of them sure
_MOST_ENLARGEMENT = 1024
_MOST_POINTS = 100


def _is_number(value: object) -> bool:
    """Whether a value is a finite number that float32 holds."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30


def _is_share(value: object) -> bool:
    """Whether a value is a number in [0, 1]."""
    return _is_number(value) and 0 <= value <= 1  # type: ignore[operator]


def _are_three_numbers(values: object) -> bool:
    """Whether a value is three numbers of a size that means or deviations can have."""
    return (
        isinstance(values, tuple | list)
        and len(values) == 3
        and all(_is_number(value) and abs(value) <= _MOST_MEAN for value in values)
    )


def _is_range(values: object) -> bool:
    """Whether a value is two lengths above 0, in order."""
    is_pair = isinstance(values, tuple) and len(values) == 2 and all(_is_number(value) for value in values)
    return is_pair and 0 < values[0] <= values[1]  # type: ignore[index]


def _are_names(values: object) -> bool:
    """Whether a value is a tuple of at least one text that is not blank."""
    return isinstance(values, tuple) and bool(values) and all(isinstance(name, str) and name.strip() for name in values)


@dataclass(frozen=True)
class FirstPass:
    """How a model tells from a coarse view which tiles of a scene hold nothing of what a sentence names.

    The figures are measured on held-out scenes (`benchmarks/scale/first_pass.py`), against asking about every tile.

    Args:
        tiles: tiles a side that one coarse view covers.
        threshold: a tile is skipped where its score in that view is below this, in [0, 1].
        recall_loss: share of the rightly found pixels that skipping costs, in [0, 1]; None: not measured.
        skipped: share of the tiles that is skipped, in [0, 1]; None: not measured.
        is_default: whether it saves time, so that tiles are skipped unless a user wants every tile asked about.
    """

    tiles: int
    threshold: float
    recall_loss: float | None = None
    skipped: float | None = None
    is_default: bool = False

    def __post_init__(self) -> None:
        if type(self.tiles) is not int or not 2 <= self.tiles <= _MOST_TILES:
            raise InvalidInputError(
                f"A coarse view covers at least 2 tiles a side and at most {_MOST_TILES}, received `tiles` "
                f"{brief(self.tiles)}."
            )
        for name in ("threshold", "recall_loss", "skipped"):
            value = getattr(self, name)
            is_missing = value is None and name != "threshold"
            if not is_missing and not _is_share(value):
                raise InvalidInputError(f"`{name}` of the first pass must lie in [0, 1], received {brief(value)}.")
        if not isinstance(self.is_default, bool):
            raise InvalidInputError(f"`is_default` must be true or false, received {brief(self.is_default)}.")

    @classmethod
    def of(cls, values: object) -> FirstPass:
        """Read it from plain values; an unknown name is an error."""
        try:
            if isinstance(values, dict):
                return cls(**values)
        except TypeError:  # told below, with the names
            pass
        names = [field.name for field in fields(cls)]
        raise InvalidInputError(f"`first_pass` must be an object with {names}, received {brief(values)}.")


@dataclass(frozen=True)
class CloserLook:
    """When a model looks at a picture again, with more pixels: where what it found is small.

    The figures are measured on validation images, see docs/compact.md.

    Args:
        image_size: longer side of the picture in the second look [px], above `ProcessingConfig.image_size`.
        most_inside: share of the found cells, quarters of the first look's resolution, whose eight neighbours were
            found too; below it the look pays, in [0, 1].
    """

    image_size: int
    most_inside: float

    def __post_init__(self) -> None:
        most = _SIZES["image_size"][1]
        is_side = type(self.image_size) is int and self.image_size % SIDE_MULTIPLE == 0
        if not is_side or not 0 < self.image_size <= most:
            raise InvalidInputError(
                f"`image_size` of the closer look must be a multiple of {SIDE_MULTIPLE} of at most {most:,}, received "
                f"{brief(self.image_size)}."
            )
        if not _is_share(self.most_inside):
            raise InvalidInputError(
                f"`most_inside` of the closer look must lie in [0, 1], received {brief(self.most_inside)}."
            )

    @classmethod
    def of(cls, values: object) -> CloserLook:
        """Read it from plain values; an unknown name is an error."""
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or set(values) != names:
            raise InvalidInputError(f"`closer_look` must be an object with {sorted(names)}, received {brief(values)}.")
        return cls(**values)


@dataclass(frozen=True)
class Calibration:
    """How often a region that a model found is right, by the mean probability of its pixels.

    Measured on images that were not trained on (`benchmarks/accuracy/calibration.py`): a line through points.

    Args:
        mean_probability: of the points, each above the one before, in [0, 1].
        share_right: of regions with that mean probability, none below the one before, in [0, 1].
    """

    mean_probability: tuple[float, ...]
    share_right: tuple[float, ...]

    def __post_init__(self) -> None:
        points = self.mean_probability, self.share_right
        if not all(isinstance(values, tuple) and all(_is_share(one) for one in values) for values in points):
            raise InvalidInputError(
                f"`calibration` must hold two lists of numbers in [0, 1], received {brief(points)}."
            )
        rises = all(one < after for one, after in pairwise(self.mean_probability))
        if len(points[0]) != len(points[1]) or not 1 <= len(points[0]) <= _MOST_POINTS or not rises:
            raise InvalidInputError(
                f"`calibration` must have 1 to {_MOST_POINTS} points whose `mean_probability` rises, and a "
                f"`share_right` for each, received {brief(points)}."
            )
        if any(one > after for one, after in pairwise(self.share_right)):
            raise InvalidInputError(f"`share_right` of the calibration must not fall, received {brief(points[1])}.")

    @classmethod
    def of(cls, values: object) -> Calibration:
        """Read it from plain values; an unknown name is an error."""
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or set(values) != names:
            raise InvalidInputError(f"`calibration` must be an object with {sorted(names)}, received {brief(values)}.")
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})

    def share_of(self, mean_probability: float) -> float:
        """Share of the regions with this mean probability that are right, in [0, 1]; level beyond the points."""
        left = bisect_right(self.mean_probability, mean_probability)
        if left in (0, len(self.mean_probability)):
            return self.share_right[0 if left == 0 else -1]
        (x0, x1), (y0, y1) = (values[left - 1 : left + 1] for values in (self.mean_probability, self.share_right))
        return y0 + (y1 - y0) * (mean_probability - x0) / (x1 - x0)


@dataclass(frozen=True)
class ProcessingConfig:
    """Sizes and conventions of one model's inputs, stored as `preprocessor_config.json`.

    Args:
        image_size: side S of `pixel_values` [px]; the longer side of a picture in its own aspect.
        union_image_size: side s of `union_pixel_values` [px]; 0 for a model that takes one picture, in its own aspect.
        max_text_tokens: longest sentence in tokens, `<s>` and `</s>` included.
        pad_token_id: id that fills up shorter sentences of a batch. Published weights: 3, the unknown token's.
        mask_unknown_tokens: attend to no `<unk>` either, as the published code does (it attends where id != 3).
        image_mean: mean of the three channels in [0, 1].
        image_std: standard deviation of the three channels in [0, 1].
        min_presence: presence below which this model's answer is "nothing", found on validation images; 0: never.
        choose_in_view: whether words that compare ("the largest", "at the left") are better decided among the regions
            that this model finds of a class than by the model itself, in images that it sees whole.
        first_pass: how tiles are skipped in large scenes; None where that was not measured for this model.
        gsd_range_m: finest and coarsest ground resolution of the images that the model was made for [m/px]; None where
            nobody said.
        keeps_aspect: the model takes one picture with sides that are multiples of 32, `image_size` the longer one.
        max_enlargement: such a picture is not enlarged by more than this, at least 1.
        classes: what the model was taught to find, as it is named; None where that is not listed.
        min_known: probability that a sentence names something taught below which the answer is "nothing"; 0: never.
            Of models that tell it.
        calibration: how often a region is right, by its mean probability; None where that was not measured.
        min_evidence: what must speak for a region at least, see `without_specks`; 0: every cell above the limit counts.
        closer_look: when a picture in its own aspect is looked at again, with more pixels; None: never.
    """

    image_size: int
    union_image_size: int
    max_text_tokens: int
    pad_token_id: int = 1
    mask_unknown_tokens: bool = False
    image_mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    image_std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    min_presence: float = 0.0
    choose_in_view: bool = False
    first_pass: FirstPass | None = None
    gsd_range_m: tuple[float, float] | None = None
    keeps_aspect: bool = False
    max_enlargement: float = 2.0
    classes: tuple[str, ...] | None = None
    min_known: float = 0.5
    calibration: Calibration | None = None
    min_evidence: float = 0.0
    closer_look: CloserLook | None = None

    def __post_init__(self) -> None:
        for name in ("choose_in_view", "mask_unknown_tokens", "keeps_aspect"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidInputError(f"`{name}` must be true or false, received {brief(getattr(self, name))}.")
        for name, (least, most) in _SIZES.items():
            value = getattr(self, name)
            least = 0 if name == "union_image_size" and self.keeps_aspect else least
            if type(value) is not int or not least <= value <= most:
                raise InvalidInputError(
                    f"`{name}` must be an integer of at least {least} and at most {most:,}, received {brief(value)}."
                )
        colours = self.image_mean, self.image_std
        if not all(_are_three_numbers(values) for values in colours) or min(self.image_std) <= 0:
            raise InvalidInputError(
                "`image_mean` and `image_std` must be three numbers, deviations above 0, "
                f"received {brief(self.image_mean)} and {brief(self.image_std)}."
            )
        if min(self.image_std) < _LEAST_STD:
            raise InvalidInputError(
                f"`image_std` must be deviations above 0, of at least {_LEAST_STD}, received {brief(self.image_std)}."
            )
        for name in ("min_presence", "min_known"):
            if not _is_share(getattr(self, name)):
                raise InvalidInputError(
                    f"`{name}` must be a probability in [0, 1], received {brief(getattr(self, name))}."
                )
        if not _is_number(self.min_evidence) or not 0 <= self.min_evidence <= _MOST_EVIDENCE:
            raise InvalidInputError(
                f"`min_evidence` must be a number of cells from 0 to {_MOST_EVIDENCE}, received "
                f"{brief(self.min_evidence)}."
            )
        if self.gsd_range_m is not None and not _is_range(self.gsd_range_m):
            raise InvalidInputError(
                "`gsd_range_m` must be two lengths in metres per pixel, the finer first, received "
                f"{brief(self.gsd_range_m)}."
            )
        if self.classes is not None and not _are_names(self.classes):
            raise InvalidInputError(
                f"`classes` must be a list of names, received {brief(self.classes)}. Leave it out if unknown."
            )
        self._check_aspect()

    def _check_aspect(self) -> None:
        """Raise where what is said of pictures in their own aspect does not go together."""
        factor = self.max_enlargement
        if not _is_number(factor) or not 1 <= factor <= _MOST_ENLARGEMENT:
            raise InvalidInputError(
                f"`max_enlargement` must be a number of at least 1 and at most {_MOST_ENLARGEMENT:,}, received "
                f"{brief(factor)}."
            )
        if self.keeps_aspect and (self.union_image_size or self.image_size % SIDE_MULTIPLE):
            raise InvalidInputError(
                "A model that keeps the aspect takes one picture: `union_image_size` must be 0 or left out, received "
                f"{self.union_image_size}; `image_size` a multiple of {SIDE_MULTIPLE}, received {self.image_size}."
            )
        look = self.closer_look
        if look is not None and not (self.keeps_aspect and look.image_size > self.image_size):
            raise InvalidInputError(
                "`closer_look` is for a model that keeps the aspect, its `image_size` above the model's own, received "
                f"{look.image_size} beside {self.image_size}."
            )

    def input_hw(self, size_hw: tuple[int, int]) -> tuple[int, int]:
        """Sides at which the model sees an image: squares of `image_size`, or the image's own aspect.

        Args:
            size_hw: height and width of the image [px].

        Returns:
            Height and width [px]; with `keeps_aspect` the longer one is `image_size`, less where that would enlarge too
            much, and each is rounded to a multiple of 32.
        """
        if not self.keeps_aspect:
            return self.image_size, self.image_size
        return self._own_aspect(size_hw, self.image_size)

    def closer_hw(self, size_hw: tuple[int, int]) -> tuple[int, int]:
        """As `input_hw`, in a closer look; the same where there is none."""
        if self.closer_look is None:
            return self.input_hw(size_hw)
        return self._own_aspect(size_hw, self.closer_look.image_size)

    def _own_aspect(self, size_hw: tuple[int, int], longer: int) -> tuple[int, int]:
        """Sides of a picture in its own aspect, the longer one at most this [px]."""
        scale = min(longer / max(size_hw), self.max_enlargement)
        height, width = (max(1, round(side * scale / SIDE_MULTIPLE)) * SIDE_MULTIPLE for side in size_hw)
        return height, width

    @classmethod
    def from_json(cls, path: str | Path) -> ProcessingConfig:
        """Read a `preprocessor_config.json`; an unknown key is an error."""
        try:
            values: Any = parse_json(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DataNotFoundError(f"`{path}` not found: a model folder must hold {CONFIG_FILE}.") from error
        except (OSError, ValueError) as error:
            raise InvalidInputError(f"`{path}` is not JSON: {words_of(error)}. Copy the model folder again.") from error
        if not isinstance(values, dict):
            raise InvalidInputError(f"`{path}` must hold a JSON object, received {brief(values)}.")
        if values.get("keeps_aspect") is True:
            values = {"union_image_size": 0, **values}
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known - _FOREIGN_KEYS)
        missing = [name for name in ("image_size", "union_image_size", "max_text_tokens") if name not in values]
        if unknown or missing:
            raise InvalidInputError(
                f"`{path}` has unknown keys {brief(unknown)} and lacks {missing}; known are {sorted(known)}. "
                "Write it with `ProcessingConfig.to_json`."
            )
        arguments: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items() if name in known
        }
        if arguments.get("first_pass") is not None:
            arguments["first_pass"] = FirstPass.of(arguments["first_pass"])
        if arguments.get("calibration") is not None:
            arguments["calibration"] = Calibration.of(arguments["calibration"])
        if arguments.get("closer_look") is not None:
            arguments["closer_look"] = CloserLook.of(arguments["closer_look"])
        return cls(**arguments)

    def to_json(self, path: str | Path) -> None:
        """Write a `preprocessor_config.json`."""
        Path(path).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
