"""Whatever GDAL, rasterio or PROJ raise, as one line of ours; and what they should raise and do not.

Some formats GDAL reads beyond the end of a file: it gives memory that nobody has set for what is missing, and no error.

| format | whole when |
|---|---|
| PNG | every chunk has its checksum, and the pixels are there once they are unpacked |
| TGA | the pixels, or all packets of runs, lie before the end |
| PCIDSK | the pixels lie before the end, where they stand in the file itself one after the other |
| PCRaster | the pixels lie before the end |

Other formats that were tried, each cut at several places, end in an error or in zeros.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from rasterio._err import CPLE_BaseError  # what rasterio lets through of GDAL has no public name
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from rs2sam.errors import InvalidImageError, RS2SAMError, UnreadableImageError, words_of

GDAL_FAULTS = (RasterioError, CPLE_BaseError, MemoryError)
"""What reading an open file may raise."""

_MOST_LETTERS = 300
# What a server, or GDAL about the content of a file, says alike whenever it is asked: the address is wrong, access is
# not given, the file is none of GDAL's or lacks that part. 408, 425 and 429 ask for another attempt later.
_LASTING = re.compile(
    r"HTTP response code: 4(?!08|25|29)\d\d|not recognized as being in a supported file format"
    r"|Requested directory \d+ not found|prefix string into expected|Invalid syntax for"
)
_PASSING = re.compile(r"CURL error|HTTP response code: (?:408|425|429|5\d\d)")

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_PIECE = 2**20
# First row and column of each pass of an interlaced PNG, and the steps down and across.
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
_TGA_HEADER = "<BBBHHBHHHHBB"
_TGA_RUNS = (9, 10, 11)
"""Kinds of TGA whose pixels are packets: a byte of the number of pixels, and one pixel for all or each of them."""
_PCIDSK_BLOCK = 512
_PCRASTER_HEADER = 256


def unreadable(name: str) -> UnreadableImageError:
    """The error for a file of which no pixel can be read."""
    return UnreadableImageError(
        f"{name!r} is damaged or cut short: its header can be read, its pixels cannot. Fetch or write it again."
    )


def fault(name: str, error: BaseException, what: str) -> InvalidImageError:
    """The error for a file of which a part cannot be read or understood; `UnreadableImageError` where that may pass.

    Args:
        name: of the file.
        error: what was raised.
        what: what went wrong and what to do, with `{reason}` where GDAL's words belong.
    """
    if isinstance(error, MemoryError):
        return UnreadableImageError(
            f"{name!r} needs more memory than there is ({reason_of(error)}). Write it again in tiles of 256 to 1024 "
            "pixels a side (`gdal_translate -co TILED=YES`), or in parts."
        )
    kind = UnreadableImageError if may_pass(error) else InvalidImageError
    return kind(f"{name!r} {what.format(reason=reason_of(error))}")


def may_pass(error: BaseException) -> bool:
    """Whether another attempt at a remote file may go better, by what GDAL said: not where there is no such address."""
    said = ""
    cause: BaseException | None = error
    while cause is not None:
        said += f"{cause}\n"
        cause = cause.__cause__ or cause.__context__
    return _PASSING.search(said) is not None or _LASTING.search(said) is None


def damaged(name: str, error: BaseException) -> InvalidImageError:
    """The error for a file whose pixels cannot be read."""
    return fault(
        name,
        error,
        "is damaged or cut short: its header can be read, its pixels cannot ({reason}). Fetch or write it again.",
    )


@contextmanager
def header_of(name: str) -> Iterator[None]:
    """Turn anything that is raised while a header is read into an error of ours.

    Broken tags end in exceptions of nearly any kind (CRSError, UnicodeDecodeError, KeyError, OverflowError, ...), so
    none is let through.
    """
    try:
        yield
    except RS2SAMError:
        raise
    except Exception as error:
        raise fault(
            name, error, "is damaged: its header cannot be understood ({reason}). Fetch or write it again."
        ) from error


def reason_of(error: BaseException) -> str:
    """What GDAL says, in one line; the name of the exception where it says nothing."""
    text = words_of(error.__cause__ or error).encode("utf-8", "backslashreplace").decode()
    # Whatever stands here is put into a template.
    return (text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}...").replace("{", "(").replace("}", ")")


def check_whole(dataset: DatasetReader, name: str) -> None:
    """Refuse a file of this machine that is not whole, where GDAL would not notice.

    Raises:
        InvalidImageError: its pixels end too early, or what says where they are is damaged.
    """
    missing_of = _CHECKS.get(dataset.driver)
    if missing_of is None or not os.path.isfile(name):
        return
    try:
        with open(name, "rb") as file:
            num_missing = missing_of(file, dataset)
    except (OSError, ValueError, struct.error, zlib.error) as error:
        raise damaged(name, error) from error
    if num_missing > 0:
        bytes_missing = "1 byte" if num_missing == 1 else f"{num_missing:,} bytes"
        raise damaged(name, ValueError(f"its pixels end {bytes_missing} too early"))


def _missing_of_png(file: BinaryIO, _dataset: DatasetReader) -> int:
    """Bytes of pixels that a PNG lacks; ValueError where a chunk is damaged or missing."""
    file.seek(len(_PNG_SIGNATURE))
    inflate, missing, kind = zlib.decompressobj(), 0, b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", file.read(8))
        if not kind.isalpha():
            raise ValueError(f"there is no kind {kind!r} of chunks")
        content, sum_ = b"", zlib.crc32(kind)
        for _ in range(-(-length // _PNG_PIECE)):
            content = file.read(min(_PNG_PIECE, length))
            length -= len(content)
            sum_ = zlib.crc32(content, sum_)
            while kind == b"IDAT" and content and missing > 0:
                missing -= len(inflate.decompress(content, _PNG_PIECE))
                content = inflate.unconsumed_tail
        # Chunks that may be left out, whose names begin with a small letter, may be damaged too.
        if length or (struct.unpack(">I", file.read(4))[0] != sum_ and kind[:1].isupper()):
            raise ValueError(f"its chunk {kind.decode('ascii')} is damaged")
        if kind == b"IHDR":
            missing = _png_bytes(*struct.unpack(">IIBBBBB", content))
    return missing


def _png_bytes(width: int, height: int, depth: int, colour: int, _method: int, _filter: int, is_interlaced: int) -> int:
    """Bytes of a PNG's pixels before they are compressed; a row begins with one that says how it is filtered."""
    bits = depth * {2: 3, 4: 2, 6: 4}.get(colour, 1)
    passes = _ADAM7 if is_interlaced else ((0, 0, 1, 1),)
    sizes = [(-(-(height - row) // down), -(-(width - col) // across)) for row, col, down, across in passes]
    return sum(rows * (1 + -(-cols * bits // 8)) for rows, cols in sizes if rows > 0 and cols > 0)


def _missing_of_tga(file: BinaryIO, _dataset: DatasetReader) -> int:
    """Bytes of pixels that a TGA lacks; of runs at least 1 where they do not end."""
    header: tuple[int, ...] = struct.unpack(_TGA_HEADER, file.read(struct.calcsize(_TGA_HEADER)))
    id_length, has_map, kind, _, map_length, map_bits, _, _, width, height, bits, _ = header
    start = file.tell() + id_length + (map_length * -(-map_bits // 8) if has_map == 1 else 0)
    pixel_bytes, size = bits // 8, file.seek(0, os.SEEK_END)
    if kind not in _TGA_RUNS:
        return start + height * width * pixel_bytes - size
    file.seek(start)
    missing = height * width  # packets may go on over the end of a row
    while missing > 0:
        (packet,) = file.read(1) or (0,)
        count = (packet & 0x7F) + 1
        position = file.seek(pixel_bytes * (1 if packet & 0x80 else min(count, missing)), os.SEEK_CUR)
        if position > size:
            return position - size
        missing -= count
    return 0


def _missing_of_pcidsk(file: BinaryIO, dataset: DatasetReader) -> int:
    """Bytes of pixels that a PCIDSK file lacks; tiles and other files are looked for by GDAL itself."""
    if dataset.tags(ns="IMAGE_STRUCTURE").get("IMAGE_STRUCTURE") not in ("BAND", "PIXEL"):
        return 0
    file.seek(304)
    start = (int(file.read(16)) - 1) * _PCIDSK_BLOCK
    return start + _num_pixel_bytes(dataset) - file.seek(0, os.SEEK_END)


def _missing_of_pcraster(file: BinaryIO, dataset: DatasetReader) -> int:
    """Bytes of pixels that a PCRaster map lacks."""
    return _PCRASTER_HEADER + _num_pixel_bytes(dataset) - file.seek(0, os.SEEK_END)


def _num_pixel_bytes(dataset: DatasetReader) -> int:
    """Bytes of all pixels as they are, one after the other."""
    return int(dataset.height * dataset.width * sum(np.dtype(dtype).itemsize for dtype in dataset.dtypes))


_CHECKS: dict[str, Callable[[BinaryIO, DatasetReader], int]] = {
    "PNG": _missing_of_png,
    "TGA": _missing_of_tga,
    "PCIDSK": _missing_of_pcidsk,
    "PCRaster": _missing_of_pcraster,
}
