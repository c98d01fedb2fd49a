"""Whatever GDAL, rasterio or PROJ raise, as one line of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rasterio._err import CPLE_BaseError  # what rasterio lets through of GDAL has no public name
from rasterio.errors import RasterioError

from rs2sam.errors import InvalidImageError, RS2SAMError

GDAL_FAULTS = (RasterioError, CPLE_BaseError, MemoryError)
"""What reading an open file may raise."""

_MOST_LETTERS = 300


def fault(name: str, error: BaseException, what: str) -> InvalidImageError:
    """The error for a file of which a part cannot be read or understood.

    Args:
        name: of the file.
        error: what was raised.
        what: what went wrong and what to do, with `{reason}` where GDAL's words belong.
    """
    if isinstance(error, MemoryError):
        return InvalidImageError(
            f"{name!r} needs more memory than there is ({reason_of(error)}). Write it again in tiles of 256 to 1024 "
            "pixels a side (`gdal_translate -co TILED=YES`), or in parts."
        )
    return InvalidImageError(f"{name!r} {what.format(reason=reason_of(error))}")


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
    said = " ".join(str(error.__cause__ or error).split()) or type(error).__name__
    text = said.encode("utf-8", "backslashreplace").decode()
    # Whatever stands here is put into a template.
    return (text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}...").replace("{", "(").replace("}", ")")
