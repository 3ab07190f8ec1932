"""The short report on a terminal: the answer, then what the reader can act on."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Group
from rich.text import Text

from scanner.report.text import labels, prevalence, sentences
from scanner.report.text.accuracy import short_accuracy
from scanner.report.text.finding_lines import cut_path, finding_lines
from scanner.report.text.next_step import next_step
from scanner.report.text.reasons import not_examined, unseen
from scanner.report.text.tables import safe
from storage.asset_paths import shown_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, RenderableType

    from scanner.report.figures.build import Report

# Lines of the report at 80 columns.
MAX_LINES = 25
# Kinds of errors that are listed, and kinds of skipped files.
ERROR_KINDS, SKIPPED_KINDS = 3, 4
# What to do about skipped files, by their kind.
_HINTS = {
    "raw": " RAW files are scanned with --raw.",
    "archive": " Unpack archives first.",
}
# Columns that an example of an error has at least.
SHORTEST_EXAMPLE = 16
SUCH_AS = ", such as "


class Detail(IntEnum):
    """How much is said beside the findings, so that all of these have room."""

    LEAST = 0  # what was found, and what could not be looked at
    LESS = 1  # and how much of what is there such detectors find, and what was kept
    MORE = 2  # and why images were not examined, and an estimate
    ALL = 3  # and an example of each kind of error


def print_summary(report: Report, console: Console, columns: int | None) -> None:
    """Print the answer and what to do next; nothing in it needs colour to be understood.

    Lines with paths are cut to so many columns, where they are not None.
    """
    if not report.counts.images:
        console.print(Group(title(report), *notes(report, SKIPPED_KINDS), *next_command(report)))
        return
    answer = Text(sentences.answer(report), style="bold")
    for detail in reversed(Detail):
        top: list[RenderableType] = [title(report), answer, *_remarks(report, detail)]
        rest = list(_rest(report, columns, detail))
        # Less an empty line and a heading.
        room = MAX_LINES - 2 - len(console.render_lines(Group(*top, *rest)))
        if room >= len(report.findings):
            break
    if findings := report.findings[: max(1, room)]:
        lines = finding_lines(findings, report.scan.plan.thresholds(), columns, room)
        top += [Text(), _heading(report, len(findings)), *lines]
    # Lines with paths may be wider than text.
    console.print(Group(*top, *rest), crop=False)


def _rest(report: Report, columns: int | None, detail: Detail) -> Iterator[RenderableType]:
    """Yield what follows the findings."""
    if report.errors and detail is Detail.ALL:
        yield Text()
        yield from _errors(report, columns)
    if report.evaluation is not None:
        yield Text()
        yield from short_accuracy(report.evaluation, compact=detail is Detail.LEAST)
    yield Text()
    unreadable = f"`scanner verdicts {report.scan.scan_id} --where verdict=error`"
    if report.errors and detail is not Detail.ALL:
        kinds = {labels.error(error.kind): error.images for error in report.errors}
        yield Text(f"Could not be read: {labels.kinds(kinds, ERROR_KINDS)}; {unreadable}")
    if detail is not Detail.LEAST:
        yield from notes(report, SKIPPED_KINDS)
    else:
        yield from _not_looked_at(report, SKIPPED_KINDS)
    yield from next_command(report)
    if (hint := by_name(report)) is not None:
        yield hint
    if report.errors and detail is Detail.ALL:
        yield Text(f"Unreadable: {unreadable}")
    full = f"All figures: `scanner report {report.scan.scan_id} --full`"
    yield Text(full if hint is None else f"{full}; to review: `scanner serve`")


def title(report: Report) -> Text:
    """Return a scan's number, collection and state."""
    scan = report.scan
    text = Text.assemble(f"Scan {scan.scan_id} of ", (safe(scan.collection), "bold"))
    text.append(f", {labels.state(report.phase)}")
    return text if report.counts.images else text.append(f": {sentences.nothing(scan)}")


def notes(report: Report, kinds: int | None = None) -> Iterator[Text]:
    """Yield what else happened: errors beside verdicts, what was kept, skipped, not opened."""
    counts = report.counts
    if (settled := sentences.settled(report)) is not None:
        yield Text(settled)
    if counts.kept:
        verdicts = labels.count(counts.kept, "verdict was", "verdicts were")
        yield Text(f"{verdicts} kept from an earlier scan: the files are unchanged.")
    if (edited := sentences.edited(report)) is not None:
        yield Text(edited)
    yield from _not_looked_at(report, kinds)


def _not_looked_at(report: Report, kinds: int | None) -> Iterator[Text]:
    """Yield which files were skipped, and how many folders could not be opened."""
    scan = report.scan
    if scan.skipped:
        files = labels.count(sum(scan.skipped.values()), "file or folder", "files and folders")
        hints = "".join(hint for kind, hint in _HINTS.items() if scan.skipped.get(kind))
        yield Text(f"Skipped {files}: {labels.skipped(scan.skipped, kinds)}.{hints}")
    if scan.unreadable_folders:
        folders = labels.count(scan.unreadable_folders, "folder", "folders")
        yield Text(f"{folders} could not be opened; images in there are not counted.")


def by_name(report: Report) -> Text | None:
    """Return the command that lists the flagged images; None without any."""
    if not (report.counts.ai or report.counts.unsure):
        return None
    command = f"scanner verdicts {report.scan.scan_id} --where verdict=ai,unsure --format csv"
    return Text(f"Which ones: `{command}`")


def next_command(report: Report) -> Iterator[Text]:
    """Yield the command that follows or continues the scan, if one does."""
    if (step := next_step(report.scan, report.phase)) is not None:
        yield Text(f"Scan {report.scan.scan_id} is {labels.state(report.phase)}, {step}")


def _heading(report: Report, findings: int) -> Text:
    flagged = report.counts.ai + report.counts.unsure
    text = Text("Most certain", style="bold")
    if findings < flagged:
        text.append(f" ({findings} of {flagged:,})")
    if sentences.order(report):
        text.append(": what metadata settles, then by verdict and score", style="not bold")
    return text


def _remarks(report: Report, detail: Detail) -> Iterator[Text]:
    if report.counts.not_examined:
        yield Text(not_examined(report) if detail >= Detail.MORE else unseen(report))
    if detail >= Detail.MORE:
        yield from map(Text, prevalence.short_estimate(report))
    elif detail is Detail.LESS:
        yield from map(Text, prevalence.headline(report))


def _errors(report: Report, columns: int | None) -> Iterator[Text]:
    """Yield the numbers of unreadable images by kind, each with an example."""
    yield Text("Could not be read", style="bold")
    for error in report.errors[:ERROR_KINDS]:
        line = f"{labels.error(error.kind)}: {labels.count(error.images, 'image', 'images')}"
        for path, _ in error.examples[:1]:
            example = shown_image(path)
            if columns is not None:
                room = max(SHORTEST_EXAMPLE, columns - cell_len(line) - len(SUCH_AS))
                example = cut_path(example, room)
            line += f"{SUCH_AS}{example}"
        yield Text(line, no_wrap=True, overflow="ignore")
    if others := sum(error.images for error in report.errors[ERROR_KINDS:]):
        yield Text(f"other kinds: {labels.count(others, 'image', 'images')}")
