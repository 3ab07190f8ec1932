"""`scanner check`: look at single files, with no queue and no store."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scanner.exits import DONE, FAIL_ON, INCOMPLETE, Failed
from scanner.options.common import fail_on_option, json_option

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    # Whatever it is: a file that cannot be read is one result among others.
    type=click.Path(readable=False, path_type=Path),
    metavar="FILE...",
)
@click.option("--detectors", metavar="A,B", help="Use only these.  [default: what suits it]")
@fail_on_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    files: Sequence[Path],
    detectors: str | None,
    fail_on: str | None,
    as_json: bool,
) -> None:
    """Look at each FILE and say what is found, here and now.

    \b
    Examples:
      scanner check photo.jpg
      scanner check *.png --json
      scanner check photo.jpg --detectors provenance

    With --json, one object a line. Exit codes: 0, 3 if a file could not be read, 5 if a --fail-on
    was met.
    """
    from scanner.report.formats.row import check_row

    failed, found = False, False
    for file, verdict in _judged(files, detectors):
        failed = failed or verdict.error is not None
        found = found or verdict.outcome == "ai"
        if as_json:
            click.echo(json.dumps(check_row(os.fsencode(file), verdict)))
        else:
            _print(file, verdict)
    if fail_on == "ai" and found:
        ctx.exit(FAIL_ON)
    ctx.exit(INCOMPLETE if failed else DONE)


def _judged(files: Sequence[Path], detectors: str | None) -> Iterator[tuple[Path, Verdict]]:
    """Each file with its verdict, as soon as there is one."""
    from scanner.options.scan_request import plan_for
    from storage.records import BatchImage, PlanError
    from workers.limits import Limits
    from workers.pipeline.pipeline import make_pipeline
    from workers.sources.files import FileSource

    try:
        pipeline = make_pipeline(plan_for(detectors), Limits().max_pixels)
    except PlanError as error:
        raise Failed(str(error)) from error
    source = FileSource(Limits().max_bytes)
    for number, file in enumerate(files):
        image = BatchImage(number, os.fsencode(file.absolute()), 0)
        (verdict,) = pipeline.chunk(source, [image])
        yield file, verdict


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
