"""`scanner evaluate`: measure a shipped detector on labelled images."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scanner.exits import Failed
from scanner.options import json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.detectors.card import Card
    from workers.training.recipe import Pictures

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
@click.option(
    "--changes", is_flag=True, help="Measure after saving, resizing and the like, too: slow."
)
@json_option
def command(name: str, *, data: Path, changes: bool, as_json: bool) -> None:
    """Measure the detector NAME, as workers run it, on labelled pictures.

    \b
    Examples:
      scanner evaluate objects-32 --data ~/datasets
      scanner evaluate scenes --data ~/datasets --changes
      scanner evaluate faces --data my-pictures/ --json

    Pictures that have nothing for the detector in them (too small, without a face) are
    counted and left out. A score of 0.5 and more counts as AI; flagged is what is called AI, or
    doubtful by a detector that calls nothing AI.
    """
    try:
        from workers.training import classification  # `--help` is instant
    except ModuleNotFoundError as error:
        raise Failed(WITHOUT_EXTRA.format(name=error.name)) from error
    card = _measured(_card(name), data, changes=changes)
    if card.measured is None:
        raise Failed(f"{name} was not measured")
    if as_json:
        body: dict[str, Any] = {"name": card.name, "version": card.version, "sha256": card.sha256}
        body |= asdict(card.measured)
        body["sources"] = [asdict(each) for each in card.sources]
        body["changes"] = [asdict(each) for each in card.changes]
        click.echo(json.dumps(body))
        return
    click.echo(f"{card.name} version {card.version} on {card.measured.on}\n")
    click.echo(classification.whole(card), nl=False)
    if card.measured.without_view:
        click.echo(f"\nleft out, with nothing for it: {card.measured.without_view:,}")


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


def _measured(card: Card, data: Path, *, changes: bool) -> Card:
    from workers.detectors.card import CardError
    from workers.training import measures
    from workers.training.data import DataError, located
    from workers.training.pictures import read_each
    from workers.training.probes import PROBES
    from workers.training.recipes import RECIPES

    folder, pictures = located(data)
    sets: Sequence[Pictures] = (pictures,)
    recipe = RECIPES.get(card.name)
    tests = PROBES[card.name].test if card.name in PROBES else recipe.data.test if recipe else ()
    if tests and all((data / each.file).is_file() for each in tests):
        folder, sets = data, tests
    try:
        read = list(read_each(folder, sets))
        on = ", ".join(f"{each.file} {each.below}".strip() for each in sets)
        card = measures.measured(card, read, on)
        return measures.changed(card, read, _tell) if changes else card
    except (CardError, DataError) as error:
        raise Failed(str(error)) from error


def _tell(line: str) -> None:
    click.echo(line, err=True)
