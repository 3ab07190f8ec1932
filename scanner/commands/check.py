"""`scanner check`: judge single files, without queue and store."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scanner.exits import DONE, FAIL_ON, INCOMPLETE
from scanner.options.output import fail_on_option, json_option
from scanner.options.scan_request import context_option, detectors_option

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from storage.records import Plan, Verdict

# What people read for each outcome.
MEANING = {
    "ai": "AI-generated",
    "unsure": "unsure",
    "no_evidence": "no evidence of AI (which does not make it real)",
    "error": "could not be judged",
}


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    # A file that cannot be read is one result among others.
    type=click.Path(readable=False, path_type=Path),
    metavar="FILE...",
)
@detectors_option
@context_option
@fail_on_option
@json_option
def command(
    *,
    files: Sequence[Path],
    detectors: str | None,
    with_context: bool,
    fail_on: str | None,
    as_json: bool,
) -> None:
    """Judge each FILE and print the verdict.

    \b
    Examples:
      scanner check photo.jpg
      scanner check *.png --json
      scanner check photo.jpg --detectors provenance

    With --json, one object a line. Exit codes: 0 done, 3 a file could not be read, 5 --fail-on
    matched.
    """
    from scanner.detectors.plan import plan_for

    outcomes = set()
    for file, verdict in _judged(files, plan_for(detectors, with_context=with_context)):
        outcomes.add(verdict.outcome)
        (_print_json if as_json else _print)(file, verdict)
    if fail_on is not None and fail_on in outcomes:
        click.get_current_context().exit(FAIL_ON)
    click.get_current_context().exit(INCOMPLETE if "error" in outcomes else DONE)


def _judged(files: Sequence[Path], plan: Plan) -> Iterator[tuple[Path, Verdict]]:
    """Yield each file with its verdict, as soon as there is one.

    They are judged in the sandbox: a hostile file ends the process that decodes it.
    """
    from scanner.listing.sidecars import find_sidecars
    from storage.records import BatchImage
    from workers.batch.sandbox import Sandbox
    from workers.limits import Limits
    from workers.sources.files import FileSource

    limits = Limits()
    source = FileSource(limits.max_bytes)
    paths = [os.fsencode(file.absolute()) for file in files]
    sidecars = find_sidecars(paths)
    with Sandbox(plan, limits) as sandbox:
        for number, (file, path) in enumerate(zip(files, paths, strict=True)):
            image = BatchImage(number, path, 0, sidecars.get(path, ()))
            yield file, sandbox.judge(source, image)


def _print_json(file: Path, verdict: Verdict) -> None:
    from scanner.report.formats.row import check_row

    click.echo(json.dumps(check_row(os.fsencode(file), verdict)))


def _print(file: Path, verdict: Verdict) -> None:
    from storage.paths import shown

    score = "" if verdict.score is None else f", score {verdict.score:.3f}"
    click.echo(f"{shown(os.fsencode(file))}: {MEANING[verdict.outcome]}{score}")
    for finding in verdict.findings:
        text = finding.text
        if finding.kind == "score":
            text = f"score {finding.score:.3f}" + (f", {text}" if text else "")
        click.echo(f"  {finding.detector}: {text}")
    if verdict.error is not None:
        click.echo(f"  {verdict.error.kind}: {verdict.error.text}")
