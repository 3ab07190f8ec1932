"""`scanner check`: judge single files, without queue and store."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scanner.exits import DONE, FAIL_ON, INCOMPLETE
from scanner.options.output import fail_on_option, json_option
from scanner.options.parameters import PathParameter
from scanner.options.record import as_record
from scanner.options.scan_request import (
    context_option,
    detectors_option,
    file_names_option,
    marks_option,
)

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


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """How `check` judges and reports."""

    detectors: str | None
    with_context: bool
    with_file_names: bool
    with_marks: bool
    fail_on: str | None
    as_json: bool


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    # A file that cannot be read is one result among others.
    type=PathParameter(readable=False, path_type=Path),
    metavar="FILE...",
)
@detectors_option
@context_option
@file_names_option
@marks_option
@fail_on_option
@json_option
@as_record(CheckOptions)
def command(*, files: Sequence[Path], options: CheckOptions) -> None:
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

    plan = plan_for(
        options.detectors,
        with_context=options.with_context,
        with_file_names=options.with_file_names,
        with_marks=options.with_marks,
    )
    outcomes = set()
    for file, verdict in _judged(files, plan):
        outcomes.add(verdict.outcome)
        (_print_json if options.as_json else _print)(file, verdict)
    if options.fail_on is not None and options.fail_on in outcomes:
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
    from scanner.report.text import labels
    from storage.paths import shown

    score = "" if verdict.score is None else f", score {verdict.score:.3f}"
    name = shown(os.fsencode(file))
    click.echo(f"{name}: {MEANING[verdict.outcome]}{score}")
    for finding in verdict.findings:
        text = finding.text
        if finding.kind == "score":
            text = f"score {finding.score:.3f}" + (f", {text}" if text else "")
        click.echo(f"  {finding.detector}: {text}")
    if verdict.error is not None:
        click.echo(f"  {labels.error(verdict.error.kind)}: {verdict.error.text}")
        if file.is_dir():
            click.echo(f"  To judge the images in it: scanner scan {shlex.quote(name)}")
