"""An append-only file of blocks of pixels: what a long run has finished, readable again after a kill at any moment.

A GeoTIFF keeps its directory at one place that is rewritten when the file is closed; a process that dies before leaves
nothing to go on from. Here every block stands behind its own header, so a file cut at the end of any block is whole.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from rs2sam.errors import InvalidInputError

Values = NDArray[np.uint16]

# band, row, column, height, width, value of a constant block, bytes that follow (0: constant)
_HEADER = struct.Struct("<HIIIIHI")

_PART = 2**22  # bytes read at once


@dataclass(frozen=True)
class Block:
    """Where a block lies on its raster, and in its file.

    Args:
        band: counted from 0.
        row: first row.
        col: first column.
        height: rows.
        width: columns.
        value: of all its pixels, where nothing is stored for it.
        offset: of its packed pixels in the file.
        num_bytes: their number, 0 for a constant block.
    """

    band: int
    row: int
    col: int
    height: int
    width: int
    value: int
    offset: int
    num_bytes: int


def checksum_of(path: Path, end: int) -> int:
    """CRC-32 of a file up to an offset; of a shorter one, of all of it."""
    checksum = 0
    with path.open("rb") as file:
        while end > 0 and (part := file.read(min(end, _PART))):
            checksum, end = zlib.crc32(part, checksum), end - len(part)
    return checksum


def check_whole(path: Path, end: int, checksum: int) -> None:
    """Raise InvalidInputError unless a file has this checksum up to an offset."""
    if not path.is_file() or path.stat().st_size < end or checksum_of(path, end) != checksum:
        raise damaged(path)


def damaged(path: Path) -> InvalidInputError:
    """The error for a file that something else has cut or changed."""
    return InvalidInputError(
        f"What an interrupted run left behind must be whole to be continued, but {str(path)!r} is not. "
        f"Run again without --resume, or remove {str(path.parent)!r}."
    )


class BlockWriter:
    """Appends blocks to a file.

    Args:
        path: the file; made when it is not there.
        offset: where to go on; what lies behind is cut off.
        checksum: of what stands before it, see `check_whole`.
    """

    def __init__(self, path: Path, offset: int = 0, checksum: int = 0) -> None:
        path.touch()
        self._file: BinaryIO = path.open("r+b")
        self._file.truncate(offset)
        self._file.seek(offset)
        self.offset = offset
        self.checksum = checksum

    def append(self, band: int, row: int, col: int, values: Values) -> None:
        """Add an (h, w) uint16 block."""
        is_set = values != 0
        self.append_set(band, row, col, is_set, values[is_set])

    def append_set(self, band: int, row: int, col: int, is_set: NDArray[np.bool_], values: Values) -> None:
        """Add an (h, w) block that is 0 except where `is_set`; `values` are those, (n,) uint16 in raster order.

        One bit a pixel and the values are many times faster than deflate, and not larger where values differ from pixel
        to pixel.
        """
        height, width = is_set.shape
        first, payload = 0, b""
        if len(values) == is_set.size and (values == values[0]).all():
            first = int(values[0])
        elif len(values):
            payload = np.packbits(is_set).tobytes() + values.tobytes()
        header = _HEADER.pack(band, row, col, height, width, first, len(payload))
        self._file.write(header + payload)
        self.offset += len(header) + len(payload)
        self.checksum = zlib.crc32(payload, zlib.crc32(header, self.checksum))

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _unpacked(data: bytes, height: int, width: int) -> Values:
    """What `append_set` packed; raises ValueError where some of it is missing."""
    num_bits = -(-height * width // 8)
    bits = np.frombuffer(data[:num_bits], dtype=np.uint8)
    is_set = np.unpackbits(bits, count=height * width).view(np.bool_).reshape(height, width)
    values = np.zeros((height, width), dtype=np.uint16)
    values[is_set] = np.frombuffer(data[num_bits:], dtype=np.uint16)
    return values


class BlockReader:
    """Reads the blocks of a file again.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")

    def __enter__(self) -> BlockReader:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._file.close()

    def index(self, start: int, end: int) -> Iterator[Block]:
        """The blocks between two offsets that stand at the start of a block, in the order in which they came."""
        while start < end:
            self._file.seek(start)
            header = self._file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                raise damaged(self._path)
            band, row, col, height, width, value, num_bytes = _HEADER.unpack(header)
            start += _HEADER.size
            yield Block(band, row, col, height, width, value, start, num_bytes)
            start += num_bytes

    def values(self, block: Block) -> Values:
        """(h, w) uint16 of a block."""
        if block.num_bytes == 0:
            return np.full((block.height, block.width), block.value, dtype=np.uint16)
        self._file.seek(block.offset)
        try:
            return _unpacked(self._file.read(block.num_bytes), block.height, block.width)
        except ValueError as error:
            raise damaged(self._path) from error
