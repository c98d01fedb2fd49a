"""Command lines of rs2sam and the environment they run in."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .errors import RunError

# QGIS sets these for its own Python, GDAL and PROJ; another environment's would read the wrong files.
_OF_QGIS = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONEXECUTABLE",
    "GDAL_DATA",
    "GDAL_DRIVER_PATH",
    "PROJ_LIB",
    "PROJ_DATA",
)


@dataclass(frozen=True)
class Options:
    """What a user may ask for beside image and sentences; None leaves it to rs2sam.

    Args:
        model: name, folder or hub id.
        threshold: probability above which a pixel counts, in [0, 1].
        min_area: regions below this are dropped, as `40px` or `25m2`.
        bands: shown as red,green,blue, counted from 1, as `4,3,2`.
        stretch: of values to 8 bit, as `percentile:2,98`.
        tile: side of a tile [px].
        gsd: resolution at which the model sees the image [m/px].
        simplify: how far outlines may move [m].
        orthogonal: square up outlines.
        mirror: ask about the mirror image of every view too.
        class_map: write the number of the most probable sentence per pixel.
        keep_probabilities: leave beside the results what `refine_command` needs.
        extra: further words of the command line.
    """

    model: str | None = None
    threshold: float | None = None
    min_area: str | None = None
    bands: str | None = None
    stretch: str | None = None
    tile: int | None = None
    gsd: float | None = None
    simplify: float | None = None
    orthogonal: bool = False
    mirror: bool = False
    class_map: bool = False
    keep_probabilities: bool = False
    extra: str = ""

    def words(self) -> list[str]:
        """The options as words of a command line."""
        words: list[str] = []
        for name in ("model", "threshold", "min_area", "bands", "stretch", "tile", "gsd", "simplify"):
            value = getattr(self, name)
            if value not in (None, ""):
                words += [f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value)]
        flags = ("orthogonal", "mirror", "class_map", "keep_probabilities")
        words += [f"--{name.replace('_', '-')}" for name in flags if getattr(self, name)]
        return words + shlex.split(self.extra)


def sentences_of(text: str) -> list[str]:
    """The sentences of a text, one a line; blank lines and repeated ones are left out.

    Raises:
        RunError: when there is none.
    """
    sentences = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if not sentences:
        raise RunError("There is no sentence. Write what is looked for, e.g. 'the buildings'.")
    return sentences


def program_of(setting: str) -> list[str]:
    """The words that start rs2sam.

    Args:
        setting: path of the program, or a command line as `conda run -n sam rs2sam`; empty: `rs2sam` of the PATH.

    Raises:
        RunError: when there is no such program.
    """
    setting = setting.strip()
    words = [setting] if os.path.isfile(setting) else shlex.split(setting, posix=os.name != "nt")
    words = [word.strip('"') for word in words] or ["rs2sam"]
    found = shutil.which(words[0])
    if found is None:
        raise RunError(
            f"rs2sam is an environment of its own, but there is no program {words[0]!r}. Install it "
            "(python -m venv sam; sam/bin/pip install rs2sam) and name sam/bin/rs2sam in Settings > Options > rs2sam."
        )
    return [found, *words[1:]]


def segment_command(
    program: Sequence[str], image: str, sentences: Iterable[str], folder: str, options: Options
) -> list[str]:
    """Find what sentences name in one image; the report comes on stdout."""
    # Behind `--` nothing is an option, so a sentence may begin with a dash.
    return [*_start(program, "segment"), *options.words(), *_output(folder), "--", image, *sentences]


def batch_command(
    program: Sequence[str], images: str, sentences: Iterable[str], folder: str, options: Options, *, overwrite: bool
) -> list[str]:
    """Find what sentences name in many images; what an earlier run of the same finished is kept unless overwritten."""
    return [*_start(program, "batch"), *options.words(), *_output(folder, overwrite), "--", images, *sentences]


def refine_command(
    program: Sequence[str], result: str, sentences: Iterable[str], folder: str, options: Options
) -> list[str]:
    """Decide anew what counts in a result that has kept its probabilities; no sentences: those of the result."""
    return [*_start(program, "refine"), *options.words(), *_output(folder), "--", result, *sentences]


def _start(program: Sequence[str], command: str) -> list[str]:
    return [*program, "--progress", "lines", command]


def _output(folder: str, overwrite: bool = True) -> list[str]:
    return ["-o", folder, "--json", *(["--overwrite"] if overwrite else [])]


def environment_for_program(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of QGIS without what is QGIS's alone, with UTF-8 on the streams."""
    kept = {name: value for name, value in environment.items() if name not in _OF_QGIS}
    return {**kept, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
