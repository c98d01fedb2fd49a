"""Model folders that are whole or not there, whenever a run is killed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from rs2sam.backends.torch import no_progress_bars
from rs2sam.models.weights.classes import AnyModel
from rs2sam.processing import Processor
from rs2sam.training.keeping.checkpoints import sync_tree

CARD_FILE = "README.md"
CLASS_MAPS_FILE = "class_maps.safetensors"


def save_company(company: Mapping[str, Tensor], output_dir: Path) -> None:
    """Write heads of training alone beside the model of a run, for a run that goes on from it; none: no file."""
    if company:
        temporary = output_dir / f".{CLASS_MAPS_FILE}.tmp"
        save_file(dict(company), temporary)
        os.replace(temporary, output_dir / CLASS_MAPS_FILE)


def save_model(model: AnyModel, processor: Processor, card: str, folder: Path) -> None:
    """Write a model folder that `Segmenter.load` takes; one that is there is replaced.

    Args:
        model: its weights and configuration.
        processor: its tokenizer and sizes.
        card: text of its README.md.
        folder: where.
    """
    with replaced_folder(folder) as temporary:
        with no_progress_bars():
            model.save_pretrained(temporary)
        processor.save(temporary)
        (temporary / CARD_FILE).write_text(card, encoding="utf-8")


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder` to write into; at the end it takes the other's place.

    A folder cannot be renamed onto one that holds files: the old one steps aside first. A kill between the two renames
    leaves it under its other name, and `restore_folder` puts it back.
    """
    temporary, aside = _beside(folder)
    restore_folder(folder)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        sync_tree(temporary)
        if folder.exists():
            os.replace(folder, aside)
        os.replace(temporary, folder)
        shutil.rmtree(aside, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def restore_folder(folder: Path) -> None:
    """Clean up after a kill during `replaced_folder`: what is there afterwards is whole."""
    temporary, aside = _beside(folder)
    shutil.rmtree(temporary, ignore_errors=True)
    if aside.exists() and not folder.exists():
        os.replace(aside, folder)
    shutil.rmtree(aside, ignore_errors=True)


def _beside(folder: Path) -> tuple[Path, Path]:
    """Names for the folder that is being written and for the one that steps aside."""
    return folder.with_name(f".{folder.name}.tmp"), folder.with_name(f".{folder.name}.old")
