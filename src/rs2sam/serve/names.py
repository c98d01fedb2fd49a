"""File names that strangers choose, as they may be used and shown."""

from __future__ import annotations

import re
from pathlib import Path

_MOST_NAME = 80


def safe_stem(name: str) -> str:
    """A file name's stem as the names of results may begin: letters, digits, `._-` of ASCII."""
    stem = Path(name.replace("\\", "/").rpartition("/")[2]).stem
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._")[:_MOST_NAME] or "image"


def shown_name(name: str) -> str:
    """A file name as it may be shown: the last part, printable, not too long."""
    last = name.replace("\\", "/").rpartition("/")[2].encode("utf-8", "replace").decode()
    return "".join(letter for letter in last if letter.isprintable())[:_MOST_NAME] or "image"
