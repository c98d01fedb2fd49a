"""Groups of commands that name what was probably meant."""

from __future__ import annotations

import difflib

import click


class HelpfulGroup(click.Group):
    """A group that names the nearest of its commands where there is none of a name.

    Of options that are misspelled click itself names the nearest.
    """

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; of a misspelled one the nearest is named."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not near:
                raise
            raise click.UsageError(f"No such command {args[0]!r}. Did you mean {near[0]!r}?", ctx) from error
