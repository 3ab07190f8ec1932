"""`scanner verdicts`: every image of a scan as a row."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from scanner.options.common import open_store, output_option, scan_argument, store_option

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@scan_argument
@store_option
@click.option(
    "--where",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Only images that meet this: verdict, score, folder, detector, host, error, truth, "
    "reviewed. Repeatable: all have to be met; VALUE may be several, split at commas.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv", "parquet", "table"]),
    default="jsonl",
    show_default=True,
    help="JSON lines, CSV with a header, Parquet (needs the `parquet` extra), or lines for people.",
)
@output_option
def command(
    *, scan_id: int | None, store: str, where: tuple[str, ...], form: str, output: Path | None
) -> None:
    """Print one row per image of SCAN (default: the latest), pending ones too.

    Rows come as they are read, whatever their number. Columns: path (and path_b64 where it is not
    UTF-8), verdict, score, detector, findings, error, error_text, truth, host, examined, digest,
    fetch_ms, decode_ms, infer_ms.

    \b
    Examples:
      scanner verdicts > verdicts.jsonl
      scanner verdicts 7 --format csv > verdicts.csv
      scanner verdicts --where verdict=ai,unsure --where folder=2019 --format table
      scanner verdicts --where 'score>=0.5' --where 'score<0.9' | jq -r .path
      scanner verdicts --format parquet --output verdicts.parquet
    """
    from scanner.options.where import parse_where
    from scanner.report.formats.row import row_json
    from scanner.report.formats.stream import WRITERS, stdout, written
    from storage.reads.queries import verdict_rows
    from storage.writes.scans import find_scan

    conditions = parse_where(where)
    if form == "parquet" and output is None and sys.stdout.isatty():
        raise click.UsageError("Parquet is not for a terminal: name a file with --output")
    with open_store(store) as opened:
        found = find_scan(opened, scan_id)
        rows = (row_json(row) for row in verdict_rows(opened, found.scan_id, conditions))
        with stdout() if output is None else written(output) as out:
            WRITERS[form](rows, out)
