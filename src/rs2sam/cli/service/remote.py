"""`rs2sam segment --server URL`: the scene is sent, answered there, and the files come back."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from rs2sam.cli.scene import parse_bands
from rs2sam.client import Client
from rs2sam.errors import InvalidInputError
from rs2sam.scenes.outputs import OutputPaths, publish
from rs2sam.serve.names import safe_stem

_ASKED = ("threshold", "min_presence", "min_area", "scope", "tile", "overlap", "gsd_m")
_OUTPUTS = ("cog", "class_map", "simplify_m", "orthogonal")
_READING = ("stretch", "nodata", "nodata_tolerance", "alpha")
_HERE = {"image", "sentence", "folder", "sentences_file", "as_json", "overwrite", "server", "polygon_format"}


def segment_remotely(
    ctx: click.Context,
    image: str,
    sentences: Sequence[str],
    folder: Path,
    options: Mapping[str, Any],
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Send a scene to a service, wait, and fetch its files.

    Args:
        ctx: of the command.
        image: path of the scene.
        sentences: that are asked.
        folder: for the results.
        options: of the command.
        progress: called with the views that were answered and all views.

    Returns:
        The content of `result.json`.

    Raises:
        InvalidInputError: an option is the service's own, or results are there already.
        ServiceError: the service refuses, or cannot be reached.
    """
    known = {*_ASKED, *_OUTPUTS, *_READING, *_HERE, "bands"}
    own = [
        name for name in options if name not in known and ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE
    ]
    if own:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in own)
        raise InvalidInputError(f"With --server the service decides how its model runs: leave {flags} out.")
    if options["polygon_format"] not in ("gpkg", "geojson"):
        raise InvalidInputError(
            f"A service writes gpkg or geojson, but --format is {options['polygon_format']!r}. Choose one of them."
        )
    client = Client(options["server"], os.environ.get("RS2SAM_TOKEN") or None)
    paths = OutputPaths(folder, safe_stem(image), options["polygon_format"])
    paths.prepare(overwrite=options["overwrite"])
    bands = parse_bands(options["bands"])
    reading = {name: options[name] for name in _READING}
    sent = client.send(image, bands=None if bands is None else list(bands), **reading)
    outputs = {"format": options["polygon_format"], **{name: options[name] for name in _OUTPUTS}}
    job = sent.job(sentences, outputs, **{name: options[name] for name in _ASKED})
    try:
        job.wait(progress)
    except BaseException:
        job.cancel()
        raise
    report: dict[str, Any] = job.body["result"]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".rs2sam-", dir=folder, ignore_cleanup_errors=True) as made:
        names = sorted((path.name for path in job.save(made)), key=lambda name: name == paths.result)
        publish(Path(made), paths, names)
    report["outputs"]["folder"] = str(folder.resolve())
    report["source"]["path"] = image
    job.cancel()
    sent.delete()
    return report
