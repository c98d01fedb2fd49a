"""The exceptions of rs2sam.

Every message states the rule, what was received, and what to do.

```
RS2SAMError
├── InvalidInputError (ValueError)          a value the caller passed: sentence, option, array, configuration
│   ├── InvalidImageError                   an image that cannot be read as one to three or more bands of pixels
│   │   └── UnreadableImageError            GDAL could not read it; from a remote place another attempt may help
│   ├── CheckpointError                     weights that are damaged, of another model, or unexplained
│   └── BusyError                           another process is at work on the same results
├── DataNotFoundError (FileNotFoundError)   a file, folder or dataset that is not there
│   └── WeightsNotFoundError                a model that is neither in the package, on disk nor in the cache
├── MissingDependencyError (ImportError)    an extra that is not installed; the message has the install command
└── TrainingError (RuntimeError)            a training run that has to stop: a full disk, a loss that is not finite
```
"""

from __future__ import annotations

from importlib.util import find_spec


class RS2SAMError(Exception):
    """Root of all errors that rs2sam raises on purpose."""


class InvalidInputError(RS2SAMError, ValueError):
    """A value that the caller passed breaks a rule."""


class InvalidImageError(InvalidInputError):
    """An image file or array that cannot be read as pixels."""


class UnreadableImageError(InvalidImageError):
    """An image that GDAL could not open or read, for a reason that may pass where it lies in a remote place."""


class CheckpointError(InvalidInputError):
    """Weights that are damaged, of another model, or that hold tensors nobody explains."""


class BusyError(InvalidInputError):
    """Another process is at work on the same results; later they may be free."""


class DataNotFoundError(RS2SAMError, FileNotFoundError):
    """A file, folder or dataset that is not there."""


class WeightsNotFoundError(DataNotFoundError):
    """A model that is neither in the package, nor on disk, nor in the download cache."""


class MissingDependencyError(RS2SAMError, ImportError):
    """A library of an optional extra is not installed.

    Args:
        library: import name of what is missing, e.g. `torch`.
        extra: the extra of rs2sam that brings it, e.g. `torch`.
        needed_for: what the caller asked for, e.g. "the model `rrsisd`".
    """

    def __init__(self, library: str, extra: str, needed_for: str) -> None:
        self.library = library
        self.extra = extra
        super().__init__(
            f"{needed_for} needs `{library}`, which is not installed. Install it with: pip install 'rs2sam[{extra}]'"
        )


class TrainingError(RS2SAMError, RuntimeError):
    """A training run has to stop; what it had saved before is as good as it was."""


def require(library: str, extra: str, needed_for: str) -> None:
    """Raise `MissingDependencyError` unless a library is installed; it is not imported."""
    if not is_installed(library):
        raise MissingDependencyError(library, extra, needed_for)


def is_installed(library: str) -> bool:
    """Whether a library is there; it is not imported."""
    try:
        return find_spec(library) is not None
    except ValueError:  # its entry in `sys.modules` is None: somebody forbade it
        return False


def words_of(error: object) -> str:
    """What an error of somebody else says, as a part of a sentence of ours: one line without the full stop at its end.

    Where it says nothing, the name of its kind.
    """
    said = " ".join(str(error).split())
    if said.endswith(".") and not said.endswith(".."):
        said = said[:-1]
    return said or type(error).__name__
