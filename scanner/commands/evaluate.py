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
    from workers.detectors.card import Card, Measured

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
    "named FAKE and REAL.",
)
@json_option
def command(name: str, *, data: Path, as_json: bool) -> None:
    """Measure the detector NAME, as workers run it, on labelled pictures.

    \b
    Examples:
      scanner evaluate objects-32 --data ~/datasets
      scanner evaluate objects-32 --data my-pictures/ --json

    Pictures have to have the detector's input size. A score of 0.5 and more counts as AI.
    """
    try:
        from workers.training import classification  # `--help` is instant
    except ModuleNotFoundError as error:
        raise Failed(WITHOUT_EXTRA.format(name=error.name)) from error
    card = _card(name)
    measured = _measure(card, data)
    if as_json:
        body = {"name": card.name, "version": card.version, "sha256": card.sha256}
        click.echo(json.dumps(body | asdict(measured)))
    else:
        click.echo(f"{card.name} version {card.version} on {measured.on}\n")
        click.echo(classification.table(measured), nl=False)


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


def _measure(card: Card, data: Path) -> Measured:
    from workers.detectors.card import CardError
    from workers.training import evaluate
    from workers.training.data import DataError, read
    from workers.training.recipes import RECIPES

    recipe = RECIPES.get(card.name)
    if recipe is not None and (data / recipe.test_zip).is_file():
        data = data / recipe.test_zip
    try:
        size = card.input.width if card.input is not None else 0
        scored = evaluate.score(card, read(data, size), data.name)
        return evaluate.measure(scored, card.thresholds.ai)
    except (CardError, DataError) as error:
        raise Failed(str(error)) from error
