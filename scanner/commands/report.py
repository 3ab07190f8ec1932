"""`scanner report`: sum up a scan, or compare two."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from scanner.exits import DONE, FAIL_ON
from scanner.language import ENGLISH, LANGUAGES, speaking
from scanner.options.broker import broker_option
from scanner.options.completion import complete_scan
from scanner.options.output import (
    fail_on_option,
    full_option,
    json_option,
    output_option,
    refuse_parquet_on_terminal,
)
from scanner.options.record import as_record
from scanner.options.store import ScanNumber, open_store, store_option

if TYPE_CHECKING:
    from pathlib import Path

    from scanner.report.figures.build import Report
    from scanner.report.figures.compare import Comparison
    from storage.database.store import Store


@dataclass(frozen=True, slots=True)
class Options:
    """What to report on, and how to print it."""

    scans: tuple[int, ...]
    store: str
    output_format: str
    output: Path | None
    redact: bool
    language: str
    full: bool
    fail_on: str | None
    broker: str
    as_json: bool


@click.command()
@click.argument(
    "scans", metavar="[SCAN [LATER]]", type=ScanNumber(), shell_complete=complete_scan, nargs=-1
)
@store_option
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json", "csv", "parquet", "html"]),
    default="table",
    show_default=True,
    help="`html` is one file that needs no network, `parquet` needs the extra of that name.",
)
@output_option
@click.option("--redact", is_flag=True, help="Leave out paths and names, to pass the report on.")
@click.option(
    "--language",
    type=click.Choice(list(LANGUAGES)),
    default=ENGLISH,
    show_default=True,
    help="Of the HTML; everything else is in English.",
)
@full_option
@fail_on_option
@broker_option
@json_option
@as_record(Options)
@click.pass_context
def command(ctx: click.Context, *, options: Options) -> None:
    """Sum up SCAN (default: the latest), finished or not; or what changed from SCAN to LATER.

    Shows how many images are AI-generated and how certain that is, by which detectors and in
    which folders, what could not be read, which machines worked and how fast; with labels also
    the accuracy. "No evidence" never means that an image is real.

    \b
    Examples:
      scanner report
      scanner report 7 --format json | jq .verdicts
      scanner report --format html --output report.html
      scanner report --format html --language zh-Hant > report.html
      scanner report 7 9 --redact

    Exit codes: 0 done, 5 --fail-on matched.
    """
    from scanner.report.figures.build import Report
    from scanner.report.figures.redact import redacted
    from scanner.report.formats.write import write

    if len(options.scans) > 2:  # noqa: PLR2004 - one, or two to compare
        raise click.UsageError("too many scans: expected one, or two to compare")
    output_format = "json" if options.as_json else options.output_format
    refuse_parquet_on_terminal(output_format, options.output)
    with open_store(options.store) as store:
        report = _report(store, options.scans, options.broker)
        if options.redact:
            report = redacted(report)
        thumbnails = None
        if output_format == "html" and not options.redact:
            sides = (report,) if isinstance(report, Report) else (report.before, report.after)
            thumbnails = _thumbnails(store, *sides)
        with speaking(options.language if output_format == "html" else ENGLISH):
            write(report, output_format, options.output, full=options.full, thumbnails=thumbnails)
    ctx.exit(FAIL_ON if options.fail_on == "ai" and report.counts.ai else DONE)


def _report(store: Store, scans: tuple[int, ...], broker: str) -> Report | Comparison:
    """Return the report on a scan, or the comparison of two."""
    from scanner.follow.phase import phases_of
    from scanner.report.figures.build import build
    from scanner.report.figures.compare import compare
    from storage.writes.scans import find_scan

    phase_of = phases_of(store, broker).of
    if len(scans) > 1:
        before, after = (find_scan(store, scan_id) for scan_id in scans)
        return compare(store, before, after, phase_of)
    return build(store, find_scan(store, scans[0] if scans else None), phase_of=phase_of)


def _thumbnails(store: Store, *reports: Report) -> dict[int, bytes]:
    """Return thumbnails of the most certain findings, where this machine has the images."""
    from scanner.web.previews import NoPreview, Previews, Size, user_cache
    from storage.reads.gallery import find_image

    previews = Previews({}, user_cache())
    thumbnails = {}
    for report in reports:
        for row in report.findings:
            listed = find_image(store, report.scan.scan_id, row.image_id)
            if listed is not None:
                with contextlib.suppress(NoPreview):
                    thumbnails[row.image_id] = previews.get(report.scan, listed, Size.THUMBNAIL)
    return thumbnails
