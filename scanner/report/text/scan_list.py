"""The scans of a store, as a table or as JSON."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.table import Table
from rich.text import Text

from scanner.report.formats.json import verdicts_json
from scanner.report.text.tables import safe
from storage.paths import shown
from storage.reads import progress
from storage.writes.scans import list_scans

if TYPE_CHECKING:
    from rich.console import Console

    from storage.database.store import Store
    from storage.reads.progress import Counts
    from storage.writes.scans import Scan


class ListedScan(NamedTuple):
    """A scan and its counts."""

    scan: Scan
    counts: Counts


def listed_scans(store: Store) -> list[ListedScan]:
    """Return every scan, the latest first."""
    return [
        ListedScan(scan, progress.count_images(store, scan.scan_id)) for scan in list_scans(store)
    ]


def scans_json(scans: list[ListedScan]) -> dict[str, Any]:
    """Return the scans as one JSON object."""
    return {
        "scans": [
            {
                "scan": scan.scan_id,
                "collection": scan.collection,
                "root": shown(scan.root),
                "state": scan.state,
                "created_at": round(scan.created_at, 3),
                "images": counts.images,
                "verdicts": verdicts_json(counts),
                "kept": counts.kept,
            }
            for scan, counts in scans
        ]
    }


def print_scans(scans: list[ListedScan], console: Console) -> None:
    """Print the scans as a table, or one sentence where there are none."""
    if not scans:
        console.print("No scan yet: start one with `scanner scan FOLDER`.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("Scan", justify="right", no_wrap=True)
    table.add_column("Collection", overflow="fold")
    table.add_column("Started", no_wrap=True)
    table.add_column("State", no_wrap=True)
    for header in ("Images", "AI-generated", "Unsure", "Errors"):
        table.add_column(header, justify="right", no_wrap=True)
    for scan, counts in scans:
        numbers = (counts.images, counts.ai, counts.unsure, counts.error)
        table.add_row(
            str(scan.scan_id),
            Text(safe(scan.collection)),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(scan.created_at)),
            scan.state,
            *(f"{number:,}" for number in numbers),
        )
    console.print(table)
