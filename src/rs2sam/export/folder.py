"""`rs2sam export`: a folder that holds all a program needs, checked against the float32 model when it is loaded.

model.onnx + model.safetensors | model.pt2     the computation; of a model that encodes pictures once
image.onnx + sentence.onnx + model.safetensors
tokenizer.model, preprocessor_config.json      from sentence and picture to its inputs
export.json                                    inputs, outputs, shapes, versions, how exact it is
check.npz                                      a picture, a sentence and the answer of the float32 model
config.json, README.md                         the sizes and the model card
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch

from rs2sam.backends import AnyBackend, BackendOutput, EncodingBackend, Precision, load_backend
from rs2sam.backends.torch import DTYPES, TorchBackend, load_model, no_progress_bars
from rs2sam.backends.torch_once import TorchOnceBackend
from rs2sam.errors import CheckpointError, DataNotFoundError, InvalidInputError, words_of
from rs2sam.export.exported import INPUT_NAMES, Shapes, difference, output_names
from rs2sam.export.graphs import FREE, stored_tensors
from rs2sam.export.onnx_export import export_onnx
from rs2sam.export.onnx_once import check_free, once_outputs
from rs2sam.export.programs import PROGRAM_FILE, ProgramBackend, ProgramFormat, write_program
from rs2sam.fields import a_place, checked, parse_json
from rs2sam.files import folder_for
from rs2sam.models.staged import FLOAT32_PARTS
from rs2sam.models.weights.hub import resolve_model
from rs2sam.models.weights.kinds import ENCODE_ONCE_MODEL_TYPE, model_type, refuse_concepts
from rs2sam.models.weights.loading import INDEX_FILE, load_encode_once, load_weights, weight_files
from rs2sam.processing import Processor
from rs2sam.versions import versions

logger = logging.getLogger(__name__)

Format = Literal["onnx", "torch-export", "aot"]

EXPORT_FILE, CHECK_FILE, CONFIG_FILE = "export.json", "check.npz", "config.json"
CHECK_SENTENCE = "the largest building"
TOLERANCES: dict[Precision, float] = {"float32": 1e-4, "fp16": 1e-2, "bf16": 5e-2}
"""Largest relative L2 difference of any output to the float32 model's, by precision."""

# What is read of `export.json`.
_TYPES: Mapping[str, Any] = {
    "format": str,
    "outputs": tuple[str, ...],
    "shapes": Mapping,
    "device": str,
    "tolerance": float,
}


@dataclass(frozen=True)
class ExportOptions:
    """What to write.

    Args:
        to: the format.
        shapes: batch size and sentence length.
        precision: `onnx` computes in float32.
        device: where `aot` and `torch-export` will run.
        overwrite: replace an earlier export.
        standard_operators: of `onnx`: only operators of the ONNX standard, none of ONNX Runtime's own.
    """

    to: Format
    shapes: Shapes = FREE
    precision: Precision = "float32"
    device: str = "cpu"
    overwrite: bool = False
    standard_operators: bool = False

    def __post_init__(self) -> None:
        if self.standard_operators and self.to != "onnx":
            raise InvalidInputError(f"`standard_operators` is about exports to onnx, received {self.to}. Leave it out.")
        if self.to == "onnx" and (self.precision, self.device) != ("float32", "cpu"):
            raise InvalidInputError(
                f"An export to onnx computes in float32 and is made on the CPU, received {self.precision} on "
                f"{self.device}. Leave them out, or export to torch-export or aot."
            )


def export_model(
    model: str | Path, out: str | Path, options: ExportOptions, say: Callable[[str], object] = logger.info
) -> dict[str, Any]:
    """Write a model as a folder for other programs; it appears only once it is whole and checked.

    Args:
        model: a known model, a folder, or a hub id.
        out: the folder to write.
        options: what.
        say: is told what is done now, a line each.

    Returns:
        The content of `export.json`.

    Raises:
        InvalidInputError: `out` exists, or the options do not fit the model.
        CheckpointError: what was written computes something else than the model.
        MissingDependencyError: the ONNX exporter is not installed.
    """
    out = a_place("out", out)
    if out.exists() and not (options.overwrite and ((out / EXPORT_FILE).is_file() or not any(out.iterdir()))):
        raise InvalidInputError(
            f"{out} exists. Choose another folder"
            + (
                "; --overwrite replaces exports only, and this is none."
                if options.overwrite
                else ", or add --overwrite."
            )
        )
    source = resolve_model(model).folder
    refuse_concepts(source, "exported")
    with folder_for(out), tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as name:
        draft = Path(name) / "export"
        draft.mkdir()
        report = _write(source, draft, options, say)
        say("checking what was written against torch")
        load_export(draft)
        if out.exists():
            shutil.rmtree(out)
        draft.rename(out)
    return report


def load_export(folder: str | Path, check: bool = True) -> AnyBackend:
    """Load an exported folder, by default checked against the stored answer of the float32 model.

    Args:
        folder: what `export_model` wrote.
        check: compute the stored example and compare.

    Raises:
        DataNotFoundError: the folder is no export.
        CheckpointError: it is damaged, or computes something else on this machine than the model did.
    """
    folder = Path(folder)
    report = _read_report(folder)
    backend = _open(folder, report)
    if check:
        picture, expected = _read_check(folder, report)
        error_found = difference(_answer(backend, Processor.from_folder(folder), picture), expected)
        # Written this way, not-a-number is no agreement.
        if not error_found <= report["tolerance"]:
            raise CheckpointError(
                f"An export must compute what the float32 model does within {report['tolerance']:g} (relative L2), "
                f"but {folder} differs by {error_found:.2g} on this machine. Export it again here."
            )
        logger.info("%s: relative difference to the float32 model %.2g", folder, error_found)
    return backend


