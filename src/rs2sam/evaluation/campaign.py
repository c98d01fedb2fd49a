"""One evaluation from samples to report folder, by one process or several, from the start or from where it was."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rs2sam.backends import Precision
from rs2sam.datasets.base import Sample
from rs2sam.datasets.readers.masks import image_fingerprint, mask_fingerprint
from rs2sam.errors import InvalidInputError
from rs2sam.evaluation.gallery import Picture, choose, draw_picture
from rs2sam.evaluation.markdown import as_markdown
from rs2sam.evaluation.page import as_page
from rs2sam.evaluation.processes import Processes, share_of
from rs2sam.evaluation.results import EvaluationReport, SampleResult
from rs2sam.evaluation.run_folder import RunFolder, write_whole
from rs2sam.evaluation.running import evaluate_batches, split_batches
from rs2sam.evaluation.summary import summarize
from rs2sam.metrics import Protocol
from rs2sam.segmenter import Segmenter

DEFAULT_GALLERY_SIZE = 8


@dataclass(frozen=True)
class RunIdentity:
    """What is evaluated. A run that was cut short goes on only where all of it is equal.

    Args:
        model: name, without the folders above it.
        weights_sha256: of the model's files, see `hash_folder`.
        data: name of the dataset's folder or file.
        dataset: its format.
        split: of the dataset; None: all samples.
        limit: how many samples were chosen of the split; None: all.
        protocol: `published` or `native`.
        num_samples: that are evaluated.
        samples_sha256: of their ids, sentences and targets, see `hash_samples`.
        precision: of the model's weights and computation.
        mirrored: whether the model is asked about mirror images too.
    """

    model: str
    weights_sha256: str
    data: str
    dataset: str
    split: str | None
    limit: int | None
    protocol: Protocol
    num_samples: int
    samples_sha256: str
    precision: Precision = "float32"
    mirrored: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON; `mirrored` is there where it is so, so that older runs go on."""
        return {name: value for name, value in vars(self).items() if name != "mirrored" or value}


@dataclass(frozen=True)
class RunOptions:
    """How it is evaluated; nothing here changes a figure by more than the model's rounding.

    Args:
        batch_size: samples that the model reads at once.
        gallery_size: samples a gallery; 0: no pictures.
        save_masks: write each prediction.
        resume: go on with what the folder holds.
        overwrite: discard what the folder holds.
        quiet: show no progress.
        versions: of the libraries, for the report.
    """

    batch_size: int = 4
    gallery_size: int = DEFAULT_GALLERY_SIZE
    save_masks: bool = False
    resume: bool = False
    overwrite: bool = False
    quiet: bool = False
    versions: Mapping[str, str] | None = None


