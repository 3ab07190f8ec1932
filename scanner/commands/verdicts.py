"""`scanner verdicts`: every image of a scan as a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from scanner.options.completion import complete_condition
from scanner.options.output import output_option, refuse_parquet_on_terminal
from scanner.options.store import open_store, scan_argument, store_option

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@scan_argument
@store_option
@click.option(
    "--where",
    multiple=True,
    shell_complete=complete_condition,
    metavar="FIELD=VALUE",
    help="Only images that match: verdict, score, folder, detector, host, error, label, reviewed. "
    "Repeatable: all have to match; VALUE may be a list, separated by commas.",
)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["jsonl", "csv", "parquet", "table"]),
    default="jsonl",
    show_default=True,
    help="JSON lines, CSV with a header, Parquet (needs the `parquet` extra), or a table.",
)
@output_option
def command(
    *,
    scan_id: int | None,
    store: str,
    where: tuple[str, ...],
    output_format: str,
    output: Path | None,
) -> None:
    """Print one row per image of SCAN (default: the latest), including pending images.

    Rows are printed as they are read. Columns: path (and path_b64 where it is not UTF-8), verdict,
    score, detector, findings, error, error_text, truth (the label), host, examined, digest,
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
    from storage.reads.verdicts import verdict_rows
    from storage.writes.scans import find_scan

    conditions = parse_where(where)
    refuse_parquet_on_terminal(output_format, output)
    with open_store(store) as opened:
        scan = find_scan(opened, scan_id)
        rows = (row_json(row) for row in verdict_rows(opened, scan.scan_id, conditions))
        with stdout() if output is None else written(output) as out:
            WRITERS[output_format](rows, out)
