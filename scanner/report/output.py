"""Printing a report on stdout, for people or for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from scanner.report.build import build
from scanner.report.json import to_json

if TYPE_CHECKING:
    from scanner.report.build import Report
    from storage.scans import Scan
    from storage.store import Store

# A table wider than this is no easier to read.
MAX_COLUMNS = 100


def print_report(store: Store, scan: Scan, *, as_json: bool) -> Report:
    """Print the report on a scan, as one JSON object or as tables; the report."""
    report = build(store, scan)
    if as_json:
        click.echo(json.dumps(to_json(report), indent=2, allow_nan=False))
        return report
    from rich.console import Console  # noqa: PLC0415 - programs need it not

    from scanner.report.table import print_table  # noqa: PLC0415

    console = Console(highlight=False)
    console.width = min(console.width, MAX_COLUMNS)
    print_table(report, console)
    return report
