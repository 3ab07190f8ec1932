"""Folders, months and detectors with flagged images, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from scanner.report.text import labels, prevalence, sentences
from scanner.report.text.tables import columns, heading, safe
from storage.paths import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from scanner.report.figures.build import Report
    from storage.reads.folders import Folders, OutcomeCounts

# Rows of a table; the JSON has all.
ROWS = 10


def print_estimate(report: Report, console: Console) -> None:
    """Print the estimated prevalence."""
    if report.counts.judged:
        heading(console, "Prevalence: the share of AI-generated images")
        for sentence in prevalence.estimate(report):
            console.print(Text(sentence))


def print_breakdown(report: Report, console: Console) -> None:
    """Print the images by folder, month and deciding detector, and the copies."""
    breakdown = report.breakdown
    folders = by_flagged(breakdown.folders)
    if len(folders) > 1:
        _print_counts(console, "Folder", folders[:ROWS], len(folders))
    months = [
        (month, counts) for month, counts in breakdown.months.items() if counts.ai or counts.unsure
    ]
    if len(breakdown.months) > 1 and months:
        _print_counts(console, "Month of the file", months[-ROWS:], len(breakdown.months))
    if len(breakdown.deciding) > 1:
        heading(console, "Decided by")
        table = columns("Detector", "AI-generated", "Unsure")
        for name, counts in breakdown.deciding.items():
            table.add_row(Text(safe(name)), f"{counts.ai:,}", f"{counts.unsure:,}")
        console.print(table)
    if sentence := sentences.copies(breakdown.copies):
        console.print()
        console.print(Text(sentence))


def by_flagged(folders: Folders) -> list[tuple[str, OutcomeCounts]]:
    """Return the folders by display name, those with most flagged images first."""
    parent = shown(folders.parent)
    named = [
        (parent + shown(name) if name else parent or ".", counts)
        for name, counts in folders.by_name.items()
    ]
    if folders.others.images:
        named.append(("(other folders)", folders.others))
    return sorted(named, key=lambda item: (-item[1].ai, -item[1].unsure, item[0]))


def _print_counts(
    console: Console, title: str, rows: Sequence[tuple[str, OutcomeCounts]], total: int
) -> None:
    console.print()
    table = columns(title, "Images", "AI-generated", "Share", "Unsure", "Errors")
    for name, counts in rows:
        numbers = (f"{counts.images:,}", f"{counts.ai:,}", labels.percent(counts.ai, counts.images))
        table.add_row(Text(name), *numbers, f"{counts.unsure:,}", f"{counts.error:,}")
    console.print(table)
    if total > len(rows):
        console.print(Text(f"and {total - len(rows):,} more: --format json has all", style="dim"))
