"""ONNX Runtime: the backend of the base install.

The graph reads its large tensors from the folder's `model.safetensors` (see `rs2sam.export.onnx_export`), so the folder
has to stay together.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from rs2sam.backends.protocol import GPU_BATCH_SIZE, LARGEST_BATCH, ONNX_FILE, BackendOutput, FloatArray, IntArray
from rs2sam.errors import CheckpointError, InvalidInputError, words_of
from rs2sam.fields import some_of
from rs2sam.pictures import as_taken

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions

# ONNX Runtime's numbers for its log: 3 = errors only. Its warnings are about graph rewrites no user can act on.
_LOG_ERRORS = 3

Arrays: TypeAlias = dict[str, tuple[str, int]]
"""Name of an array of a graph -> its type and number of axes."""

_FLOATS, _IDS = "tensor(float)", "tensor(int64)"
MAPS: tuple[str, int] = _FLOATS, 4
"""Pictures and feature maps."""
TEXT: Arrays = {"input_ids": (_IDS, 2), "attention_mask": (_IDS, 2)}
"""The sentences of a batch."""
ANSWERS: Arrays = {
    "low_res_logits": (_FLOATS, 3),
    "pseudo_mask": (_FLOATS, 3),
    "presence_logits": (_FLOATS, 1),
    "iou_scores": (_FLOATS, 1),
    "known_logits": (_FLOATS, 1),
}
"""The fields of `BackendOutput`."""
_INPUTS: Arrays = {"pixel_values": MAPS, "union_pixel_values": MAPS, **TEXT}


class OnnxBackend:
    """A `model.onnx` in an ONNX Runtime session.

    Args:
        session: a session whose inputs are the four arrays of `Backend.run` and whose outputs are named as the fields
            of `BackendOutput`.
    """

    name = "onnx"

    def __init__(self, session: InferenceSession) -> None:
        self._session = session
        outputs = {output.name for output in session.get_outputs()}
        shapes = {one.name: one.shape for one in session.get_inputs()}
        self._batch, self._length = (_fixed(size) for size in shapes["input_ids"])
        # Exports of before and those of a fixed batch have one size for pictures and sentences.
        self._shares_pictures = shapes["pixel_values"][0] != shapes["input_ids"][0]
        is_cpu = session.get_providers() == ["CPUExecutionProvider"]
        self.batch_size = self._batch or (1 if is_cpu else GPU_BATCH_SIZE)
        self.has_presence = "presence_logits" in outputs
        self.has_score = "iou_scores" in outputs

    @classmethod
    def from_folder(cls, folder: str | Path, device: str | None = None, threads: int | None = None) -> OnnxBackend:
        """Load `model.onnx` of a model folder.

        Args:
            folder: a model folder.
            device: `cpu` or `cuda` (with onnxruntime-gpu); None: the CPU.
            threads: CPU threads of one run; None: all cores.

        Raises:
            InvalidInputError: the folder has no `model.onnx`, or the device is not there.
            CheckpointError: the file is damaged, or the weights beside it are missing.
        """
        file = Path(folder) / ONNX_FILE
        if not file.is_file():
            raise InvalidInputError(
                f"The backend `onnx` needs a {ONNX_FILE}, but {folder} has none. Use the backend `torch`, or export it "
                f"with: python -m rs2sam.export.onnx_export {folder}"
            )
        session = open_session(file, device, threads)
        check_signature(session, file, (_INPUTS, set(_INPUTS)), (ANSWERS, {"low_res_logits"}))
        backend = cls(session)
        if backend.batch_size > LARGEST_BATCH:  # filled up to it, a batch would take all memory
            raise CheckpointError(
                f"A graph answers batches of 1 to {LARGEST_BATCH} samples or of any size, but {file} takes "
                f"{backend.batch_size}. Copy the whole model folder again, or export it with --batch."
            )
        return backend

    def run(
        self,
        pixel_values: FloatArray,
        union_pixel_values: FloatArray,
        input_ids: IntArray,
        attention_mask: IntArray,
    ) -> BackendOutput:
        """Answer a batch; see `Backend.run`."""
        images = as_taken((pixel_values, union_pixel_values), len(input_ids), self._shares_pictures)
        arrays = (*images, input_ids, attention_mask)
        if self._batch is None and self._length is None:
            return self._run(arrays)
        from rs2sam.backends.fixed_shapes import run_fixed

        return run_fixed(self._run, arrays, self._batch, self._length)

    def _run(self, arrays: tuple[Any, ...]) -> BackendOutput:
        """Answer a batch of a size that the graph takes."""
        return BackendOutput(**run_session(self._session, ONNX_FILE, dict(zip(_INPUTS, arrays, strict=True))))


def run_session(session: InferenceSession, name: str, arrays: dict[str, Any]) -> dict[str, Any]:
    """All outputs of a graph, by name.

    Args:
        session: of the graph.
        name: of its file, for messages.
        arrays: its inputs.

    Raises:
        CheckpointError: it cannot compute with them.
    """
    outputs = [output.name for output in session.get_outputs()]
    try:
        found = session.run(outputs, arrays)
    except Exception as error:  # ONNX Runtime's errors share no other base
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise CheckpointError(
            f"{name} cannot compute with {shapes} ({words_of(error)}). It may be of another model than the "
            "preprocessor_config.json beside it: copy the whole model folder again."
        ) from error
    return {output: np.asarray(array) for output, array in zip(outputs, found, strict=True)}


def check_signature(
    session: InferenceSession, file: Path, inputs: tuple[Arrays, set[str]], outputs: tuple[Arrays, set[str]]
) -> None:
    """Raise CheckpointError unless a graph takes and gives what a model of rs2sam does.

    Args:
        session: of the graph.
        file: of the graph, for messages.
        inputs: what it may take, and which of these it must.
        outputs: what it may give, and which of these it must.
    """
    for given, (known, needed) in ((session.get_inputs(), inputs), (session.get_outputs(), outputs)):
        wrong = [one for one in given if (one.type, len(one.shape)) != known.get(one.name) or _is_empty(one.shape)]
        missing = sorted(needed - {one.name for one in given})
        if wrong or missing:
            received = some_of(
                f"{one.name} {one.type} of {len(one.shape)} axes{' without elements' if _is_empty(one.shape) else ''}"
                for one in given
            )
            expected = ", ".join(f"{name} {kind} of {axes} axes" for name, (kind, axes) in known.items())
            raise CheckpointError(
                f"{file} is no graph of rs2sam, which has {expected}, but it has {received or 'nothing'}. Copy "
                "the whole model folder again, or export it with `rs2sam export MODEL OUT --to onnx`."
            )


def open_session(file: Path, device: str | None = None, threads: int | None = None) -> InferenceSession:
    """A graph in a session; arguments and errors are those of `OnnxBackend.from_folder`."""
    import onnxruntime  # 0.2 s that `rs2sam --help` need not pay

    options = _session_options(onnxruntime.SessionOptions(), threads)
    providers = _providers(device, onnxruntime.get_available_providers())
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=providers)
        for one in (*session.get_inputs(), *session.get_outputs()):
            # Texts are decoded when they are asked for, and those of a damaged file may be no UTF-8.
            _ = one.name, one.type, one.shape
        return session
    except Exception as error:  # ONNX Runtime's errors share no other base
        raise CheckpointError(
            f"{file} cannot be loaded ({words_of(error)}). Copy the whole model folder again; the graph reads its "
            "weights from the files beside it."
        ) from error


def _fixed(size: int | str | None) -> int | None:
    """A dimension of a graph, None where it is free."""
    return size if isinstance(size, int) else None


def _is_empty(shape: Sequence[int | str | None]) -> bool:
    """Whether an array of a graph can hold nothing, since one of its sizes is fixed below 1."""
    return any(size is not None and size < 1 for size in map(_fixed, shape))


def _session_options(options: SessionOptions, threads: int | None) -> SessionOptions:
    """Settings of a session; changes and returns `options`."""
    options.log_severity_level = _LOG_ERRORS
    # Two thirds of loading was one search: which of 2,000 outputs of free batch and length may share a buffer. The
    # arena reuses freed memory without such a plan, at the same speed and peak (docs/speed.md).
    options.enable_mem_reuse = False
    # A pattern is one block for a whole run, kept for every input shape that was seen: a fifth more memory, no faster.
    options.enable_mem_pattern = False
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


def _providers(device: str | None, available: list[str]) -> list[str | tuple[str, dict[str, str]]]:
    """Execution providers for a device."""
    cpu = "CPUExecutionProvider"
    if device is None or device == "cpu":
        return [cpu]
    kind, _, index = device.partition(":")
    cuda = "CUDAExecutionProvider"
    if kind != "cuda" or cuda not in available:
        raise InvalidInputError(
            f"The backend `onnx` cannot run on `{device}`: this ONNX Runtime offers {', '.join(available)}. "
            "Use `cpu`, install onnxruntime-gpu for `cuda`, or choose the backend `torch`."
        )
    return [(cuda, {"device_id": index or "0"}), cpu]
