"""How much of a collection is AI-made, and where that lies, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from scanner.report.text import labels
from scanner.report.text.grid import columns, heading, safe
from scanner.report.text.sentences import copies, estimate
from storage.paths import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from scanner.report.figures.build import Report
    from storage.reads.breakdown import Folders, Told

# Rows of a table; the JSON has all.
ROWS = 10


def print_estimate(report: Report, console: Console) -> None:
    """Print the corrected share, in sentences."""
    if not report.counts.judged:
        return
    heading(console, "How much of it is AI-made")
    for sentence in estimate(report):
        console.print(Text(sentence))


def print_where(report: Report, console: Console) -> None:
    """Print in which folders and of which months the suspects are, and the copies."""
    breakdown = report.breakdown
    folders = by_suspects(breakdown.folders)
    if len(folders) > 1:
        _print_told(console, "Folder", folders[:ROWS], len(folders))
    months = [(month, one) for month, one in breakdown.months.items() if one.ai or one.unsure]
    if len(breakdown.months) > 1 and months:
        _print_told(console, "Month of the file", months[-ROWS:], len(breakdown.months))
    if len(breakdown.deciding) > 1:
        heading(console, "Decided by")
        table = columns("Detector", "AI-made", "Doubtful")
        for name, one in breakdown.deciding.items():
            table.add_row(Text(safe(name)), f"{one.ai:,}", f"{one.unsure:,}")
        console.print(table)
    if sentence := copies(breakdown.copies):
        console.print()
        console.print(Text(sentence))


def by_suspects(folders: Folders) -> list[tuple[str, Told]]:
    """The folders as they are shown, those with most suspects first."""
    parent = shown(folders.parent)
    listed = [
        (parent + shown(name) if name else parent or ".", one)
        for name, one in folders.by_name.items()
    ]
    if folders.others.images:
        listed.append(("(other folders)", folders.others))
    return sorted(listed, key=lambda item: (-item[1].ai, -item[1].unsure, item[0]))


def _print_told(console: Console, title: str, rows: Iterable[tuple[str, Told]], total: int) -> None:
    console.print()
    table = columns(title, "Images", "AI-made", "Share", "Doubtful", "Errors")
    shown_rows = 0
    for name, one in rows:
        numbers = (f"{one.images:,}", f"{one.ai:,}", labels.percent(one.ai, one.images))
        table.add_row(Text(name), *numbers, f"{one.unsure:,}", f"{one.error:,}")
        shown_rows += 1
    console.print(table)
    if total > shown_rows:
        console.print(Text(f"and {total - shown_rows:,} more: --format json has all", style="dim"))
