"""`scanner evaluate`: measure a detector, or the net of a run, on labelled images."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scanner.exits import Failed
from scanner.options.common import json_option, sound_models
from storage.extras import with_extra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.detectors.card import Card, Changed, Measured, OfSource
    from workers.training.recipes.recipe import Pictures, Recipe

WITHOUT_EXTRA = f"Measuring needs packages that are not installed ({{name}}): {with_extra('train')}"


@dataclass(frozen=True, slots=True)
class Found:
    """What was measured, and what came out."""

    head: dict[str, Any]
    measured: Measured
    sources: Sequence[OfSource]
    changes: Sequence[Changed] = ()
    table: str = ""


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
@click.option(
    "--changes", is_flag=True, help="Measure after saving, resizing and the like, too: slow."
)
@click.option("--markdown", is_flag=True, help="Print a detector's figures as a table.")
@json_option
def command(name: str, *, data: Path, changes: bool, markdown: bool, as_json: bool) -> None:
    """Measure the detector NAME, as workers run it, on labelled pictures.

    \b
    Examples:
      scanner evaluate objects-32 --data ~/datasets
      scanner evaluate scenes --data ~/datasets --changes
      scanner evaluate faces --data my-pictures/ --json
      scanner evaluate faces --data ~/datasets --markdown
      scanner evaluate runs/cifake-vgg16 --data ~/datasets/faces.zip/test

    Images are examined by the rules of a scan: those that a scan would not give to the detector
    (wrong size, no face, a portrait for scenes) are counted and left out. A score of 0.5 and more
    counts as AI; flagged is what is called AI, or unsure by a detector that calls nothing AI.

    In place of NAME, the folder of a run that `scanner train` made is measured as it was trained
    (this needs TensorFlow), on pictures of any size: they are resized to what it takes.
    """
    try:
        from workers.training.evaluation import text_tables  # `--help` is instant
    except ModuleNotFoundError as error:
        raise Failed(WITHOUT_EXTRA.format(name=error.name)) from error
    run = Path(name)
    if (run / "recipe.json").is_file():
        if markdown or changes:
            option = "--markdown" if markdown else "--changes"
            raise click.UsageError(f"{option} is for detectors, not for the folder of a run.")
        found = _of_run(run, data)
    else:
        found = _of_card(_card(name), data, changes=changes)
    if as_json:
        body = found.head | asdict(found.measured)
        body["not_examined"] = found.measured.without_view
        body["sources"] = [asdict(each) for each in found.sources]
        body["changes"] = [asdict(each) for each in found.changes]
        click.echo(json.dumps(body))
        return
    if markdown:
        click.echo(found.table, nl=False)
        return
    click.echo(f"{found.head['name']} version {found.head['version']} on {found.measured.on}\n")
    click.echo(text_tables.whole(found.measured, found.sources, found.changes), nl=False)
    if found.measured.without_view:
        click.echo(f"\nnot examined by this detector: {found.measured.without_view:,}")


def _of_run(run: Path, data: Path) -> Found:
    """Score pictures of any size by the net of a run, as it was trained."""
    recipe = _recipe_of(run)  # first, because it needs no TensorFlow
    try:
        from workers.training import environment

        environment.prepare()
        # TensorFlow reads what `prepare` sets when it is imported.
        from workers.training.evaluation.network_scores import judge
    except ModuleNotFoundError as error:
        raise Failed(WITHOUT_EXTRA.format(name=error.name)) from error
    from workers.training.data.datasets import DataError, located, read
    from workers.training.evaluation import metrics
    from workers.training.recipes.recipe import Pixels
    from workers.training.runs import RunError

    folder, pictures = located(data)
    try:
        labelled = read(folder, (pictures,), Pixels(recipe.size, "resized"))
        on = f"{pictures.file}/{pictures.below}".rstrip("/")
        scored = judge(recipe, run, labelled, on)
        measured = metrics.measure(scored, metrics.EVEN)
    except (DataError, OSError, RunError, ValueError) as error:
        raise Failed(str(error)) from error
    head = {"name": recipe.name, "version": recipe.version}
    return Found(head, measured, metrics.by_source(scored, metrics.EVEN.flagged_from))


def _recipe_of(run: Path) -> Recipe:
    """Return the recipe that the net of a run was trained by."""
    from workers.training.recipes.builtin import RECIPES

    try:
        return RECIPES[json.loads((run / "recipe.json").read_text())["recipe"]["name"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise Failed(f"{run} is no folder of a run that `scanner train` made") from error


def _card(name: str) -> Card:
    from workers.detectors import installed as catalogue

    with sound_models():
        installed = catalogue.installed()
    cards = {each: card for each, card in installed.items() if card.model is not None}
    if name not in cards:
        raise click.BadParameter(
            f"there is no detector {name!r} with a model, only {', '.join(cards)}",
            param_hint="NAME",
        )
    return cards[name]


def _of_card(card: Card, data: Path, *, changes: bool) -> Found:
    from workers.detectors.card import CardError
    from workers.training.data.datasets import DataError, located
    from workers.training.data.labelled_images import read_each
    from workers.training.evaluation import detector_figures, markdown_tables
    from workers.training.recipes.builtin import RECIPES
    from workers.training.recipes.probes import PROBES

    folder, pictures = located(data)
    sets: Sequence[Pictures] = (pictures,)
    recipe = RECIPES.get(card.name)
    tests = PROBES[card.name].test if card.name in PROBES else recipe.data.test if recipe else ()
    if tests and all((data / each.file).is_file() for each in tests):
        folder, sets = data, tests
    try:
        read = list(read_each(folder, sets))
        on = ", ".join(f"{each.file} {each.below}".strip() for each in sets)
        seen = detector_figures.look(card, read, on)
        card = detector_figures.with_figures(card, seen)
        if changes:
            card = detector_figures.changed(card, read, _tell)
    except (CardError, DataError) as error:
        raise Failed(str(error)) from error
    if card.measured is None:
        raise Failed(f"{card.name} was not measured")
    head = {"name": card.name, "version": card.version, "sha256": card.sha256}
    table = markdown_tables.markdown(card, seen, card.measured, card.sources)
    return Found(head, card.measured, card.sources, card.changes, table)


def _tell(line: str) -> None:
    click.echo(line, err=True)
