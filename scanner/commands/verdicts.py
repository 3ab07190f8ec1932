"""`scanner verdicts`: every image of a scan as a row."""

from __future__ import annotations

import click

from scanner.options import open_store, scan_argument, store_option


@click.command()
@scan_argument
@store_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="JSON lines, or CSV with a header.",
)
def command(*, scan_id: int | None, store: str, form: str) -> None:
    """Print one row per image of SCAN (default: the latest), pending ones too.

    Rows come as they are read, whatever their number. Columns: path (and path_b64 where it is not
    UTF-8), verdict, score, detector, findings, error, error_text, truth, host, examined, digest,
    fetch_ms, decode_ms, infer_ms.

    \b
    Examples:
      scanner verdicts > verdicts.jsonl
      scanner verdicts 7 --format csv > verdicts.csv
      scanner verdicts | jq -r 'select(.verdict == "ai") | .path'
      scanner verdicts | jq 'select(.error == "truncated")'
    """
    from scanner.report.row import row_json
    from scanner.report.stream import PRINTERS
    from storage.queries import verdict_rows
    from storage.scans import find_scan

    with open_store(store) as opened:
        found = find_scan(opened, scan_id)
        PRINTERS[form](row_json(row) for row in verdict_rows(opened, found.scan_id))
