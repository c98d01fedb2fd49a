"""The command line: `rs2sam COMMAND`.

This file knows the names of the commands only; a command's module is imported when it is run, so that `rs2sam --help`
answers at once. Errors of rs2sam end here: one line on stderr and exit code 1, never a traceback.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from rs2sam import __version__
from rs2sam.cli.process import (
    Terminated,
    ending_politely,
    give_up_output,
    hush_libraries,
    is_of_output,
    open_streams,
)
from rs2sam.cli.shell.groups import HelpfulGroup
from rs2sam.errors import RS2SAMError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130

EPILOG = """\b
Exit codes:
  0    done; an empty result ("nothing found") is a result
  1    something rs2sam knows about: the line "error: ..." says what to do
  2    wrong usage of the command line
  130  interrupted with Ctrl-C; 129, 143: stopped by SIGHUP, SIGTERM
"""

# name -> (module, one line of help); the line is the first of the command's own help, which a test checks.
COMMANDS: dict[str, tuple[str, str]] = {
    "segment": ("rs2sam.cli.segment", "Find what SENTENCE names in IMAGE."),
    "batch": ("rs2sam.cli.batch", "Find what SENTENCE names in many scenes."),
    "refine": ("rs2sam.cli.refine", "Make the results of RESULT again from its probabilities, without the model."),
    "serve": ("rs2sam.cli.service.serve", "Answer sentences about images over HTTP, with a page to try it on."),
    "models": ("rs2sam.cli.models", "List the models: where they are, how large, under which terms."),
    "convert": ("rs2sam.cli.models", "Convert a published checkpoint to this project's format."),
    "export": ("rs2sam.cli.export", "Write MODEL into OUT for programs without rs2sam, checked against torch."),
    "benchmark": (
        "rs2sam.cli.benchmark",
        "Measure what MODEL costs on this machine: time, memory, share of its limit, agreement.",
    ),
    "demo-scene": ("rs2sam.cli.demo", "Draw a georeferenced aerial scene to try rs2sam on."),
    "evaluate": ("rs2sam.cli.evaluate", "Measure a model on a dataset; the report is a folder."),
    "compare": ("rs2sam.cli.evaluate", "Compare two report folders of `rs2sam evaluate`: B against A."),
    "data": ("rs2sam.cli.data", "Look at, check, convert and make sets of images, sentences and masks."),
    "train": ("rs2sam.cli.train", "Train a model as RECIPE (a YAML file) says; the result is in OUTPUT/model."),
    "ablate": ("rs2sam.cli.ablate", "Train a grid of variants of RECIPE and print the paper's table."),
    "completion": (
        "rs2sam.cli.shell.completion",
        "Print the script that completes commands, options and files in SHELL.",
    ),
}


class LazyGroup(HelpfulGroup):
    """A group whose commands are imported when they are needed, and the one place where errors become exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None for a name that is not in the table."""
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command = getattr(import_module(module), cmd_name.replace("-", "_"))
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{cmd_name} is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names of commands without importing them, and options."""
        from click.shell_completion import CompletionItem

        names = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line; an output that cannot be written to is one line."""
        open_streams()
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            if not is_of_output(error):
                raise
            give_up_output()
            with suppress(OSError):
                click.echo(f"error: the output cannot be written ({error.strerror}). Free space there.", err=True)
            sys.exit(EXIT_ERROR)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; a known error, an interruption or a signal becomes one line and its exit code."""
        try:
            with ending_politely():
                return super().invoke(ctx)
        except Terminated as stop:
            click.echo(str(stop), err=True)
            ctx.exit(stop.exit_code)
        except RS2SAMError as error:
            logging.getLogger(__name__).debug("traceback of the error below", exc_info=True)
            click.echo(f"error: {error}", err=True)
            ctx.exit(EXIT_ERROR)
        except KeyboardInterrupt as stop:
            click.echo(f"interrupted. {stop}" if stop.args else "interrupted", err=True)
            ctx.exit(EXIT_INTERRUPTED)


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rs2sam")
@click.option("-v", "--verbose", count=True, help="Say more on stderr; twice: everything, tracebacks included.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no words, only errors (and --json).")
@click.option(
    "--progress",
    type=click.Choice(["bar", "lines"]),
    default="bar",
    show_default=True,
    help="How `segment` and `batch` show on stderr how far they are: a bar where that is a terminal, or lines such as "
    "`progress: 3/20 views` for the program that reads them.",
)
@click.pass_context
def main(ctx: click.Context, verbose: int, quiet: bool, progress: str) -> None:
    """Segment aerial and satellite images by a sentence."""
    ctx.obj = {"quiet": quiet, "progress": progress}
    level = logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    handler = logging.StreamHandler()
    handler.setFormatter(_LevelFormatter())
    logger = logging.getLogger("rs2sam")
    logger.handlers = [handler]
    logger.setLevel(level)
    hush_libraries()


class _LevelFormatter(logging.Formatter):
    """`warning: ...`, as errors are shown."""

    def format(self, record: logging.LogRecord) -> str:
        """Put the level before the message."""
        return f"{record.levelname.lower()}: {super().format(record)}"
