"""One process or several: who does what, and how results come together.

Samples are cut into batches first and batches dealt out second, so the model sees the same batches however many
processes there are, and the figures, sums of integers, are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from rs2sam.errors import require

T = TypeVar("T")

# A process that is done waits for the slowest; torchrun ends the others when one fails, so nothing waits in vain.
_PATIENCE = timedelta(days=7)


class Processes(Protocol):
    """The processes that share an evaluation, seen from one of them."""

    @property
    def index(self) -> int:
        """Number of this one, from 0."""

    @property
    def count(self) -> int:
        """How many there are."""

    @property
    def device(self) -> str | None:
        """Where this one computes; None: what the backend prefers."""

    def broadcast(self, value: T) -> T:
        """Return what the first one has."""

    def gather(self, items: list[T]) -> list[T]:
        """Return the items of all, in their order."""

    def close(self) -> None:
        """Leave the group."""


class SingleProcess:
    """Alone."""

    index = 0
    count = 1
    device: str | None = None

    def broadcast(self, value: T) -> T:
        """Return the value."""
        return value

    def gather(self, items: list[T]) -> list[T]:
        """Return the items."""
        return items

    def close(self) -> None:
        """Do nothing."""


class LaunchedProcesses:
    """Started by `accelerate launch` or `torchrun`, one for each device.

    Args:
        on_cpu: no GPU, even if there is one.

    Raises:
        MissingDependencyError: accelerate is not installed.
    """

    def __init__(self, *, on_cpu: bool = False) -> None:
        require("accelerate", "train", "an evaluation by several processes")
        from accelerate import PartialState

        self._state: Any = PartialState(cpu=on_cpu, timeout=_PATIENCE)
        self.index: int = self._state.process_index
        self.count: int = self._state.num_processes
        self.device: str | None = str(self._state.device)

    def broadcast(self, value: T) -> T:
        """Return what the first one has."""
        from accelerate.utils import broadcast_object_list

        (received,) = broadcast_object_list([value], from_process=0)
        return received  # type: ignore[no-any-return]

    def gather(self, items: list[T]) -> list[T]:
        """Return the items of all, in the order of the processes."""
        from accelerate.utils import gather_object

        return list(gather_object(items))

    def close(self) -> None:
        """Leave the group."""
        self._state.destroy_process_group()


def share_of(items: Sequence[T], processes: Processes) -> list[T]:
    """What one process takes of a list that all of them have: every n-th."""
    return list(items[processes.index :: processes.count])
