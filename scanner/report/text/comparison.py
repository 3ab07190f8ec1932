"""The comparison of two scans on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from scanner.report.text import labels, prevalence, sentences
from scanner.report.text.tables import columns, heading, safe
from storage.paths import shown
from storage.records import Outcome

if TYPE_CHECKING:
    from rich.console import Console

    from scanner.report.figures.build import Report
    from scanner.report.figures.compare import Comparison

# Examples of images whose verdict changed.
EXAMPLES = 5


def print_comparison(comparison: Comparison, console: Console, *, full: bool) -> None:
    """Print the comparison; nothing in it needs colour to be understood."""
    before, after = comparison.before, comparison.after
    title = (
        f"Scan {before.scan.scan_id} of {safe(before.scan.collection)} and "
        f"scan {after.scan.scan_id} of {safe(after.scan.collection)}"
    )
    console.print(Text(title), soft_wrap=True)
    console.print(Text(sentences.changed(comparison), style="bold"))
    if comparison.mcnemar is not None:
        console.print(Text(sentences.mcnemar(comparison.mcnemar)))
    console.print()
    table = columns("", *_headers(comparison))
    for name, first, second in _counts(before, after):
        cells = f"{first:,}", f"{second:,}", f"{second - first:+,}"
        table.add_row(name, *cells[: len(table.columns) - 1])
    table.add_row("AI-generated, estimated", _estimate(before), _estimate(after))
    table.add_row("images/s", _speed(before), _speed(after))
    console.print(table)
    if not comparison.changed:
        return
    heading(console, "Changed verdicts")
    table = columns("Before", "After", "Images", left=2)
    for earlier, later, images in comparison.flips:
        if earlier != later:
            table.add_row(labels.VERDICTS[earlier][0], labels.VERDICTS[later][0], f"{images:,}")
    console.print(table)
    for change in comparison.examples[: None if full else EXAMPLES]:
        verdicts = f"{labels.VERDICTS[change.before][0]} → {labels.VERDICTS[change.after][0]}"
        line = Text(f"  {shown(change.path)}").append(f"  {verdicts}", style="dim")
        console.print(line, soft_wrap=True)
    if not full and len(comparison.examples) > EXAMPLES:
        console.print(Text("More of them: --full", style="dim"))


def _headers(comparison: Comparison) -> tuple[str, ...]:
    if comparison.is_of_one_collection:
        return "Before", "After", "Change"
    return f"Scan {comparison.before.scan.scan_id}", f"Scan {comparison.after.scan.scan_id}"


def _counts(before: Report, after: Report) -> list[tuple[str, int, int]]:
    counts = ("images", *(outcome.value for outcome in Outcome), "pending")
    titles = ("images", *(labels.VERDICTS[outcome][0] for outcome in (*Outcome, None)))
    return [
        (title, getattr(before.counts, name), getattr(after.counts, name))
        for name, title in zip(counts, titles, strict=True)
    ]


def _estimate(report: Report) -> str:
    return "-" if report.corrected is None else prevalence.short_share(report.corrected)


def _speed(report: Report) -> str:
    return "-" if report.rate_at_work is None else f"{report.rate_at_work:,.1f}"
