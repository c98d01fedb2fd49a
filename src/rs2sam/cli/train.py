"""`rs2sam train`: a recipe in, a model folder out."""

from __future__ import annotations

import os
from pathlib import Path

import click

from rs2sam.cli.context import is_quiet
from rs2sam.cli.shell.completing import FOLDER, READABLE
from rs2sam.errors import require


@click.command()
@click.argument("recipe", type=READABLE)
@click.option("-o", "--output", type=FOLDER, required=True, help="Folder of checkpoints and result.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one value of the recipe.")
@click.option("--resume", is_flag=True, help="Continue from the last checkpoint in the output folder.")
@click.pass_context
def train(ctx: click.Context, recipe: Path, output: Path, overrides: tuple[str, ...], resume: bool) -> None:
    """Train a model as RECIPE (a YAML file) says; the result is in OUTPUT/model.

    Example: rs2sam train recipes/compact.yaml --set data.root=DIR -o runs/compact
    """
    for library in ("torch", "transformers", "accelerate", "yaml"):
        require(library, "train", "training")
    from rs2sam.training.recipes.settings import load_recipe
    from rs2sam.training.trainer import run_recipe

    quiet = is_quiet(ctx)
    run_recipe(load_recipe(recipe, overrides), output, resume, quiet=quiet)
    if not quiet and os.environ.get("RANK", "0") == "0":  # torchrun numbers its processes
        click.echo(f"saved: {output / 'model'}", err=True)


if __name__ == "__main__":
    train()