def _read_report(folder: Path) -> dict[str, Any]:
    """What `export.json` says; errors are those of `load_export`."""
    path = folder / EXPORT_FILE
    try:
        report: dict[str, Any] = dict(checked("export", parse_json(path.read_text(encoding="utf-8")), Mapping))
        for name, hint in _TYPES.items():
            checked(name, report[name], hint)
        Shapes(**report["shapes"])
        return report
    except FileNotFoundError as error:
        raise DataNotFoundError(
            f"{folder} is no export: it has no {EXPORT_FILE}. Write it with `rs2sam export`."
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = f"it has no {words_of(error)}" if isinstance(error, KeyError) else words_of(error)
        raise CheckpointError(
            f"{path} is damaged ({said}). Copy the whole folder again, or export it again."
        ) from error


def _read_check(folder: Path, report: Mapping[str, Any]) -> tuple[Any, BackendOutput]:
    """The picture of the check, (H, W, 3) uint8, and what the float32 model answered."""
    path = folder / CHECK_FILE
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return stored["picture"], BackendOutput(**{name: stored[name] for name in report["outputs"]})
    except Exception as error:  # damaged bytes raise whatever they happen to say
        raise CheckpointError(
            f"{path}, the answer to compare with, is missing or damaged ({words_of(error)}). Copy the whole folder "
            "again, or export it again."
        ) from error


def _write(source: Path, draft: Path, options: ExportOptions, say: Callable[[str], object]) -> dict[str, Any]:
    """All files of an export; returns the content of `export.json`."""
    say(f"reading the model in {source}")
    processor = Processor.from_folder(source)
    processor.save(draft)
    for name in (CONFIG_FILE, "README.md"):
        if (source / name).is_file():
            shutil.copyfile(source / name, draft / name)
    writes = _write_once if model_type(source) == ENCODE_ONCE_MODEL_TYPE else _write_whole
    say(f"writing it for {options.to}; this takes a minute or more")
    reference, report = writes(source, draft, options)
    picture = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    say("computing an answer to compare with")
    answer = _answer(reference, processor, picture)
    stored: dict[str, Any] = {name: getattr(answer, name) for name in report["outputs"]}
    np.savez(draft / CHECK_FILE, picture=picture, sentence=np.array(CHECK_SENTENCE), **stored)
    report = {
        "format": options.to,
        **report,
        "shapes": asdict(options.shapes),
        "precision": options.precision,
        "device": options.device,
        "tolerance": TOLERANCES[options.precision],
        "versions": versions(),
    }
    (draft / EXPORT_FILE).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return report


def _write_whole(source: Path, draft: Path, options: ExportOptions) -> tuple[AnyBackend, dict[str, Any]]:
    """The computation of a model whose trunk reads the sentence; its reference and what `export.json` says of it."""
    reference = TorchBackend(load_model(source), "cpu")
    config = reference.model.config
    options.shapes.check(config)
    if options.to == "onnx":
        _copy_weights(source, draft)
        export_onnx(draft, options.shapes, options.standard_operators)
    else:
        is_half = options.precision != "float32"
        dtype = DTYPES[options.precision]
        model = load_weights(source, dtype, options.device, FLOAT32_PARTS if is_half else ())
        write_program(model, options.to, options.shapes, draft / PROGRAM_FILE)
    sides = {"image_size": config.image_size, "union_image_size": config.union_image_size}
    return reference, {"inputs": list(INPUT_NAMES), "outputs": output_names(config), **sides}


def _write_once(source: Path, draft: Path, options: ExportOptions) -> tuple[AnyBackend, dict[str, Any]]:
    """The graphs of a model that encodes pictures once, and its weights, folded; returns as `_write_whole`."""
    if options.to != "onnx":
        raise InvalidInputError(f"A model that encodes pictures once is exported to onnx, received {options.to}.")
    check_free(options.shapes)
    model = load_encode_once(source, torch.float32)
    if model.config.folded:
        _copy_weights(source, draft)
    else:
        model.fold()
        is_half = any(tensor.dtype == "F16" for tensor in stored_tensors(source))
        with no_progress_bars():
            model.to(torch.float16 if is_half else torch.float32).save_pretrained(draft)
    export_onnx(draft, options.shapes, options.standard_operators)
    # Of the folded weights as they are stored: folding rounds half-precision ones once more.
    reference = TorchOnceBackend(load_encode_once(draft, torch.float32), "cpu")
    inputs = ["pixel_values", "input_ids", "attention_mask"]
    return reference, {
        "inputs": inputs,
        "outputs": once_outputs(model.config),
        "image_size": model.config.image_size,
    }


def _copy_weights(source: Path, draft: Path) -> None:
    """The safetensors files of a folder, with their index where there is one."""
    for file in [*weight_files(source), source / INDEX_FILE]:
        if file.is_file():
            shutil.copyfile(file, draft / file.name)


def _open(folder: Path, report: dict[str, Any]) -> AnyBackend:
    """The backend of an export."""
    if report["format"] == "onnx":
        return load_backend(folder, "onnx")
    kind, shapes = cast("ProgramFormat", report["format"]), Shapes(**report["shapes"])
    return ProgramBackend.from_file(folder / PROGRAM_FILE, kind, report["outputs"], shapes, report["device"])


def _answer(backend: AnyBackend, processor: Processor, picture: Any) -> BackendOutput:
    """What a backend says about a picture and `CHECK_SENTENCE`."""
    text = processor.sentences([CHECK_SENTENCE])
    if isinstance(backend, EncodingBackend):
        return backend.answer(backend.encode(processor.picture(picture)[None]), text.input_ids, text.attention_mask)
    images = processor.images(picture)
    return backend.run(images.pixel_values[None], images.union_pixel_values[None], text.input_ids, text.attention_mask)
