"""`scanner evaluate`: measure a detector, or the model of a run, on labelled images."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scanner.options.completion import complete_detector
from scanner.options.output import json_option
from scanner.options.parameters import PathParameter
from storage.errors import ScannerError
from storage.optional_packages import with_extra

if TYPE_CHECKING:
    from scanner.detectors.evaluate import Evaluation

WITHOUT_EXTRA = f"measuring needs packages that are not installed ({{name}}): {with_extra('train')}"


@click.command()
@click.argument("name", shell_complete=complete_detector)
@click.option(
    "--data",
    required=True,
    type=PathParameter(path_type=Path),
    metavar="FOLDER",
    help="A folder with the detector's test zip, or any zip or folder of images in folders named "
    "FAKE and REAL; a path may lead into a zip.",
)
@click.option(
    "--changes", is_flag=True, help="Measure also after saving, resizing and the like: slow."
)
@click.option("--markdown", is_flag=True, help="Print a detector's figures as a table.")
@json_option
def command(name: str, *, data: Path, changes: bool, markdown: bool, as_json: bool) -> None:
    """Measure the detector NAME, as workers run it, on labelled images.

    \b
    Examples:
      scanner evaluate objects-32 --data ~/datasets
      scanner evaluate scenes --data ~/datasets --changes
      scanner evaluate faces --data my-photos/ --json
      scanner evaluate faces --data ~/datasets --markdown
      scanner evaluate runs/cifake-vgg16 --data ~/datasets/faces.zip/test

    Images are examined by the rules of a scan: those that a scan would not give to the detector
    (wrong size, no face) are counted and left out. A score of 0.5 and more
    counts as AI-generated; flagged means the verdict `ai`, or `unsure` by a detector that never
    says `ai`.

    In place of NAME, the folder of a `scanner train` run measures its model as it was trained
    (needs TensorFlow), on images of any size: they are resized to the model's input.
    """
    run = Path(name)
    is_run = (run / "recipe.json").is_file()
    try:
        from scanner.detectors.evaluate import evaluate_detector, evaluate_run

        if not is_run:
            say = partial(click.echo, err=True)
            evaluation = evaluate_detector(name, data, say, changes=changes)
        elif markdown or changes:
            option = "--markdown" if markdown else "--changes"
            raise click.UsageError(f"{option} is for detectors, not for the folder of a run")
        else:
            evaluation = evaluate_run(run, data)
        if as_json:
            click.echo(json.dumps(_body(evaluation)))
        elif markdown:
            click.echo(evaluation.table, nl=False)
        else:
            _print(evaluation)
    except ModuleNotFoundError as error:
        raise ScannerError(WITHOUT_EXTRA.format(name=error.name)) from error


def _body(evaluation: Evaluation) -> dict[str, object]:
    return {
        **evaluation.head,
        **asdict(evaluation.measured),
        "not_examined": evaluation.measured.without_view,
        "sources": [asdict(each) for each in evaluation.sources],
        "changes": [asdict(each) for each in evaluation.changes],
    }


def _print(evaluation: Evaluation) -> None:
    from workers.training.evaluation import text_tables

    head, measured = evaluation.head, evaluation.measured
    click.echo(f"{head['name']} version {head['version']} on {measured.on}\n")
    figures = text_tables.all_tables(measured, evaluation.sources, evaluation.changes)
    click.echo(figures, nl=False)
    if measured.without_view:
        click.echo(f"\nnot examined by this detector: {measured.without_view:,}")
