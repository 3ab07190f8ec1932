"""`scanner calibrate`: set thresholds by photos that are known to be real."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scanner.options.completion import complete_detector
from scanner.options.output import json_option
from scanner.options.parameters import FiniteRange, PathParameter
from storage.errors import ScannerError

if TYPE_CHECKING:
    from scanner.detectors.calibrate import Calibrated


@click.command()
@click.option(
    "--real",
    type=PathParameter(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Photos that you know to be real, of the kind that you will scan.",
)
@click.option(
    "--rate",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="Maximum false-positive rate.",
)
@click.option(
    "--detectors",
    metavar="A,B",
    shell_complete=complete_detector,
    help="Calibrate only these.  [default: the built-in ones]",
)
@click.option("--forget", is_flag=True, help="Go back to the thresholds on the cards.")
@json_option
def command(
    *, real: Path | None, rate: float, detectors: str | None, forget: bool, as_json: bool
) -> None:
    """Set custom thresholds by photos that you know to be real.

    \b
    Examples:
      scanner calibrate --real ~/Pictures/2004
      scanner calibrate --real ~/Pictures/2004 --rate 0.002
      scanner calibrate --forget

    With 95 % confidence, at most this share of your real photos gets the verdict `ai` (or
    `unsure`, by a detector that never says `ai`): a rate of 1 % takes 299 photos. The thresholds
    are part of a scan's plan: the next scan judges every image again.
    """
    from scanner.detectors.calibrate import calibrate
    from scanner.detectors.plan import plan_by_cards
    from scanner.detectors.thresholds import minimum_photos, thresholds_file

    if forget == (real is not None):
        raise click.UsageError("name either --real, with a folder of real photos, or --forget")
    if real is None:
        thresholds_file().unlink(missing_ok=True)
        click.echo("the thresholds on the cards are used again", err=True)
        return
    results = calibrate(real, plan_by_cards(detectors), rate, partial(click.echo, err=True))
    if as_json:
        click.echo(json.dumps({"rate": rate, "detectors": [_body(each) for each in results]}))
    else:
        for result in results:
            click.echo(_sentence(result, rate))
    if all(result.thresholds is None for result in results):
        raise ScannerError(
            f"no thresholds were set: a detector has to score at least {minimum_photos(rate):,} "
            f"photos for a rate of {rate:g}"
        )


def _body(result: Calibrated) -> dict[str, Any]:
    body = asdict(result)
    # `alarms` and `own` are the names of 0.1.
    return {**body, "alarms": body["false_positives"], "own": body["thresholds"]}


def _sentence(result: Calibrated, rate: float) -> str:
    from scanner.detectors.thresholds import minimum_photos
    from storage.records import NEVER

    if result.thresholds is None:
        return (
            f"{result.detector}: unchanged, since it scored {result.photos:,} of the photos, and a "
            f"rate of {rate:g} takes {minimum_photos(rate):,}"
        )
    verdict = "ai" if result.thresholds.ai < NEVER else "unsure"
    now = result.thresholds.thresholds.flagged_from
    return (
        f"{result.detector}: {verdict} from {now:.3f} (before: {result.before:.3f}), which "
        f"{result.false_positives:,} of {result.photos:,} photos reach"
    )
