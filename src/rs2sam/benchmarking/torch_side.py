"""The torch backends as things to benchmark: the plain baseline and this project's ways of running.

The baseline is the published steps as they are written down: attention as two products and a softmax in between,
nothing compiled, float32 weights, float32 or autocast.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rs2sam.backends import Backend, BackendOutput, Precision
from rs2sam.backends.torch import DTYPES, TorchBackend, load_model
from rs2sam.backends.torch_once import TorchOnceBackend
from rs2sam.benchmarking import timing
from rs2sam.benchmarking.subject import Arrays, EncodeAndAnswer
from rs2sam.benchmarking.timing import MIB, Reading
from rs2sam.errors import InvalidInputError
from rs2sam.models.rs2sam import RS2SamModel
from rs2sam.models.staged import StagedModel
from rs2sam.models.weights.classes import read_config
from rs2sam.models.weights.kinds import ENCODE_ONCE_MODEL_TYPE, model_type

Kind = Literal["plain", "autocast", "fused", "compiled"]
_ATTENTION_NAME = "_scaled_dot_product"


class OnDevice:
    """What every way to run a model with torch does about its device: waiting and memory."""

    device: torch.device

    def wait(self) -> None:
        """Until the device has done everything."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def forget_peak(self) -> None:
        """Start a new peak of the device, or of the process on a CPU."""
        timing.forget_peak()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak_memory_mib(self) -> float:
        """Of the device, or of the process on a CPU."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / MIB
        return timing.peak_memory_mib()

    def release(self) -> None:
        """Give back the memory of what nobody holds any more."""
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


@dataclass
class TorchCandidate(OnDevice):
    """A way to run a model in torch.

    Args:
        folder: a model folder.
        device: `cpu`, `cuda`, ...
        kind: `plain` (unfused attention), `autocast` (the same, under autocast), `fused`, `compiled`.
        precision: of `fused` and `compiled`; that of autocast.
    """

    folder: Path
    device: torch.device
    kind: Kind
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        self._model: RS2SamModel | None = None
        self._staged: StagedModel | None = None

    @property
    def name(self) -> str:
        """E.g. `torch fused bf16`."""
        return f"torch {self.kind} {self.precision}"

    @property
    def what(self) -> str:
        """One line."""
        words = {
            "plain": "baseline: the published steps, unfused attention",
            "autocast": "baseline: the published steps, unfused attention, float32 weights under autocast",
            "fused": "fused attention",
            "compiled": "fused attention, torch.compile for static shapes"
            + (", CUDA graphs" if self.device.type == "cuda" else ""),
        }[self.kind]
        return f"{words}; {self.precision} on {self.device}"

    @property
    def rate(self) -> str:
        """The rate of its own precision."""
        return self.precision

    @property
    def warm_up(self) -> int:
        """More where the first calls compile and record."""
        return 4 if self.kind == "compiled" else 1

    def load(self) -> Backend:
        """Load the model onto the device."""
        torch.backends.cudnn.allow_tf32 = False  # or float32, the reference too, would have 10 bits in convolutions
        if self.kind in ("plain", "autocast"):
            model = load_model(self.folder, device=self.device)
            model.set_attn_implementation("eager")
            backend: Backend = _Plain(TorchBackend(model, self.device), self._autocast)
            self._model, self._staged = model, StagedModel(model)
        else:
            ours = TorchBackend.from_folder(
                self.folder, str(self.device), dtype=DTYPES[self.precision], compiled=self.kind == "compiled"
            )
            backend, self._staged = ours, ours.staged or StagedModel(ours.model)
        self.wait()
        return backend

    def stages(self, arrays: Arrays) -> dict[str, Callable[[], object]]:
        """Union, trunk and decoder; compiled, they are one."""
        if self._staged is None or self.kind == "compiled":
            return {}
        staged = self._staged
        pixels, union_pixels, ids, attend = (torch.from_numpy(array).to(self.device) for array in arrays)
        with self._quietly():
            prompts = staged.union(union_pixels, ids, attend)
            levels = staged.image(pixels, prompts)
        calls: dict[str, Callable[[], object]] = {
            "union": lambda: staged.union(union_pixels, ids, attend),
            "trunk": lambda: staged.image(pixels, prompts),
            "decoder": lambda: staged.decode(levels, prompts),
        }
        return {name: self._waited(call) for name, call in calls.items()}

    def attention_kernels(self, arrays: Arrays) -> dict[str, int]:
        """Fused attention functions that torch chose in one run, and how often; of compiled models none are seen."""
        if self._staged is None or self.kind == "compiled":
            return {}
        tensors = [torch.from_numpy(array).to(self.device) for array in arrays]
        # Not inference mode: there the choice between the kernels happens below what can be watched.
        with torch.no_grad(), self._autocast(), _AttentionCount() as count:
            self._staged(*tensors)
        return dict(count.calls)

    def unload(self) -> None:
        """Free the model and what compiling it left."""
        self._model = self._staged = None
        torch.compiler.reset()
        self.release()

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.kind != "autocast":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=DTYPES[self.precision])

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        with torch.inference_mode(), self._autocast():
            yield

    def _waited(self, call: Callable[[], object]) -> Callable[[], object]:
        def run() -> None:
            with self._quietly():
                call()
            self.wait()

        return run


@dataclass
class TorchOnceCandidate(TorchCandidate):
    """A way to run a model in torch that encodes pictures once: `plain` or `fused`.

    Args:
        folder: as for `TorchCandidate`.
        device: as for `TorchCandidate`.
        kind: as for `TorchCandidate`.
        precision: as for `TorchCandidate`.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._whole: EncodeAndAnswer | None = None

    def load(self) -> Backend:
        """Load the model onto the device."""
        torch.backends.cudnn.allow_tf32 = False
        backend = TorchOnceBackend.from_folder(self.folder, str(self.device), dtype=DTYPES[self.precision])
        if self.kind == "plain":
            backend.model.set_attn_implementation("eager")
        self._whole = EncodeAndAnswer(backend)
        self.wait()
        return self._whole

    def stages(self, arrays: Arrays) -> dict[str, Callable[[], object]]:
        """The picture, and each further sentence about it."""
        calls = {} if self._whole is None else self._whole.stages(arrays)
        return {name: self._waited(call) for name, call in calls.items()}

    def attention_kernels(self, arrays: Arrays) -> dict[str, int]:
        """None are seen: the backend runs in inference mode, below which the choice between them happens."""
        return {}

    def unload(self) -> None:
        """Free the model."""
        self._whole = None
        super().unload()


