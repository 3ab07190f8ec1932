"""`scanner report`: sum up a scan."""

from __future__ import annotations

import click

from scanner.options import json_option, open_store, scan_argument, store_option


@click.command()
@scan_argument
@store_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="For people or for programs.",
)
@json_option
def command(*, scan_id: int | None, store: str, form: str, as_json: bool) -> None:
    """Sum up SCAN (default: the latest), finished or not.

    How many images look AI-made, what that rests on, what could not be read, who did the work and
    how fast; with labels also how right it is. "No evidence" never means that a picture is real.

    \b
    Examples:
      scanner report
      scanner report 7 --format json | jq .verdicts
      scanner report --store postgresql://scanner@nas/scanner
    """
    from scanner.report.output import print_report
    from storage.scans import find_scan

    with open_store(store) as opened:
        print_report(opened, find_scan(opened, scan_id), as_json=as_json or form == "json")
