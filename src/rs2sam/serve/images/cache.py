"""Prepared images in memory, up to a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict

from rs2sam.serve.asking.prepared import PreparedImage


class ImageCache:
    """The images that were used last.

    Args:
        most_bytes: of all together; one image is kept however large it is.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._images: OrderedDict[str, PreparedImage] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def num_bytes(self) -> int:
        """Memory that the images take."""
        with self._lock:
            return self._total()

    def get(self, image_id: str) -> PreparedImage | None:
        """An image, None where it is not here."""
        with self._lock:
            found = self._images.get(image_id)
            if found is not None:
                self._images.move_to_end(image_id)
            return found

    def keep(self, image_id: str, image: PreparedImage) -> list[tuple[str, PreparedImage]]:
        """Take an image in; those that were used longest ago make room, and are returned."""
        with self._lock:
            self._images[image_id] = image
            self._images.move_to_end(image_id)
            return self._leaving()

    def make_room(self) -> list[tuple[str, PreparedImage]]:
        """As `keep`, of images that grew since they were taken in: a model may have looked closer."""
        with self._lock:
            return self._leaving()

    def _leaving(self) -> list[tuple[str, PreparedImage]]:
        """Take out the images that were used longest ago while there are too many bytes."""
        leaving = []
        while len(self._images) > 1 and self._total() > self._most_bytes:
            leaving.append(self._images.popitem(last=False))
        return leaving

    def take_all(self) -> list[tuple[str, PreparedImage]]:
        """Take all images out."""
        with self._lock:
            leaving = list(self._images.items())
            self._images.clear()
            return leaving

    def drop(self, image_id: str) -> None:
        """Forget an image."""
        with self._lock:
            self._images.pop(image_id, None)

    def _total(self) -> int:
        # Counted anew each time: a model leaves its encodings with an image when it is first asked about it.
        return sum(image.num_bytes for image in self._images.values())
