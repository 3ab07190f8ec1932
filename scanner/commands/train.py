"""`scanner train`: train a model, export it and write its card."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scanner.options.parameters import PathParameter
from scanner.options.record import as_record
from storage.errors import InvalidInput, ScannerError
from storage.optional_packages import with_extra

if TYPE_CHECKING:
    from workers.training.recipes.recipe import Recipe

WITHOUT_EXTRA = f"training needs packages that are not installed ({{name}}): {with_extra('train')}"


@dataclass(frozen=True, slots=True)
class Options:
    """Where a run's data and results are, and how it is seeded."""

    data: Path
    out: Path
    seed: int
    weights: Path | None
    cache: Path | None
    resume: bool


@click.command()
@click.argument("name")
@click.option(
    "--data",
    required=True,
    type=PathParameter(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder of the data sets: cifake-train.zip and cifake-test.zip, faces.zip, scenes.zip, "
    "pictures.csv with its images.",
)
@click.option(
    "--out",
    required=True,
    type=PathParameter(file_okay=False, path_type=Path),
    metavar="RUNDIR",
    help="Folder for checkpoints, curves, the model and its card.",
)
@click.option(
    "--epochs", type=click.IntRange(1), help="Epochs of the last phase.  [default: the recipe's]"
)
@click.option("--seed", type=int, default=1, show_default=True, help="For weights and shuffling.")
@click.option(
    "--weights",
    type=PathParameter(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder of packages with pretrained weights.  [default: the data's]",
)
@click.option(
    "--cache",
    type=PathParameter(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder for the embeddings of images, which runs of faces and scenes may share.  "
    "[default: in RUNDIR]",
)
@click.option("--resume", is_flag=True, help="Continue the run in RUNDIR.")
@as_record(Options)
def command(name: str, *, epochs: int | None, options: Options) -> None:
    """Train the model NAME and measure it; export and calibrate it if it is for workers.

    \b
    Example:
      scanner train objects-32 --data ~/datasets --out runs/objects-32
      scanner train objects-32 --data ~/datasets --out runs/objects-32 --resume

    NAME is objects-32, faces or scenes, which workers use; or, for comparison only, one of
    cifake-vgg16, cifake-vgg16-tuned, faces-mobilenet-224 and faces-mobilenet-32.

    Every epoch is kept: after an interruption, the same command with --resume continues. At the
    end RUNDIR contains NAME.tflite and its card NAME.toml for workers, and curves.png,
    classification.txt and figures.json of a model that is trained by epochs. faces and scenes are
    linear probes: one layer is fitted, without epochs, and is in NAME.head.json. The test set is
    read once, after every choice was made.
    """
    try:
        from workers.training import environment  # `--help` is instant

        environment.prepare()
        # TensorFlow reads what `prepare` sets when it is imported.
        from workers.training.epochs import train
        from workers.training.linear_probe import train_probe
        from workers.training.recipes.builtin import RECIPES
        from workers.training.recipes.probes import PROBES
        from workers.training.run_results import write_results
        from workers.training.runs import Run
    except ModuleNotFoundError as error:
        raise ScannerError(WITHOUT_EXTRA.format(name=error.name)) from error
    if name not in RECIPES and name not in PROBES:
        names = ", ".join([*RECIPES, *PROBES])
        raise InvalidInput(f"unknown recipe {name!r}: expected one of {names}")
    run = Run(
        options.data, options.out, options.seed, options.resume, options.weights, options.cache
    )
    say = partial(click.echo, err=True)
    if name in PROBES:
        click.echo(train_probe(PROBES[name], run, say))
        return
    recipe = _with_epochs(RECIPES[name], epochs)
    click.echo(write_results(recipe, run, train(recipe, run, say), say))


def _with_epochs(recipe: Recipe, epochs: int | None) -> Recipe:
    if epochs is None:
        return recipe
    *before, last = recipe.phases
    return replace(recipe, phases=(*before, replace(last, epochs=epochs)))
