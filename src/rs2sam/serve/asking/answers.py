"""What an image's sentences found, in the form that the page takes, and kept for a while in few bytes."""

from __future__ import annotations

import base64
import io
import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image

from rs2sam.datasets.readers.run_lengths import decode_runs, encode_runs
from rs2sam.errors import InvalidInputError
from rs2sam.processing_config import Calibration
from rs2sam.raster.georeference import Georeference
from rs2sam.segmenter import Segmentation
from rs2sam.serve.asking.pngs import png_of
from rs2sam.serve.asking.prepared import Question
from rs2sam.serve.problems import ProblemError
from rs2sam.vector.geojson import to_wgs84
from rs2sam.vector.regions import PixelRegion
from rs2sam.vector.vectorize import pixel_regions

MOST_REGIONS = 10_000
"""Outlines of one answer; `count` counts all of them."""

STEPS = 256
"""A pixel is found at the threshold k / 256 where its 8-bit value is at least k."""


def as_bytes(probability: NDArray[np.float32], mask: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
    """Probabilities in 8 bits, so that `value >= k` says what `probability > k / 256` does.

    Args:
        probability: (H, W) float32 in [0, 1].
        mask: (H, W) bool, what is found at one half, where the logits decide before they are rounded; None: as above.
    """
    steps = probability * np.float32(STEPS)
    np.ceil(steps, out=steps)
    np.clip(steps, 1, STEPS, out=steps)
    steps -= 1
    values: NDArray[np.uint8] = steps.astype(np.uint8)
    if mask is not None:
        differs = (values >= STEPS // 2) != mask
        values[differs] = np.where(mask[differs], STEPS // 2, STEPS // 2 - 1)
    return values


def as_probability(values: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The middle of what an 8-bit value stands for; 0 stays 0."""
    return np.where(values == 0, np.float32(0), (values.astype(np.float32) + 0.5) / STEPS)


def features(
    regions: Sequence[PixelRegion], place: Georeference | None, calibration: Calibration | None = None
) -> dict[str, Any]:
    """Regions as a FeatureCollection in pixels, each with its place on Earth beside it.

    `confidence` is the mean probability where nobody measured how often the model is right.
    """
    share_of = float if calibration is None else calibration.share_of
    outlines = np.array([region.outline for region in regions], dtype=object)
    geographic: list[Any] = [None] * len(regions)
    if place is not None and place.crs is not None and len(regions):
        with suppress(InvalidInputError):  # a CRS without longitude and latitude
            geographic = _geometries(to_wgs84(place.place(outlines), place.crs))
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": number,
                "geometry": geometry,
                "properties": {
                    "area_px": region.num_pixels,
                    "area_m2": region.area_m2,
                    "mean_probability": round(region.mean_probability, 4),
                    "confidence": round(share_of(region.mean_probability), 4),
                    "bbox_px": [int(side) for side in region.outline.bounds],
                    "geographic": where,
                },
            }
            for number, (region, geometry, where) in enumerate(
                zip(regions, _geometries(outlines), geographic, strict=True), start=1
            )
        ],
    }


def _geometries(shapes: NDArray[np.object_]) -> list[Any]:
    """Shapes as GeoJSON, each None where there is none; read at once, which is faster than one by one."""
    found: list[Any] = json.loads(f"[{','.join(text or 'null' for text in shapely.to_geojson(shapes))}]")
    return found


@dataclass(frozen=True)
class KeptResult:
    """What one sentence found.

    Args:
        sentence: that was asked.
        probability_png: of 8-bit values, see `as_bytes`.
        runs: what was found, see `encode_runs`.
    """

    sentence: str
    probability_png: bytes
    runs: dict[str, Any]

    @classmethod
    def of(cls, found: Segmentation, is_plain: bool) -> KeptResult:
        """What is kept of an answer.

        Args:
            found: the answer.
            is_plain: whether its mask is what lies above one half.
        """
        values = as_bytes(found.probability, found.mask if is_plain else None)
        return cls(found.sentence, png_of(values), encode_runs(found.mask))

    def values(self) -> NDArray[np.uint8]:
        """(H, W) 8-bit probabilities."""
        with Image.open(io.BytesIO(self.probability_png)) as picture:
            return np.array(picture)

    def mask(self) -> NDArray[np.bool_]:
        """(H, W) what was found."""
        return decode_runs(self.runs)

    @property
    def mask_png(self) -> bytes:
        """255 found, 0 not; made when it is asked for, since the page does without."""
        return png_of(self.mask().astype(np.uint8) * 255)


@dataclass(frozen=True)
class Answer:
    """What an image's sentences found.

    Args:
        id: of the answer.
        image_id: of the image.
        threshold: at which masks were made.
        body: the answer as JSON.
        results: one a sentence.
    """

    id: str
    image_id: str
    threshold: float
    body: bytes
    results: tuple[KeptResult, ...]

    @property
    def num_bytes(self) -> int:
        """Memory that it takes."""
        return len(self.body) + sum(len(one.probability_png) + len(one.runs["counts"]) for one in self.results)

    @classmethod
    def of(
        cls,
        image_id: str,
        question: Question,
        found: Sequence[Segmentation],
        about_image: Sequence[str],
        model: dict[str, Any],
        seconds: dict[str, float],
        since: float,
    ) -> Answer:
        """From what the model says.

        Args:
            image_id: of the image.
            question: that was asked.
            found: one a sentence.
            about_image: what was doubtful about the image.
            model: name and backend.
            seconds: in the model and waiting for it.
            since: when the question came, by `time.perf_counter`.
        """
        answer_id = f"a_{secrets.token_urlsafe(12)}"
        is_plain = question.threshold == 0.5 and not question.min_area.value
        results = []
        # Deflating leaves the interpreter to others, so regions are found meanwhile where there is a second core.
        with ThreadPoolExecutor(1, thread_name_prefix="rs2sam-png") as beside:
            made = [beside.submit(KeptResult.of, one, is_plain) for one in found]
            for index, (one, kept) in enumerate(zip(found, made, strict=True)):
                said = [line for line in one.warnings if line not in about_image]
                results.append({**_described(answer_id, index, one, kept), "warnings": said})
        height, width = found[0].mask.shape
        body = {
            "id": answer_id,
            "image": image_id,
            "width": width,
            "height": height,
            "threshold": question.threshold,
            "model": model,
            "seconds": {**seconds, "total": round(time.perf_counter() - since, 4)},
            "warnings": list(about_image),
            "results": results,
        }
        all_kept = tuple(kept.result() for kept in made)
        return cls(answer_id, image_id, question.threshold, json.dumps(body).encode(), all_kept)


def _described(answer_id: str, index: int, found: Segmentation, made: Future[KeptResult]) -> dict[str, Any]:
    """One sentence's result as the page takes it; what is kept of it is being `made`."""
    height, width = found.mask.shape
    regions = pixel_regions(found.mask, found.probability, found.georeference)
    outlines = features(regions[:MOST_REGIONS], found.georeference, found.calibration)
    areas = [region.area_m2 for region in regions if region.area_m2 is not None]
    num_pixels = int(found.mask.sum())
    mean = float(found.probability[found.mask].mean()) if num_pixels else None
    kept = made.result()
    return {
        "index": index,
        "sentence": found.sentence,
        "found": num_pixels > 0,
        "count": len(regions),
        "pixels": num_pixels,
        "area_m2": round(sum(areas), 3) if len(areas) == len(regions) and _is_placed(found) else None,
        "presence": found.presence,
        "score": found.score,
        "known": found.known,
        "calibration": None if found.calibration is None else asdict(found.calibration),
        "mean_probability": mean,
        "probability": {
            "width": width,
            "height": height,
            "media_type": "image/png",
            "base64": base64.b64encode(kept.probability_png).decode("ascii"),
            "href": f"/v1/answers/{answer_id}/{index}/probability.png",
        },
        "rle": kept.runs,
        "regions": outlines,
    }


def _is_placed(found: Segmentation) -> bool:
    """Whether areas are known."""
    place = found.georeference
    return place is not None and place.pixel_size_m((found.mask.shape[0], found.mask.shape[1])) is not None


class AnswerStore:
    """Answers that can be asked for again: in memory, then on disk.

    Args:
        folder: for those that memory has no room for; what the process before left there is removed.
        most_bytes: in memory.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._most_bytes = most_bytes
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._num_bytes = 0
        self._lock = threading.Lock()
        for path in folder.iterdir():
            path.unlink(missing_ok=True)

    @property
    def num_bytes(self) -> int:
        """Memory that the answers take."""
        return self._num_bytes

    def keep(self, answer: Answer) -> None:
        """Take an answer in; the oldest go to disk."""
        leaving = []
        with self._lock:
            self._answers[answer.id] = answer
            self._num_bytes += answer.num_bytes
            while len(self._answers) > 1 and self._num_bytes > self._most_bytes:
                _, oldest = self._answers.popitem(last=False)
                self._num_bytes -= oldest.num_bytes
                leaving.append(oldest)
        for one in leaving:
            self._write(one)

    def get(self, answer_id: str) -> Answer:
        """An answer.

        Raises:
            ProblemError: it is not there, or no longer.
        """
        with self._lock:
            found = self._answers.get(answer_id)
            if found is not None:
                self._answers.move_to_end(answer_id)
                return found
        with suppress(OSError, ValueError, KeyError):
            return self._read(answer_id)
        raise ProblemError("not-found", f"There is no answer {answer_id[:80]!r}. It may have expired: ask again.")

    def drop(self, image_id: str) -> None:
        """Forget what was answered about an image, as far as it is in memory; the rest expires."""
        with self._lock:
            for answer_id in [one.id for one in self._answers.values() if one.image_id == image_id]:
                self._num_bytes -= self._answers.pop(answer_id).num_bytes

    def _path(self, answer_id: str) -> Path:
        """Where an answer stands on disk."""
        if not answer_id.replace("-", "").replace("_", "").isalnum():
            raise ValueError(answer_id)
        return self.folder / f"{answer_id}.npz"

    def _write(self, answer: Answer) -> None:
        """Put an answer on disk; one that does not fit there is forgotten."""
        arrays = {
            "body": np.frombuffer(answer.body, np.uint8),
            "about": np.array(
                json.dumps([answer.image_id, answer.threshold, [one.sentence for one in answer.results]])
            ),
        }
        for number, one in enumerate(answer.results):
            arrays[f"p{number}"] = np.frombuffer(one.probability_png, np.uint8)
            arrays[f"r{number}"] = np.array(json.dumps(one.runs))
        with suppress(OSError):
            np.savez(self._path(answer.id), **arrays)  # type: ignore[arg-type]

    def _read(self, answer_id: str) -> Answer:
        """An answer from disk."""
        with np.load(self._path(answer_id), allow_pickle=False) as arrays:
            image_id, threshold, sentences = json.loads(str(arrays["about"]))
            results = tuple(
                KeptResult(sentence, arrays[f"p{number}"].tobytes(), json.loads(str(arrays[f"r{number}"])))
                for number, sentence in enumerate(sentences)
            )
            return Answer(answer_id, image_id, threshold, arrays["body"].tobytes(), results)
