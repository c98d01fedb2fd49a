"""ONNX graphs of this project's models: traced, without the exporter's notes, and with weights read from safetensors.

The exported graph has one initializer per weight, often transposed. Each one that equals a stored tensor is replaced by
a reference to that tensor's bytes in the safetensors file, followed by a Transpose and a Cast to float32 where they are
needed; ONNX Runtime computes these once, when the session is made, like the products of weights that
`rs2sam.export.onnx_forms` asks for. So one file of weights serves both backends, and half-precision weights stay half
the size. Small initializers and those that are cut from a tensor stay in the graph.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rs2sam.errors import DataNotFoundError, MissingDependencyError
from rs2sam.export.exported import Shapes
from rs2sam.fields import parse_json

OPSET = 20
"""20: the first with GELU as one operator."""

TOLERANCE = 1e-4
"""Largest relative L2 difference of ONNX Runtime's logits to torch's."""

FREE = Shapes()
"""Batch size and sentence length are decided by each call."""

# A reference costs about 250 bytes of graph, so smaller initializers stay where they are.
_LEAST_SHARED_BYTES = 1024
_STORED_DTYPES: dict[str, type[np.floating[Any]]] = {"F32": np.float32, "F16": np.float16}


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies in a safetensors file.

    Args:
        name: its name.
        file: the file.
        dtype: safetensors' name of its type, e.g. `F16`.
        shape: its sizes.
        offset: first byte in the file.
        num_bytes: its size.
    """

    name: str
    file: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int
    num_bytes: int


def traced(
    module: torch.nn.Module,
    inputs: tuple[torch.Tensor, ...],
    input_names: Sequence[str],
    output_names: Sequence[str],
    dynamic: tuple[dict[int, Any], ...],
) -> Any:
    """A module's graph as an ONNX `ModelProto` that holds all its weights.

    Args:
        module: tensors to a tuple of tensors, in float32.
        inputs: to trace with.
        input_names: of the graph.
        output_names: of the graph.
        dynamic: free dimensions of each input.

    Raises:
        MissingDependencyError: the exporter is not installed.
    """
    try:
        import onnx  # noqa: F401 - the exporter would fail without it after a minute
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(error.name or "onnx", "export", "Writing an ONNX graph") from error
    with torch.inference_mode(), quiet_exporter():
        program = torch.onnx.export(
            module.eval(),
            inputs,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(input_names),
            output_names=list(output_names),
            dynamic_shapes=dynamic,
            verbose=False,
        )
    assert program is not None
    return without_notes(program.model_proto)


def without_notes(graph: Any) -> Any:
    """Remove the exporter's notes from a graph: stack traces with paths of this machine, larger than all else."""
    del graph.metadata_props[:], graph.graph.metadata_props[:], graph.graph.value_info[:]
    for part in (*graph.graph.node, *graph.graph.initializer, *graph.graph.input, *graph.graph.output):
        part.doc_string = ""
        del part.metadata_props[:]
    return graph


def stored_tensors(folder: Path) -> list[StoredTensor]:
    """The tensors of all safetensors files in a folder, with their places.

    Raises:
        DataNotFoundError: there is no such file.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise DataNotFoundError(f"{folder} holds no .safetensors file. Write it with `rs2sam convert`.")
    found = []
    for file in files:
        with file.open("rb") as stream:
            header_bytes = int.from_bytes(stream.read(8), "little")
            header = parse_json(stream.read(header_bytes))
        for name, entry in header.items():
            if name != "__metadata__":
                start, end = entry["data_offsets"]
                place = 8 + header_bytes + start
                found.append(StoredTensor(name, file, entry["dtype"], tuple(entry["shape"]), place, end - start))
    return found


def share_weights(graph: Any, stored: list[StoredTensor]) -> int:
    """Let a graph read its weights from safetensors files; changes `graph`.

    Args:
        graph: a `ModelProto` whose initializers hold their values.
        stored: the tensors that it may read instead.

    Returns:
        How many initializers were replaced.
    """
    from onnx import TensorProto, helper, numpy_helper

    as_stored, transposed = _by_value(stored)
    kept, shared, nodes = [], {}, []
    for initializer in graph.graph.initializer:
        value = numpy_helper.to_array(initializer)
        key = (value.shape, value.tobytes())
        source = as_stored.get(key) or transposed.get(key)
        if value.dtype != np.float32 or value.nbytes < _LEAST_SHARED_BYTES or source is None:
            kept.append(initializer)
            continue
        shared[source.name] = _reference(source)
        steps = [("Transpose", {"perm": [1, 0]})] if key not in as_stored else []
        # Always a node, even if it changes nothing: one stored tensor may serve several initializers.
        steps.append(("Cast", {"to": TensorProto.FLOAT}))
        current = source.name
        for operator, attributes in steps:
            is_last = operator == "Cast"
            result = initializer.name if is_last else f"{initializer.name}.transposed"
            nodes.append(helper.make_node(operator, [current], [result], **attributes))
            current = result
    original = list(graph.graph.node)
    del graph.graph.initializer[:], graph.graph.node[:]
    graph.graph.initializer.extend([*kept, *shared.values()])
    graph.graph.node.extend([*nodes, *original])
    return len(nodes) - sum(node.op_type == "Transpose" for node in nodes)


def _by_value(stored: list[StoredTensor]) -> tuple[dict[Any, StoredTensor], dict[Any, StoredTensor]]:
    """Stored tensors by the shape and bytes of their float32 values, as they are and transposed."""
    as_stored: dict[Any, StoredTensor] = {}
    transposed: dict[Any, StoredTensor] = {}
    for tensor in stored:
        if tensor.dtype not in _STORED_DTYPES:
            continue
        dtype, count = _STORED_DTYPES[tensor.dtype], math.prod(tensor.shape)
        value = np.fromfile(tensor.file, dtype, count, offset=tensor.offset).reshape(tensor.shape).astype(np.float32)
        as_stored.setdefault((value.shape, value.tobytes()), tensor)
        if value.ndim == 2:
            transposed.setdefault((value.T.shape, value.T.tobytes()), tensor)
    return as_stored, transposed


def _reference(tensor: StoredTensor) -> Any:
    """An initializer whose bytes are a tensor's in its safetensors file."""
    from onnx import TensorProto

    initializer = TensorProto(
        name=tensor.name,
        data_type=TensorProto.FLOAT16 if tensor.dtype == "F16" else TensorProto.FLOAT,
        dims=tensor.shape,
        data_location=TensorProto.EXTERNAL,
    )
    place = {"location": tensor.file.name, "offset": str(tensor.offset), "length": str(tensor.num_bytes)}
    for key, value in place.items():
        initializer.external_data.add(key=key, value=value)
    return initializer


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Without the exporter's warnings about its own insides and about libraries this project does not use."""
    exporter_log = logging.getLogger("torch.onnx")
    level = exporter_log.level
    exporter_log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter_log.setLevel(level)
