"""What turns images and sentences into the inputs of a folder's model."""

from __future__ import annotations

from pathlib import Path

from rs2sam.errors import require
from rs2sam.models.weights.kinds import concept_kind
from rs2sam.processing import Processor


def load_processor(folder: str | Path) -> Processor:
    """Load the processor of a model folder.

    Args:
        folder: of this project, or of a concept model.

    Raises:
        DataNotFoundError: a file is missing; the message names it.
        InvalidInputError: one cannot be read.
        MissingDependencyError: it is of a concept model, and torch is not installed.
    """
    folder = Path(folder)
    kind = concept_kind(folder)
    if kind is None:
        return Processor.from_folder(folder)
    for library in ("torch", "transformers"):
        require(library, "torch", f"The model {folder}")
    from rs2sam.models.concepts.processor import ConceptProcessor

    return ConceptProcessor.from_concept_folder(folder, kind)
