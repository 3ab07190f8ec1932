"""`scanner evaluate`: measure a shipped detector on labelled images."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scanner.exits import Failed
from scanner.options import json_option

if TYPE_CHECKING:
    from workers.detectors.card import Card
    from workers.training.evaluate import Scored

WITHOUT_EXTRA = (
    "Measuring needs packages that are not installed ({name}): "
    "pip install 'ai-photo-scanner[train]'"
)


@click.command()
@click.argument("name")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="A folder with the detector's test zip, or any zip or folder of pictures in folders "
    "named FAKE and REAL; a path may lead into a zip.",
)
@json_option
def command(name: str, *, data: Path, as_json: bool) -> None:
    """Measure the detector NAME, as workers run it, on labelled pictures.

    \b
    Examples:
      scanner evaluate objects-32 --data ~/datasets
      scanner evaluate objects-32 --data my-pictures/ --json
      scanner evaluate runs/cifake-vgg16 --data ~/datasets/faces.zip/test

    Pictures have to have the detector's input size. A score of 0.5 and more counts as AI. In
    place of NAME, the folder of a run that `scanner train` made is measured as it was trained
    (this needs TensorFlow), on pictures of any size: they are resized to what it takes.
    """
    try:
        from workers.training import classification, evaluate  # `--help` is instant
        from workers.training.data import DataError
    except ModuleNotFoundError as error:
        raise Failed(WITHOUT_EXTRA.format(name=error.name)) from error
    run = Path(name)
    if (run / "recipe.json").is_file():
        head, scored, at = _of_run(run, data)
    else:
        card = _card(name)
        head = {"name": card.name, "version": card.version, "sha256": card.sha256}
        scored, at = _scored(card, data), card.thresholds.ai
    try:
        measured = evaluate.measure(scored, at)
    except DataError as error:
        raise Failed(str(error)) from error
    sources = evaluate.by_source(scored)
    if as_json:
        rows = [asdict(each) for each in sources]
        click.echo(json.dumps(head | asdict(measured) | {"sources": rows}))
    else:
        click.echo(f"{head['name']} version {head['version']} on {measured.on}\n")
        click.echo(classification.table(measured), nl=False)
        click.echo(classification.sources(sources), nl=False)


def _of_run(run: Path, data: Path) -> tuple[dict[str, object], Scored, float]:
    """Score pictures of any size by the net of a run, as it was trained."""
    try:
        from workers.training import environment

        environment.prepare()
        # TensorFlow reads what `prepare` sets when it is imported.
        from workers.training.judge import judge
    except ModuleNotFoundError as error:
        raise Failed(WITHOUT_EXTRA.format(name=error.name)) from error
    from workers.training.data import DataError, located, read
    from workers.training.evaluate import CUT
    from workers.training.recipe import Pixels
    from workers.training.recipes import RECIPES

    name = json.loads((run / "recipe.json").read_text())["recipe"]["name"]
    if name not in RECIPES:
        raise Failed(f"{run} is a run of {name!r}, for which there is no recipe")
    recipe = RECIPES[name]
    folder, pictures = located(data)
    try:
        labelled = read(folder, (pictures,), Pixels(recipe.size, "resized"))
        on = f"{pictures.file}/{pictures.below}".rstrip("/")
        scored = judge(recipe, run, labelled, on)
    except (DataError, OSError, ValueError) as error:
        raise Failed(str(error)) from error
    return {"name": recipe.name, "version": recipe.version}, scored, CUT


def _card(name: str) -> Card:
    from workers.detectors import catalogue
    from workers.detectors.card import CardError

    try:
        shipped = catalogue.shipped()
    except CardError as error:
        raise Failed(f"{error}: install scanner again") from error
    cards = {each: card for each, card in shipped.items() if card.model is not None}
    if name not in cards:
        raise click.BadParameter(
            f"there is no detector {name!r} with a model, only {', '.join(cards)}",
            param_hint="NAME",
        )
    return cards[name]


def _scored(card: Card, data: Path) -> Scored:
    from workers.detectors.card import CardError
    from workers.training import evaluate
    from workers.training.data import DataError, located, read
    from workers.training.recipe import Pictures, Pixels
    from workers.training.recipes import RECIPES

    folder, pictures = located(data)
    sets: tuple[Pictures, ...] = (pictures,)
    pixels = Pixels(card.input.width if card.input is not None else 0)
    recipe = RECIPES.get(card.name)
    if recipe is not None and all((data / each.file).is_file() for each in recipe.data.test):
        folder, sets, pixels = data, recipe.data.test, recipe.data.pixels
    try:
        labelled = read(folder, sets, pixels).middle(pixels.size)
        return evaluate.score(card, labelled, ", ".join(each.file for each in sets))
    except (CardError, DataError) as error:
        raise Failed(str(error)) from error
