"""Writing a checkpoint in this project's format, one tensor at a time.

Out comes what `Segmenter.load` and `RS2SamModel.from_pretrained` read: config.json, model.safetensors (or shards with
an index), preprocessor_config.json, tokenizer.model and README.md. The folder appears whole or not at all.
"""

from __future__ import annotations

import copy
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, get_args

import torch
from tqdm import tqdm

from rs2sam.errors import CheckpointError, DataNotFoundError, InvalidInputError
from rs2sam.fields import a_place
from rs2sam.files import folder_for
from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.weights.classes import AnyConfig, model_class
from rs2sam.models.weights.conversion import (
    ConversionReport,
    ConversionSource,
    common_dtype,
    is_finite,
    open_own,
    open_published,
)
from rs2sam.models.weights.files import TensorSpec
from rs2sam.models.weights.kinds import OWN_MODEL_TYPES, model_type
from rs2sam.models.weights.model_card import CardFacts, model_card
from rs2sam.models.weights.published_tokenizer import load_published_tokenizer, published_processing_config
from rs2sam.models.weights.writing import write_checkpoint
from rs2sam.processing import CONFIG_FILE, ProcessingConfig, Processor

DtypeName = Literal["float32", "float16", "bfloat16"]
DTYPES: tuple[DtypeName, ...] = get_args(DtypeName)

TOKENIZER_URL = "https://github.com/addf400/files/releases/download/beit3/beit3.spm"
"""Where BEiT-3's authors offer the SentencePiece model (link in the README of microsoft/unilm, folder beit3)."""

_SENTENCEPIECE_NAMES = ("beit3.spm", "sentencepiece.bpe.model")
"""The file as BEiT-3's authors offer it, and as a tokenizer of transformers saves it."""


def convert(
    source: str | Path,
    out: str | Path,
    *,
    dtype: DtypeName | None = None,
    tokenizer: str | Path | None = None,
    config: RS2SamConfig | None = None,
    overwrite: bool = False,
    show_progress: bool = True,
) -> ConversionReport:
    """Write a published checkpoint, or a folder of this project, as a folder of this project.

    Args:
        source: as for `load_published`, or a folder in this project's format.
        out: folder to write; it must not exist or be empty.
        dtype: of the weights; default: as in the source.
        tokenizer: BEiT-3's `beit3.spm`, the tokenizer.json that transformers makes of it, or a tokenizer.model of this
            project; default: the one beside the weights.
        config: sizes, if they cannot be told from the tensors' shapes.
        overwrite: replace `out` if it holds a model of this project.
        show_progress: show a bar on stderr, if that is a terminal.

    Returns:
        What was mapped and what was dropped.

    Raises:
        DataNotFoundError: nothing is at `source`, or no tokenizer is there.
        CheckpointError: the checkpoint is damaged, holds code, or is not exactly such a model.
        InvalidInputError: `out` is not free, or `dtype` is no such dtype.
    """
    source, out = a_place("source", source), a_place("out", out)
    if dtype is not None and dtype not in DTYPES:
        raise InvalidInputError(f"`dtype` must be one of {', '.join(DTYPES)}, received {dtype!r}.")
    _require_free(out, overwrite=overwrite)
    is_own = source.is_dir() and model_type(source) in OWN_MODEL_TYPES
    opened = open_own(source) if is_own else open_published(source, config)
    processor = _processor(source, None if tokenizer is None else Path(tokenizer), opened.config, is_own=is_own)
    with _appearing_whole(out, overwrite=overwrite) as folder:
        processor.save(folder)
        _write_model(opened, folder, dtype, show_progress=show_progress)
        if is_own and (source / "README.md").is_file():
            shutil.copyfile(source / "README.md", folder / "README.md")
    return opened.report


