"""The scans of a store, as a table or as JSON."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from scanner.report.formats.json import verdicts_json
from storage.paths import shown
from storage.reads.queries import counts
from storage.writes.scans import list_scans

if TYPE_CHECKING:
    from rich.console import Console

    from storage.database.store import Store
    from storage.reads.queries import Counts
    from storage.writes.scans import Scan


@dataclass(frozen=True, slots=True)
class ListedScan:
    """A scan and what it came to."""

    scan: Scan
    counts: Counts


def listed_scans(store: Store) -> list[ListedScan]:
    """Every scan, the latest first."""
    return [ListedScan(scan, counts(store, scan.scan_id)) for scan in list_scans(store)]


def scans_json(scans: list[ListedScan]) -> dict[str, Any]:
    """The scans as one JSON-able object."""
    return {
        "scans": [
            {
                "scan": one.scan.scan_id,
                "collection": one.scan.collection,
                "root": shown(one.scan.root),
                "state": one.scan.state,
                "created_at": round(one.scan.created_at, 3),
                "images": one.counts.images,
                "verdicts": verdicts_json(one.counts),
                "kept": one.counts.kept,
            }
            for one in scans
        ]
    }


def print_scans(scans: list[ListedScan], console: Console) -> None:
    """Print the scans as a table, or one sentence where there are none."""
    if not scans:
        console.print("No scan yet: begin one with `scanner scan FOLDER`.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("Scan", justify="right", no_wrap=True)
    table.add_column("Collection", overflow="fold")
    table.add_column("Begun", no_wrap=True)
    table.add_column("State", no_wrap=True)
    for header in ("Images", "AI-made", "Doubtful", "Errors"):
        table.add_column(header, justify="right", no_wrap=True)
    for one in scans:
        numbers = (one.counts.images, one.counts.ai, one.counts.unsure, one.counts.error)
        table.add_row(
            str(one.scan.scan_id),
            Text(shown(one.scan.collection.encode())),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(one.scan.created_at)),
            one.scan.state,
            *(f"{number:,}" for number in numbers),
        )
    console.print(table)
