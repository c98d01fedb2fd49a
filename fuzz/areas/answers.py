"""What the service answers and what its log says: a failure, a problem that a client can read, or what is asked for."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any

import rasterio
from PIL import Image

from fuzz.contract import WrongResultError, check_line, require, strict_json


class Log(logging.Handler):
    """What the service's log says of failures that nobody foresaw."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def __enter__(self) -> Log:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *error: object) -> None:
        logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record with its traceback; PIL and rasterio log what the refusal that follows says better."""
        if record.name.partition(".")[0] in ("rs2sam", "asyncio"):
            self.said.append(logging.Formatter().format(record))

    def check(self, what: str) -> None:
        """Raise WrongResultError where something failed."""
        if self.said:
            raise WrongResultError(f"{self.said[0][-3000:]}\nthe service failed {what}")


def check_problem(problem: Any, store: Path, status: int | None = None) -> None:
    """Raise WrongResultError unless a problem is one that a client can read, and no failure."""
    require(
        isinstance(problem, dict) and {"type", "title", "status", "detail"} <= set(problem), f"no problem: {problem}"
    )
    require(status in (None, problem["status"]), f"the status is {status}, and the problem says {problem['status']}")
    require(problem["type"].startswith("/problems/"), f"a problem of type {problem['type']!r}")
    require(problem["type"] != "/problems/internal", f"the service failed: {problem}")
    check_line(problem["detail"])
    require(str(store) not in json.dumps(problem), f"tells where the files lie: {problem}")


def check_content(kind: str, content: bytes, told: str) -> None:
    """Read what was answered."""
    if kind.endswith("json"):
        strict_json(content.decode())
    elif kind == "image/png":
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            picture.load()
    elif kind == "image/tiff":
        with rasterio.MemoryFile(content) as file, file.open() as dataset:
            require(int(dataset.read().max()) in (0, 1, 255), f"{told}: other values than 0, 1 and 255")
    elif kind.startswith("application/geopackage"):
        require(content.startswith(b"SQLite format 3\0"), f"{told}: no GeoPackage")
