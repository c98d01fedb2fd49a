"""One raster and sentences to results, by the program or over the server, as the user has set it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .imagery import Imagery
from .running.client import Client
from .running.commands import Options, batch_command, program_of, refine_command, segment_command
from .running.process import Outcome, run_program
from .running.results import SceneResult
from .settings import Settings

_SENDING = 0.2
"""Share of the progress bar that bringing an image to the server takes."""


@dataclass
class Reporting:
    """Where a run says what it does, and asks whether to go on.

    Args:
        progress: takes how far it is, in [0, 100].
        line: takes what it says.
        is_canceled: whether the user has stopped it.
    """

    progress: Callable[[float], None]
    line: Callable[[str], None]
    is_canceled: Callable[[], bool]


_clients: dict[tuple[str, str], Client] = {}


def client_of(settings: Settings) -> Client:
    """The server of the settings; it is remembered which images it has."""
    key = (settings.server, settings.token)
    if key not in _clients:
        _clients[key] = Client(*key)
    return _clients[key]


def segment(
    settings: Settings, imagery: Imagery, sentences: Sequence[str], options: Options, folder: str, reporting: Reporting
) -> SceneResult:
    """Find what sentences name in one raster; the files go to a folder.

    Raises:
        CanceledError: when the user stopped it.
        RunError: when it cannot be done.
    """
    image = imagery.file(folder, whole=settings.through_server)
    if settings.through_server:
        return _over_server(client_of(settings), image, sentences, options, folder, reporting)
    command = segment_command(program_of(settings.program), image, sentences, folder, with_model(settings, options))
    outcome = run(command, reporting)
    return SceneResult(folder, outcome.report, outcome.problem)


def batch(
    settings: Settings,
    images: str,
    sentences: Sequence[str],
    options: Options,
    folder: str,
    reporting: Reporting,
    *,
    overwrite: bool,
) -> Outcome:
    """Find what sentences name in many images, as `rs2sam batch` does it.

    `images` is a folder, a glob, or a text file with a path a line.

    Raises:
        CanceledError: when the user stopped it.
        RunError: when it cannot be done.
    """
    program = program_of(settings.program)
    options = with_model(settings, options)
    return run(batch_command(program, images, sentences, folder, options, overwrite=overwrite), reporting)


def refine(
    settings: Settings, result: str, sentences: Sequence[str], options: Options, folder: str, reporting: Reporting
) -> SceneResult:
    """Decide anew what counts in a result that has kept its probabilities; the files go to another folder.

    `result` is the path of `STEM_result.json`; no sentences are all of it.

    Raises:
        CanceledError: when the user stopped it.
        RunError: when it cannot be done.
    """
    outcome = run(refine_command(program_of(settings.program), result, sentences, folder, options), reporting)
    return SceneResult(folder, outcome.report, outcome.problem)


def run(command: Sequence[str], reporting: Reporting) -> Outcome:
    """Run a command line of rs2sam."""
    return run_program(command, reporting.progress, reporting.line, reporting.is_canceled)


def with_model(settings: Settings, options: Options) -> Options:
    """Options with the model of the settings where none was asked for."""
    return options if options.model else replace(options, model=settings.model or None)


def _over_server(
    client: Client, image: str, sentences: Sequence[str], options: Options, folder: str, reporting: Reporting
) -> SceneResult:
    client.describe(sentences, options)  # says what it does not take before anything is sent
    sent = client.image(image, lambda percent: reporting.progress(_SENDING * percent), reporting.is_canceled)

    def show(percent: float) -> None:
        reporting.progress(100 * _SENDING + (1 - _SENDING) * percent)

    return client.job(sent["id"], sentences, options, folder, show, reporting.is_canceled)