class Campaign:
    """One process's part in an evaluation.

    Args:
        load: loads the model onto a device (None: what the backend prefers); called when it is needed.
        samples: all samples, the same in every process.
        identity: makes the run's identity; called by process 0 alone.
        folder: report folder.
        options: how.
        processes: who takes part.

    Raises:
        InvalidInputError: there is no sample, two have one id, or `batch_size` is below 1.
    """

    def __init__(
        self,
        load: Callable[[str | None], Segmenter],
        samples: Sequence[Sample],
        identity: Callable[[], RunIdentity],
        folder: Path,
        options: RunOptions,
        processes: Processes,
    ) -> None:
        _check_samples(samples)
        self._load = load
        self._samples = samples
        self._batches = split_batches(samples, options.batch_size)
        self._identity = identity
        self._folder = RunFolder(folder, processes.index)
        self._options = options
        self._processes = processes

    @cached_property
    def _segmenter(self) -> Segmenter:
        """The model, loaded when the first sample needs it."""
        return self._load(self._processes.device)

    def run(self) -> dict[str, Any] | None:
        """Evaluate what is left, gather, write the report.

        Returns:
            The content of `report.json` in process 0, None in the others.
        """
        start = time.perf_counter()
        identity, before = self._begin()
        there = {result.id for result in before} if self._processes.index == 0 else set()
        protocol, done = self._processes.broadcast((identity.protocol if identity else None, there))
        assert protocol is not None
        fresh = self._processes.gather(self._evaluate(protocol, done))
        if identity is None:
            self._processes.broadcast(None)  # until process 0 has it, the part is the only copy
            self._folder.drop_part()
            return None
        report = self._ordered([*before, *fresh], protocol)
        self._folder.finish(report.results, protocol)
        self._processes.broadcast(None)
        return self._write(report, identity, time.perf_counter() - start)

    def _begin(self) -> tuple[RunIdentity | None, list[SampleResult]]:
        """In process 0: what is evaluated and what of it is done. No other process touches the folder before."""
        if self._processes.index:
            return None, []
        identity = self._identity()
        options = self._options
        before = self._folder.open(identity.as_dict(), resume=options.resume, overwrite=options.overwrite)
        known = {sample.id for sample in self._samples}
        before = [result for result in before if result.id in known]
        if options.save_masks:
            before = [result for result in before if self._folder.mask_path(result.id).is_file()]
        if len(before) < len(self._samples):
            _ = self._segmenter  # a model that cannot be loaded leaves the folder as it is
        self._folder.start(identity.as_dict(), before, identity.protocol, overwrite=options.overwrite)
        return identity, before

    def _evaluate(self, protocol: Protocol, done: set[str]) -> list[SampleResult]:
        """This process's share of the batches that are not done.

        A batch of which only a part is done is answered whole: the model shall see the same batches as in one go.
        """
        left = [batch for batch in self._batches if any(sample.id not in done for sample in batch)]
        share = share_of(left, self._processes)
        fresh: list[SampleResult] = []
        if not share:
            return fresh
        quiet = True if self._options.quiet or self._processes.index else None
        with tqdm(total=len(self._samples), initial=len(done), desc="evaluate", disable=quiet) as progress:
            for outcomes in evaluate_batches(self._segmenter, share, protocol):
                new = [(result, answer) for result, answer in outcomes if result.id not in done]
                if self._options.save_masks:
                    for result, answer in new:
                        self._folder.save_mask(result.id, answer.mask)
                self._folder.append([result for result, _ in new], protocol)
                fresh.extend(result for result, _ in new)
                progress.update(min(len(new) * self._processes.count, len(self._samples) - progress.n))
        return fresh

    def _ordered(self, results: Sequence[SampleResult], protocol: Protocol) -> EvaluationReport:
        """The report, samples in the order of the dataset."""
        by_id = {result.id: result for result in results}
        return EvaluationReport(tuple(by_id[sample.id] for sample in self._samples), protocol)

    def _write(self, report: EvaluationReport, identity: RunIdentity, seconds: float) -> dict[str, Any]:
        """The three reports; `report.json` last, so that it is there only where all is."""
        options = self._options
        galleries = self._galleries(report)
        settings = {
            "backend": self._segmenter.backend_name,
            "image_size": self._segmenter.image_size,
            "batch_size": options.batch_size,
            "processes": self._processes.count,
            "save_masks": options.save_masks,
            "seconds_of_this_run": round(seconds, 3),
            "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "versions": dict(options.versions or {}),
        }
        summary = summarize(report, identity.as_dict(), settings, options.gallery_size)
        write_whole(self._folder.path / "report.html", as_page(summary, galleries))
        write_whole(self._folder.path / "report.md", as_markdown(summary))
        write_whole(self._folder.path / "report.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
        return summary

    def _galleries(self, report: EvaluationReport) -> dict[str, list[Picture]]:
        """Pictures of the chosen samples; a sample of two galleries is drawn once."""
        chosen = choose(report.results, report.protocol, self._options.gallery_size)
        places = list(dict.fromkeys(place for gallery in chosen.values() for place in gallery))
        quiet = True if self._options.quiet else None
        drawn = {
            place: draw_picture(self._segmenter, self._samples[place], report.results[place], report.protocol)
            for place in tqdm(places, desc="pictures", disable=quiet)
        }
        return {name: [drawn[place] for place in gallery] for name, gallery in chosen.items()}


def spread_evenly(samples: Sequence[Sample], limit: int | None) -> list[Sample]:
    """At most `limit` samples, evenly spread over all of them and in their order.

    Raises:
        InvalidInputError: `limit` is below 1.
    """
    if limit is None or limit >= len(samples):
        return list(samples)
    if limit < 1:
        raise InvalidInputError(f"`limit` must be at least 1, received {limit}. Leave it out to take all samples.")
    return [samples[place * len(samples) // limit] for place in range(limit)]


def hash_samples(samples: Sequence[Sample]) -> str:
    """SHA-256 of ids, sentences, images and targets in order; of a file its name and size, as nothing is read."""
    digest = hashlib.sha256()
    for sample in samples:
        shown, meant = image_fingerprint(sample.image), mask_fingerprint(sample.mask)
        unknown = [] if sample.ignore is None else [mask_fingerprint(sample.ignore)]
        digest.update(json.dumps([sample.id, sample.sentence, shown, meant, *unknown]).encode())
    return digest.hexdigest()


def hash_folder(folder: Path) -> str:
    """SHA-256 of the names and contents of a model folder's files, its model card left out."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.iterdir() if path.is_file() and path.suffix != ".md"):
        digest.update(file.name.encode() + b"\0")
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _check_samples(samples: Sequence[Sample]) -> None:
    """Samples there are, each with an id of its own."""
    if not samples:
        raise InvalidInputError("an evaluation needs at least one sample, received none; check the split's name")
    twice = [name for name, count in Counter(sample.id for sample in samples).items() if count > 1]
    if twice:
        raise InvalidInputError(
            f"ids of samples must differ, but {len(twice)} stand there more than once, {twice[0]!r} among them. "
            "Give each line of the dataset an `id` of its own."
        )
