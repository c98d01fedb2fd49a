"""Reading, the model and writing side by side: one thread before and one behind the caller, in order.

Queues between them are short, so what waits is bounded; nothing is computed in an order other than without threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

import rasterio

from rs2sam.raster.opening import GDAL_OPTIONS

Item = TypeVar("Item")

# How long a thread waits for its neighbour before it looks whether the run has been given up.
_PATIENCE_S = 0.2


class _End:
    """Nothing more comes; or what went wrong."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _Channel(Generic[Item]):
    """A short queue that both ends can give up."""

    def __init__(self, depth: int) -> None:
        self._queue: Queue[Item | _End] = Queue(depth)
        self.is_closed = threading.Event()

    def put(self, item: Item | _End) -> bool:
        """Wait for room; False where the other end has given up."""
        while not self.is_closed.is_set():
            try:
                self._queue.put(item, timeout=_PATIENCE_S)
            except Full:
                continue
            return True
        return False

    def __iter__(self) -> Iterator[Item]:
        while True:
            try:
                item = self._queue.get(timeout=_PATIENCE_S)
            except Empty:
                if self.is_closed.is_set():
                    return
                continue
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item


@contextmanager
def read_ahead(items: Iterable[Item], depth: int) -> Iterator[Iterator[Item]]:
    """Iterate in a thread of its own, at most `depth` items ahead; errors come out where the item would have.

    The thread has ended when the context does.
    """
    channel: _Channel[Item] = _Channel(depth)

    def work() -> None:
        end = _End()
        try:
            with rasterio.Env(**GDAL_OPTIONS):
                for item in items:
                    if not channel.put(item):
                        return
        except BaseException as error:  # it is raised again in the thread that waits for the item
            end = _End(error)
        channel.put(end)

    thread = threading.Thread(target=work, name="rs2sam-reader", daemon=True)
    thread.start()
    try:
        yield iter(channel)
    finally:
        channel.is_closed.set()
        thread.join()


def write_behind(items: Iterable[Item], write: Callable[[Item], None], depth: int) -> None:
    """Take items here and write them in a thread of its own, at most `depth` behind; errors of either end are raised.

    Args:
        items: iterated in the calling thread.
        write: called for each, in order.
        depth: items that may wait.
    """
    channel: _Channel[Item] = _Channel(depth)
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for item in channel:
                write(item)
        except BaseException as error:  # it is raised again in the calling thread
            failed.append(error)
            channel.is_closed.set()

    thread = threading.Thread(target=work, name="rs2sam-writer", daemon=True)
    thread.start()
    try:
        for item in items:
            if not channel.put(item):
                break
        channel.put(_End())
    except BaseException:
        channel.is_closed.set()
        raise
    finally:
        thread.join()
    if failed:
        raise failed[0]
