"""`scanner calibrate`: set thresholds by photos that are known to be real."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scanner.exits import Failed
from scanner.options.common import FiniteRange, json_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scanner.options.thresholds import Own
    from storage.records import Plan, PlannedDetector

# A word on how far it is, so often.
TELL_EVERY = 100


@dataclass(frozen=True, slots=True)
class Set:
    """What became of one detector's thresholds; `own` is None where the photos were too few."""

    detector: str
    photos: int
    alarms: int
    before: float
    own: Own | None


@click.command()
@click.option(
    "--real",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Photos that you know to be real, of the kind that you will scan.",
)
@click.option(
    "--rate",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="The most of them that may raise an alarm.",
)
@click.option("--detectors", metavar="A,B", help="Only these.  [default: those that ship]")
@click.option("--forget", is_flag=True, help="Go back to the thresholds on the cards.")
@json_option
def command(
    *, real: Path | None, rate: float, detectors: str | None, forget: bool, as_json: bool
) -> None:
    """Set your own thresholds by photos that you know to be real.

    \b
    Examples:
      scanner calibrate --real ~/Pictures/2004
      scanner calibrate --real ~/Pictures/2004 --rate 0.002
      scanner calibrate --forget

    Of your real photos, no more than the rate will be called AI-made (or doubtful, by a detector
    that calls nothing AI-made), with a certainty of 95 %: one in a hundred takes 299 photos. The
    thresholds are part of a scan's plan: a scan with new ones judges everything anew.
    """
    from scanner.options import thresholds

    if forget == (real is not None):
        raise click.UsageError("Name a folder of real photos with --real, or --forget")
    if real is None:
        thresholds.file().unlink(missing_ok=True)
        click.echo("thresholds are those of the cards again", err=True)
        return
    plan = _plan(detectors)
    try:
        # First: looking at all the photos takes a while.
        kept = thresholds.kept()
        scores = _scores(real, plan)
        made = [_set(one, scores[one.name], rate) for one in plan.detectors if one.sha256]
        fresh = {one.detector: one.own for one in made if one.own is not None}
        thresholds.keep(kept | fresh)
    except thresholds.ThresholdError as error:
        raise Failed(str(error)) from error
    if as_json:
        click.echo(json.dumps({"rate": rate, "detectors": [asdict(one) for one in made]}))
    else:
        for one in made:
            click.echo(_said(one, rate))
    if not fresh:
        raise Failed(
            f"no thresholds were set: it takes {thresholds.least_photos(rate):,} photos that a "
            f"detector looks at to be certain of a rate of {rate:g}"
        )


def _plan(detectors: str | None) -> Plan:
    from scanner.options.scan_request import plan_by_cards

    return plan_by_cards(detectors)


def _scores(folder: Path, plan: Plan) -> dict[str, list[float]]:
    """Each detector's scores of the photos that it looks at: of several faces, the highest."""
    from storage.records import PROVENANCE, BatchImage, PlanError
    from workers.limits import Limits
    from workers.pipeline.pipeline import make_pipeline
    from workers.sources.files import FileSource

    limits = Limits()
    try:
        pipeline = make_pipeline(plan, limits.max_pixels)
    except PlanError as error:
        raise Failed(str(error)) from error
    scores: dict[str, list[float]] = defaultdict(list)
    source, suspects = FileSource(limits.max_bytes), 0
    for number, path in enumerate(_photos(folder), start=1):
        (verdict,) = pipeline.chunk(source, [BatchImage(number, path, 0)])
        said: dict[str, float] = {}
        for one in verdict.findings:
            if one.score is not None:
                said[one.detector] = max(one.score, said.get(one.detector, 0.0))
        if PROVENANCE in said:
            suspects += 1
            continue
        for name, score in said.items():
            scores[name].append(score)
        if number % TELL_EVERY == 0:
            click.echo(f"{number:,} photos looked at", err=True)
    if suspects:
        click.echo(
            f"{suspects:,} left out: their own metadata speaks of AI, so they may not be real",
            err=True,
        )
    return scores


def _photos(folder: Path) -> Iterator[bytes]:
    from scanner.listing.walk import Walk, WalkError, WalkOptions

    root = folder.absolute()
    try:
        for one in Walk(root, WalkOptions()):
            yield os.path.join(os.fsencode(root), one.path)  # noqa: PTH118 - paths are bytes
    except WalkError as error:
        raise Failed(str(error)) from error


def _set(planned: PlannedDetector, scores: list[float], rate: float) -> Set:
    from scanner.options.thresholds import allowed, own_for, threshold

    alarms = allowed(len(scores), rate)
    before = planned.thresholds.flagged_from
    if alarms is None:
        return Set(planned.name, len(scores), 0, before, None)
    own = own_for(planned, threshold(scores, alarms))
    after = own.thresholds.flagged_from
    return Set(planned.name, len(scores), sum(one >= after for one in scores), before, own)


def _said(one: Set, rate: float) -> str:
    from scanner.options.thresholds import least_photos
    from storage.records import NEVER

    if one.own is None:
        return (
            f"{one.detector}: as it was, for it looked at {one.photos:,} of the photos, and a rate "
            f"of {rate:g} takes {least_photos(rate):,}"
        )
    word = "ai" if one.own.ai < NEVER else "unsure"
    now = one.own.thresholds.flagged_from
    return (
        f"{one.detector}: {word} from {now:.3f} (before: {one.before:.3f}), which "
        f"{one.alarms:,} of {one.photos:,} photos reach"
    )
