"""`scanner train`: train a net, export it and write its card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scanner.exits import Failed
from storage.extras import with_extra

if TYPE_CHECKING:
    from workers.training.recipes.recipe import Recipe

WITHOUT_EXTRA = f"Training needs packages that are not installed ({{name}}): {with_extra('train')}"


@click.command()
@click.argument("name")
@click.option(
    "--data",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where the data sets lie: cifake-train.zip and cifake-test.zip, faces.zip, scenes.zip.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="RUNDIR",
    help="Where checkpoints, curves, the model and its card go.",
)
@click.option(
    "--epochs", type=click.IntRange(1), help="Of the last phase; the recipe's unless given."
)
@click.option("--seed", type=int, default=1, show_default=True, help="For weights and shuffling.")
@click.option(
    "--weights",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where packages with pretrained weights lie, if not beside the data.",
)
@click.option("--resume", is_flag=True, help="Go on with what RUNDIR holds.")
def command(name: str, *, epochs: int | None, **where: Any) -> None:  # noqa: ANN401
    """Train the net NAME and measure it; export and calibrate it if it is for workers.

    \b
    Example:
      scanner train objects-32 --data ~/datasets --out runs/objects-32
      scanner train objects-32 --data ~/datasets --out runs/objects-32 --resume

    NAME is objects-32, faces, faces-96 or scenes, which workers use; or, to compare with, one of
    cifake-vgg16, cifake-vgg16-tuned, faces-mobilenet-224 and faces-mobilenet-32, which are only
    measured.

    Every epoch is kept: after a kill, the same command with --resume goes on. At the end RUNDIR
    holds for workers NAME.tflite and its card NAME.toml, and of whatever is trained by epochs
    curves.png, classification.txt and figures.json. faces, faces-96 and scenes are linear probes:
    one layer is fitted, without epochs. The test set is read once, when everything was chosen.
    """
    try:
        from workers.training import environment  # `--help` is instant

        environment.prepare()
        # TensorFlow reads what `prepare` sets when it is imported.
        from workers.training.data.datasets import DataError
        from workers.training.epochs import train
        from workers.training.export.int8 import ExportError
        from workers.training.linear_probe import run_probe
        from workers.training.recipes.builtin import RECIPES
        from workers.training.recipes.probes import PROBES
        from workers.training.run_results import finish
        from workers.training.runs import Run, RunError
    except ModuleNotFoundError as error:
        raise Failed(WITHOUT_EXTRA.format(name=error.name)) from error
    if name not in RECIPES and name not in PROBES:
        raise click.BadParameter(
            f"there is no recipe {name!r}, only {', '.join([*RECIPES, *PROBES])}",
            param_hint="NAME",
        )
    run = Run(**where)
    try:
        if name in PROBES:
            made = run_probe(PROBES[name], run, _tell)
        else:
            recipe = _of_length(RECIPES[name], epochs)
            made = finish(recipe, run, train(recipe, run, _tell), _tell)
    except (DataError, ExportError, RunError) as error:
        raise Failed(str(error)) from error
    click.echo(made)


def _of_length(recipe: Recipe, epochs: int | None) -> Recipe:
    if epochs is None:
        return recipe
    *before, last = recipe.phases
    return replace(recipe, phases=(*before, replace(last, epochs=epochs)))


def _tell(line: str) -> None:
    click.echo(line, err=True)
