"""Printing a report on stdout, for people or for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.report.build import build
from scanner.report.forms import write

if TYPE_CHECKING:
    from scanner.report.build import Report
    from storage.scans import Scan
    from storage.store import Store


def print_report(store: Store, scan: Scan, *, as_json: bool) -> Report:
    """Print the report on a scan, as one JSON object or as tables; the report."""
    report = build(store, scan)
    write(report, "json" if as_json else "table", None)
    return report
