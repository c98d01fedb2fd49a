"""Examples that cannot be made, on their way from a loading process to one clear line.

An exception in a loading process arrives as a traceback inside a message, as soon as the example is fetched ahead. Here
it travels as a value in the example's place and is raised when its turn comes, so that a run stops at the same step
with any number of loading processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rs2sam.errors import RS2SAMError, TrainingError

READ_ERRORS = (RS2SAMError, OSError, SyntaxError)
"""What reading files raises; PIL reports some damaged files as SyntaxError. Anything else is a bug and stays one."""
FAILURE = "failure"


def failed_example(index: int, error: Exception) -> dict[str, Any]:
    """What takes the place of an example that cannot be made."""
    reason = str(error) if isinstance(error, RS2SAMError) else f"{type(error).__name__}: {error}"
    return {FAILURE: f"example {index} of the run cannot be made: {reason}"}


def failed_batch(examples: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What takes the place of a batch of which an example failed; None where none did."""
    return next(({FAILURE: example[FAILURE]} for example in examples if FAILURE in example), None)


def raise_failure(batch: Mapping[str, Any]) -> None:
    """Stop where a batch could not be made.

    Raises:
        TrainingError: with the reason, which names the file.
    """
    if FAILURE in batch:
        raise TrainingError(batch[FAILURE])
