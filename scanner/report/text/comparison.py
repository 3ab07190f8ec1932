"""What changed between two scans, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from scanner.report.text import labels, sentences
from scanner.report.text.grid import columns, heading, safe
from storage.paths import shown

if TYPE_CHECKING:
    from rich.console import Console

    from scanner.report.figures.build import Report
    from scanner.report.figures.compare import Comparison


def print_comparison(found: Comparison, console: Console) -> None:
    """Print the comparison; nothing in it needs colour to be understood."""
    before, after = found.before, found.after
    title = (
        f"Scan {before.scan.scan_id} of {safe(before.scan.collection)} and "
        f"scan {after.scan.scan_id} of {safe(after.scan.collection)}"
    )
    console.print(Text(title), soft_wrap=True)
    console.print(Text(sentences.changed(found), style="bold"))
    if found.mcnemar is not None:
        console.print(Text(sentences.mcnemar(found.mcnemar)))
    console.print()
    table = columns("", "Before", "After", "Change")
    for name, first, second in _counts(before, after):
        table.add_row(name, f"{first:,}", f"{second:,}", f"{second - first:+,}")
    table.add_row("AI-made, corrected", _corrected(before), _corrected(after), "")
    table.add_row("images a second", _speed(before), _speed(after), "")
    console.print(table)
    if not found.changed:
        return
    heading(console, "What changed")
    table = columns("Before", "After", "Images", left=2)
    for was, is_now, images in found.flips:
        if was != is_now:
            table.add_row(labels.VERDICTS[was][0], labels.VERDICTS[is_now][0], f"{images:,}")
    console.print(table)
    for one in found.examples:
        verdicts = f"{labels.VERDICTS[one.before][0]} → {labels.VERDICTS[one.after][0]}"
        line = Text(f"  {shown(one.path)}").append(f"  {verdicts}", style="dim")
        console.print(line, overflow="fold")


def _counts(before: Report, after: Report) -> list[tuple[str, int, int]]:
    names = ("images", "ai", "unsure", "no_evidence", "error", "pending")
    shown_as = ("images", "AI-made", "doubtful", "no evidence", "error", "pending")
    return [
        (title, getattr(before.counts, name), getattr(after.counts, name))
        for title, name in zip(shown_as, names, strict=True)
    ]


def _corrected(report: Report) -> str:
    return "-" if report.corrected is None else f"{100 * report.corrected.share:.1f} %"


def _speed(report: Report) -> str:
    return "-" if report.images_per_second is None else f"{report.images_per_second:,.1f}"
