"""`rs2sam completion`: the script with which a shell completes commands, options, models and files."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

EPILOG = """\b
bash, in ~/.bashrc (4.4 or newer):
  eval "$(rs2sam completion bash)"

\b
zsh, in ~/.zshrc after compinit:
  eval "$(rs2sam completion zsh)"

\b
fish, once:
  rs2sam completion fish > ~/.config/fish/completions/rs2sam.fish
"""

NAME = "rs2sam"
VARIABLE = "_RS2SAM_COMPLETE"
"""Where click looks for what a shell asks; made of the name of the program."""


@click.command(epilog=EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, /, shell: str) -> None:
    """Print the script that completes commands, options and files in SHELL."""
    script = get_completion_class(shell)
    if script is None:
        raise TypeError(f"click knows no completion for {shell}")
    # The version of bash is looked at where the script is run: it may be made on another machine.
    text = script.source_template % script(ctx.find_root().command, {}, NAME, VARIABLE).source_vars()
    click.echo(text, nl=False)
