"""The short report on a terminal: the answer, then what the reader can act on."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Group
from rich.text import Text

from scanner.report.figures.certainty import heading
from scanner.report.text import labels, prevalence, sentences
from scanner.report.text.accuracy import short_accuracy
from scanner.report.text.reasons import not_examined
from scanner.report.text.tables import safe
from scanner.report.text.why import short_reason
from storage.asset_paths import shown_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console, RenderableType

    from scanner.report.figures.build import Report
    from storage.reads.verdicts import VerdictRow
    from storage.records import Thresholds

# Lines of the report at 80 columns, and findings that it has to have room for.
MAX_LINES, FEWEST_FINDINGS = 25, 3
# Kinds of errors that are listed, and kinds of skipped files.
ERROR_KINDS, SKIPPED_KINDS = 3, 4
# Columns that a finding's verdict, score and reason take, and the path at least.
BESIDE_PATH, SHORTEST_PATH = 50, 16


class Detail(IntEnum):
    """How much is said beside the findings, so that some of these have room."""

    LEAST = 0
    LESS = 1
    ALL = 2


def print_summary(report: Report, console: Console) -> None:
    """Print the answer and what to do next; nothing in it needs colour to be understood."""
    if not report.counts.images:
        console.print(Group(title(report), *notes(report, SKIPPED_KINDS)))
        return
    answer = Text(sentences.answer(report), style="bold")
    top: list[RenderableType] = [title(report), answer, *_remarks(report)]
    for detail in reversed(Detail):
        rest = list(_rest(report, console.width, detail))
        # Less an empty line and a heading.
        room = MAX_LINES - 2 - len(console.render_lines(Group(*top, *rest)))
        if room >= min(FEWEST_FINDINGS, len(report.findings)):
            break
    if findings := report.findings[: max(1, room)]:
        lines = findings_lines(findings, report.scan.plan.thresholds(), console.width)
        top += [Text(), _heading(report, len(findings)), *lines]
    console.print(Group(*top, *rest))


def _rest(report: Report, width: int, detail: Detail) -> Iterator[RenderableType]:
    """Yield what follows the findings."""
    if report.errors and detail is Detail.ALL:
        yield Text()
        yield from _errors(report, width)
    if report.evaluation is not None:
        yield Text()
        yield from short_accuracy(report.evaluation, compact=detail is Detail.LEAST)
    yield Text()
    if detail is Detail.ALL:
        yield from notes(report, SKIPPED_KINDS)
    if (hint := by_name(report)) is not None:
        yield hint.append("; to review: `scanner serve`")
    if report.errors:
        yield Text(f"Unreadable: `scanner verdicts {report.scan.scan_id} --where verdict=error`")
    yield Text(f"All figures: `scanner report {report.scan.scan_id} --full`")


def title(report: Report) -> Text:
    """Return a scan's number, collection and state."""
    scan = report.scan
    text = Text.assemble(f"Scan {scan.scan_id} of ", (safe(scan.collection), "bold"))
    text.append(f", {scan.state}")
    return text if report.counts.images else text.append(f": {sentences.nothing(report)}")


def findings_lines(
    findings: Sequence[VerdictRow], thresholds: Mapping[str, Thresholds], width: int
) -> list[Text]:
    """Return a line per finding: verdict, score, path and reason, cut to the width."""
    longest = max(SHORTEST_PATH, width - BESIDE_PATH)
    paths = [_cut(shown_image(row.path), longest) for row in findings]
    column = max(map(cell_len, paths), default=0)
    lines = []
    for row, path in zip(findings, paths, strict=True):
        if row.verdict is not None:
            name = labels.VERDICTS[row.verdict.outcome][0]
            finding = heading(row.verdict, thresholds)
            score = labels.score(row.verdict.score if finding is None else finding.score)
            line = f"{name:<12}  {score:>5}  {set_cell_size(path, column)}"
            line += f"  {short_reason(row.verdict, thresholds)}"
            lines.append(Text(line, no_wrap=True, overflow="ellipsis"))
    return lines


def notes(report: Report, kinds: int | None = None) -> Iterator[Text]:
    """Yield what else happened: errors beside verdicts, what was kept, skipped, not opened."""
    scan, counts = report.scan, report.counts
    if (settled := sentences.settled(report)) is not None:
        yield Text(settled)
    if counts.kept:
        verdicts = labels.count(counts.kept, "verdict was", "verdicts were")
        yield Text(f"{verdicts} kept from an earlier scan: the files are unchanged.")
    if (edited := sentences.edited(report)) is not None:
        yield Text(edited)
    if scan.skipped:
        files = labels.count(sum(scan.skipped.values()), "file or folder", "files and folders")
        hint = " RAW files are scanned with --raw." if scan.skipped.get("raw") else ""
        yield Text(f"Skipped {files}: {labels.skipped(scan.skipped, kinds)}.{hint}")
    if scan.unreadable_folders:
        folders = labels.count(scan.unreadable_folders, "folder", "folders")
        yield Text(f"{folders} could not be opened; images in there are not counted.")


def by_name(report: Report) -> Text | None:
    """Return the command that lists the flagged images; None without any."""
    if not (report.counts.ai or report.counts.unsure):
        return None
    return Text(f"Which ones: `scanner verdicts {report.scan.scan_id} --format csv`")


def _heading(report: Report, findings: int) -> Text:
    flagged = report.counts.ai + report.counts.unsure
    text = Text("Most certain", style="bold")
    return text.append(f" ({findings} of {flagged:,})") if findings < flagged else text


def _remarks(report: Report) -> Iterator[Text]:
    if report.counts.not_examined:
        yield Text(not_examined(report))
    yield from map(Text, prevalence.short_estimate(report))


def _errors(report: Report, width: int) -> Iterator[Text]:
    """Yield the numbers of unreadable images by kind, each with an example."""
    yield Text("Could not be read", style="bold")
    for error in report.errors[:ERROR_KINDS]:
        line = f"{labels.error(error.kind)}: {labels.count(error.images, 'image', 'images')}"
        for path, _ in error.examples[:1]:
            line += (
                f", such as {_cut(shown_image(path), max(SHORTEST_PATH, width - len(line) - 10))}"
            )
        yield Text(line)
    if others := sum(error.images for error in report.errors[ERROR_KINDS:]):
        yield Text(f"other kinds: {labels.count(others, 'image', 'images')}")


def _cut(path: str, longest: int) -> str:
    """Return a path without its beginning where it is too long."""
    return path if len(path) <= longest else f"…{path[1 - longest :]}"
