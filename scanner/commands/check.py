"""`scanner check`: look at single files, with no queue and no store."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scanner.exits import DONE, INCOMPLETE
from scanner.options import json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.records import Verdict

# The sentence for people behind each outcome.
MEANING = {
    "ai": "AI-made",
    "unsure": "doubtful",
    "no_evidence": "no evidence of AI (which does not make it real)",
    "error": "could not be judged",
}


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE...",
)
@click.option("--detectors", metavar="A,B", help="Use only these.  [default: what suits it]")
@json_option
@click.pass_context
def command(
    ctx: click.Context, *, files: Sequence[Path], detectors: str | None, as_json: bool
) -> None:
    """Look at each FILE and say what is found, here and now.

    \b
    Examples:
      scanner check photo.jpg
      scanner check *.png --json
      scanner check photo.jpg --detectors provenance

    With --json, one object a line. Exit codes: 0, or 3 if a file could not be read.
    """
    from scanner.report.row import check_row

    failed = False
    for file, verdict in zip(files, _verdicts(files, detectors), strict=True):
        failed = failed or verdict.error is not None
        if as_json:
            click.echo(json.dumps(check_row(os.fsencode(file), verdict)))
        else:
            _print(file, verdict)
    ctx.exit(INCOMPLETE if failed else DONE)


def _verdicts(files: Sequence[Path], detectors: str | None) -> list[Verdict]:
    from storage.records import BatchImage
    from workers.detectors import catalogue
    from workers.pipeline import make_pipeline
    from workers.plan import PlanError, make_plan
    from workers.settings import Limits
    from workers.single import SingleFiles

    wanted = [name.strip() for name in (detectors or "").split(",") if name.strip()]
    try:
        plan = make_plan(catalogue.shipped(), wanted)
    except PlanError as error:
        raise click.BadParameter(str(error), param_hint="--detectors") from error
    pipeline = make_pipeline(plan, Limits().max_pixels)
    source = SingleFiles(Limits().max_bytes)
    images = [BatchImage(n, os.fsencode(file.absolute()), 0) for n, file in enumerate(files)]
    verdicts: list[Verdict] = []
    while len(verdicts) < len(images):
        verdicts += pipeline.chunk(source, images[len(verdicts) :])
    return verdicts


def _print(file: Path, verdict: Verdict) -> None:
    from storage.paths import shown

    score = "" if verdict.score is None else f", score {verdict.score:.3f}"
    click.echo(f"{shown(os.fsencode(file))}: {MEANING[verdict.outcome]}{score}")
    for said in verdict.findings:
        words = said.text
        if said.kind == "score":
            words = f"score {said.score:.3f}" + (f", {words}" if words else "")
        click.echo(f"  {said.detector}: {words}")
    if verdict.error is not None:
        click.echo(f"  {verdict.error.kind}: {verdict.error.text}")