class _AttentionCount(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts calls of attention functions below `scaled_dot_product_attention`."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count and go on."""
        name = str(func.name()).removeprefix("aten::")
        if _ATTENTION_NAME in name:
            self.calls[name] += 1
        return func(*args, **(kwargs or {}))


class _Plain:
    """A torch backend under a context, for the baseline."""

    name = "torch"

    def __init__(self, backend: TorchBackend, context: Callable[[], AbstractContextManager[Any]]) -> None:
        self._backend, self._context = backend, context
        self.has_presence, self.has_score = backend.has_presence, backend.has_score
        self.batch_size = backend.batch_size

    def run(self, *arrays: Any) -> BackendOutput:
        """Answer a batch; see `Backend.run`."""
        with self._context():
            return self._backend.run(*arrays)


def candidates(folder: Path, device: str | None, precision: Precision, compiled: bool) -> Sequence[TorchCandidate]:
    """The baseline in float32 and autocast, this project's float32, and what was asked for.

    Raises:
        InvalidInputError: a model that encodes pictures once is to be compiled.
    """
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if model_type(folder) == ENCODE_ONCE_MODEL_TYPE:
        if compiled:
            raise InvalidInputError(f"The model in {folder} encodes pictures once, which --compile does not know.")
        ways: list[tuple[Kind, Precision]] = [("plain", "float32"), ("fused", "float32"), ("fused", precision)]
        return [TorchOnceCandidate(folder, place, *way) for way in dict.fromkeys(ways)]
    half: Precision = "bf16" if precision == "float32" else precision
    found = [
        TorchCandidate(folder, place, "plain"),
        TorchCandidate(folder, place, "autocast", half),
        TorchCandidate(folder, place, "fused"),
    ]
    if precision != "float32":
        found.append(TorchCandidate(folder, place, "fused", precision))
    if compiled:
        found.append(TorchCandidate(folder, place, "compiled", precision))
    return found


def matrix_rates(
    device: str | None, precisions: set[Precision], measure: Callable[[Callable[[], object]], Reading]
) -> dict[str, tuple[Reading, float]]:
    """Time and operations of a large square matrix product in each precision on the device."""
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    found: dict[str, tuple[Reading, float]] = {}
    for precision in sorted(precisions):
        side = 8192 if place.type == "cuda" else _affordable_side(DTYPES[precision])
        left, right = (torch.randn(side, side, device=place).to(DTYPES[precision]) for _ in range(2))

        def product(left: torch.Tensor = left, right: torch.Tensor = right) -> None:
            left @ right
            if place.type == "cuda":
                torch.cuda.synchronize(place)

        found[precision] = (measure(product), 2.0 * side**3)
    return found


def _affordable_side(dtype: torch.dtype, most: int = 2048, seconds: float = 1.0) -> int:
    """Side of a product that a CPU does in about a second at most: many have no fast one in half precision."""
    side = 128
    while side < most:
        square = torch.zeros(side, side, dtype=dtype)
        # The second one: the first of a kind may prepare something.
        if timing.measure(lambda square=square: square @ square, 0.0).least_s * 8 > seconds:  # type: ignore[misc]
            break
        side *= 2
    return side


def full_sizes(folder: Path) -> dict[str, Any]:
    """All sizes of a folder's model, those included that its config.json leaves out as defaults."""
    values: dict[str, Any] = read_config(folder).to_dict()
    return values
