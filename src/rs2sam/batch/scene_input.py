"""One scene of a batch, wherever it was named: in a folder, a list or a STAC catalog.

A scene's `key` is a relative path: results go into the folder it names, the manifest knows the scene by it, and shards
are drawn from it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from rs2sam.raster.scene import is_local, scene_stem

RASTER_SUFFIXES = frozenset(
    {".tif", ".tiff", ".jp2", ".vrt", ".img", ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".cog"}
)
"""Suffixes of the files that are taken from a folder; globs and lists may name any file."""

_NOT_IN_A_NAME = re.compile(r'[<>:"|?*\\\x00-\x1f]')


@dataclass(frozen=True)
class StacOrigin:
    """The STAC item that a scene came from.

    Args:
        item_id: its id.
        href: its own address, or None for an item that has none.
        collection: id of its collection, or None.
        datetime: time of acquisition as ISO 8601, or None.
    """

    item_id: str
    href: str | None
    collection: str | None
    datetime: str | None


@dataclass(frozen=True)
class SceneInput:
    """One scene of a batch.

    Args:
        key: relative path with `/`, the scene's stable name; its parent is the folder of the results.
        source: absolute path, URL or `/vsi` path.
        problem: why it cannot be read, where that is known beforehand.
        origin: the STAC item it came from, if it did.
    """

    key: str
    source: str
    problem: str | None = None
    origin: StacOrigin | None = None

    @property
    def parent(self) -> PurePosixPath:
        """Folder of the results, relative to the folder of the batch."""
        return PurePosixPath(self.key).parent

    @property
    def stem(self) -> str:
        """File name without folder, a URL's query and last suffix, as the results are named."""
        return scene_stem(self.source)

    @property
    def is_local(self) -> bool:
        """Whether the source is a file of this machine or of a mounted folder."""
        return is_local(self.source)

    def signature(self) -> str | None:
        """Size and time of change of a local file, by which a replaced scene is noticed; None for all others."""
        if not self.is_local:
            return None
        try:
            status = os.stat(self.source)
        except (OSError, ValueError):  # ValueError: a name with a NUL, which no file has
            return None
        return f"{status.st_size}-{status.st_mtime_ns}"


def safe_key(name: str) -> str:
    """A relative path that stays inside its folder, of characters that every file system takes."""
    parts = [_NOT_IN_A_NAME.sub("_", part) for part in name.split("/")]
    return "/".join(part for part in parts if part not in ("", ".", ".."))
