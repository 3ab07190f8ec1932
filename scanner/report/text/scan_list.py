"""The scans of a store, as a table or as JSON."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.table import Table
from rich.text import Text

from scanner.report.formats.json import verdicts_json
from scanner.report.text import labels
from scanner.report.text.next_step import next_step
from scanner.report.text.tables import safe
from storage.paths import shown
from storage.reads import progress
from storage.writes.scans import UNFINISHED, list_scans

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from scanner.report.figures.phase import Phase
    from storage.database.store import Store
    from storage.reads.progress import Counts
    from storage.writes.scans import Scan


# Unfinished scans whose next command is named.
MAX_STEPS = 3


class ListedScan(NamedTuple):
    """A scan and its counts."""

    scan: Scan
    counts: Counts
    phase: Phase


def listed_scans(store: Store, phase_of: Callable[[Scan], Phase]) -> list[ListedScan]:
    """Return every scan, the latest first."""
    return [
        ListedScan(scan, progress.count_images(store, scan.scan_id), phase_of(scan))
        for scan in list_scans(store)
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
                "phase": phase.value,
                "created_at": round(scan.created_at, 3),
                "images": counts.images,
                "verdicts": verdicts_json(counts),
                "kept": counts.kept,
            }
            for scan, counts, phase in scans
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
    table.add_column("State", min_width=len("interrupted"))
    for header in ("Images", "AI-generated", "Unsure", "Errors"):
        table.add_column(header, justify="right", no_wrap=True)
    for scan, counts, phase in scans:
        numbers = (counts.images, counts.ai, counts.unsure, counts.error)
        table.add_row(
            str(scan.scan_id),
            Text(safe(scan.collection)),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(scan.created_at)),
            labels.state(phase),
            *(f"{number:,}" for number in numbers),
        )
    console.print(table)
    unfinished = [(scan, phase) for scan, _, phase in scans if scan.state == UNFINISHED]
    for scan, phase in unfinished[:MAX_STEPS]:
        if (step := next_step(scan, phase)) is not None:
            console.print(
                Text(f"Scan {scan.scan_id} is {labels.state(phase)}, {step}"), soft_wrap=True
            )