def _write_model(source: ConversionSource, folder: Path, dtype: DtypeName | None, *, show_progress: bool) -> None:
    """Weights, configuration and card."""
    held = {own: source.checkpoint.specs[name] for own, name in source.report.mapped.items()}
    target = None if dtype is None else getattr(torch, dtype)
    specs = {name: TensorSpec(spec.shape, target or spec.dtype) for name, spec in held.items()}

    def read(name: str) -> torch.Tensor:
        tensor = source.read(name).to(specs[name].dtype)
        if specs[name].dtype == torch.float16 and not is_finite(tensor):
            raise CheckpointError(
                f"Weights must fit the dtype: `{name}` has values beyond float16's 65504. Convert to bfloat16."
            )
        return tensor

    total = sum(spec.num_bytes for spec in specs.values())
    # None: silent where stderr is no terminal
    disable = None if show_progress else True
    with tqdm(total=total, desc="converting", unit="B", unit_scale=True, disable=disable) as bar:
        write_checkpoint(folder, specs, read, on_bytes=bar.update)
    config = copy.deepcopy(source.config)
    config.dtype = common_dtype(spec.dtype for spec in specs.values())
    config.architectures = [model_class(config).__name__]
    config.save_pretrained(str(folder))
    facts = CardFacts(
        title=f"RS2-SAM 2: {source.checkpoint.path.resolve().stem}",
        source=f"published checkpoint `{source.checkpoint.path.name}`",
        dtype=str(config.dtype).removeprefix("torch."),
        num_parameters=source.report.num_elements,
        size_bytes=total,
        num_dropped=len(source.report.dropped),
    )
    (folder / "README.md").write_text(model_card(facts, config), encoding="utf-8")


def _processor(source: Path, tokenizer: Path | None, config: AnyConfig, *, is_own: bool) -> Processor:
    """What prepares this model's inputs, its tokenizer checked against the model's vocabulary."""
    if is_own and tokenizer is None:
        return Processor.from_folder(source)
    file = tokenizer or _tokenizer_beside(source)
    own_conventions = source / CONFIG_FILE
    if is_own and own_conventions.is_file():
        processing = ProcessingConfig.from_json(own_conventions)
    else:
        if not isinstance(config, RS2SamConfig):
            raise DataNotFoundError(f"`{own_conventions}` not found: a model that encodes pictures once needs it.")
        processing = published_processing_config(config.image_size, config.union_image_size, config.max_text_tokens)
    processor = Processor(processing, load_published_tokenizer(file))
    size = len(processor.tokenizer)
    if size > config.vocab_size:
        raise CheckpointError(
            f"A tokenizer must fit the model's {config.vocab_size} token embeddings: {file} has {size} tokens. It "
            "belongs to another model."
        )
    return processor


def _tokenizer_beside(source: Path) -> Path:
    """The tokenizer in the folder of the weights, or a SentencePiece model in the one above it."""
    folder = source if source.is_dir() else source.parent
    places = [folder / name for name in (*_SENTENCEPIECE_NAMES, "tokenizer.json")]
    places += [folder.parent / name for name in _SENTENCEPIECE_NAMES]
    for file in places:
        if file.is_file():
            return file
    raise DataNotFoundError(
        f"A model needs its tokenizer: {folder} holds none of {', '.join(f.name for f in places[:3])}. Download "
        f"beit3.spm ({TOKENIZER_URL}) and run `rs2sam convert {source} OUT --tokenizer beit3.spm`."
    )


def _require_free(out: Path, *, overwrite: bool) -> None:
    """Raise unless `out` may be written."""
    if out.is_dir() and not any(out.iterdir()):
        return
    if not out.exists():
        return
    if not overwrite:
        raise InvalidInputError(
            f"The output folder must not exist or be empty: {out} is not. Choose another, or pass `--overwrite`."
        )
    if not out.is_dir() or model_type(out) not in OWN_MODEL_TYPES or any(entry.is_dir() for entry in out.iterdir()):
        raise InvalidInputError(
            f"Only a folder with a model of rs2sam and nothing else is overwritten: {out} is not one. Choose another, "
            "or remove it yourself."
        )


@contextmanager
def _appearing_whole(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder beside `out` to write into, which takes its place when all went well and is removed otherwise."""
    out = out.resolve()
    folder = out.parent / f".{out.name}.{uuid.uuid4().hex[:8]}.partial"
    with folder_for(out):
        try:
            folder.mkdir()
            yield folder
            _require_free(out, overwrite=overwrite)
            if out.exists():
                replaced = folder.with_suffix(".replaced")
                os.replace(out, replaced)
                os.replace(folder, out)
                shutil.rmtree(replaced)
            else:
                os.replace(folder, out)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
