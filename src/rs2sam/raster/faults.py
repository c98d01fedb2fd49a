"""Whatever GDAL, rasterio or PROJ raise, as one line of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from rasterio._err import CPLE_BaseError  # what rasterio lets through of GDAL has no public name
from rasterio.errors import RasterioError

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
