"""A report on a terminal: the answer first, then what it rests on. Fits 80 columns."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.text import Text

from scanner.report.text import labels, machine
from scanner.report.text.accuracy import print_truth
from scanner.report.text.breakdown import print_estimate, print_where
from scanner.report.text.grid import columns, heading, safe
from scanner.report.text.sentences import answer
from storage.paths import shown
from storage.reads.aggregates import STAGES
from storage.records import ROUTER, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from scanner.report.figures.build import Report
    from storage.reads.aggregates import EvidenceCount, HostFigures

# Rows of the evidence table; a long tail of generators is for the JSON.
EVIDENCE_ROWS = 15
# Below this part of a scan's time at work, the two are told apart.
MOSTLY_AT_WORK = 0.9


def print_table(report: Report, console: Console) -> None:
    """Print the report; nothing in it needs colour to be understood."""
    _print_answer(report, console)
    print_estimate(report, console)
    _print_evidence(report, console)
    print_where(report, console)
    _print_errors(report, console)
    if report.truth is not None:
        print_truth(report.truth, console)
    _print_detectors(report, console)
    _print_hosts(report, console)
    _print_course(report, console)
    _print_which(report, console)


def _print_answer(report: Report, console: Console) -> None:
    scan, counts = report.scan, report.counts
    name = Text.assemble(f"Scan {scan.scan_id} of ", (safe(scan.collection), "bold"))
    console.print(name.append(f", {report.scan.state}"), soft_wrap=True)
    console.print(Text(answer(report), style="bold"))
    console.print()
    rows = (
        (labels.VERDICTS[Outcome.AI], counts.ai),
        # In JSON and CSV, and so for who looks for them there, it is `unsure`.
        (("doubtful (unsure)", labels.VERDICTS[Outcome.UNSURE][1]), counts.unsure),
        (labels.VERDICTS[Outcome.NO_EVIDENCE], counts.no_evidence - counts.not_examined),
        (labels.NOT_EXAMINED, counts.not_examined),
        (labels.VERDICTS[Outcome.ERROR], counts.error),
        (labels.VERDICTS[None], counts.pending),
    )
    table = columns("Verdict", "Images", "Share")
    table.add_column(overflow="fold")
    for (verdict, meaning), images in rows:
        share = labels.percent(images, counts.images)
        table.add_row(verdict, f"{images:,}", share, Text(meaning if images else "", style="dim"))
    table.add_row("all", f"{counts.images:,}", "", "")
    console.print(table)


def _print_evidence(report: Report, console: Console) -> None:
    found, reasons = evidence_counts(report.evidence)
    if found:
        heading(console, "Evidence in the files")
        table = columns("Kind", "Generator", "Signature", "Images", left=3)
        for (kind, generator, signature), images in found.most_common(EVIDENCE_ROWS):
            table.add_row(Text(kind), Text(generator), Text(signature), f"{images:,}")
        console.print(table)
    if len(found) > EVIDENCE_ROWS:
        more = len(found) - EVIDENCE_ROWS
        console.print(Text(f"and {more} more: --format json has all", style="dim"))
    if reasons:
        heading(console, "Pixels not looked at, or worn")
        table = columns("Reason", "Images")
        for reason, images in reasons.most_common():
            table.add_row(Text(reason), f"{images:,}")
        console.print(table)


def evidence_counts(
    said: Iterable[EvidenceCount],
) -> tuple[Counter[tuple[str, str, str]], Counter[str]]:
    """Images by (kind, generator whatever its version, signature), and by reason of the router."""
    found: Counter[tuple[str, str, str]] = Counter()
    reasons: Counter[str] = Counter()
    for one in said:
        if one.detector == ROUTER:
            reasons[labels.EVIDENCE.get(one.kind, safe(one.kind))] += one.images
        else:
            kind = labels.EVIDENCE.get(one.kind, safe(f"{one.detector}: {one.kind}"))
            generator = safe(labels.program(one.generator or ""))
            found[kind, generator, safe(one.signature or "")] += one.images
    return found, reasons


def _print_errors(report: Report, console: Console) -> None:
    if not report.errors:
        return
    heading(console, "Could not be read")
    for one in report.errors:
        console.print(Text(f"{one.kind.value}: {labels.count(one.images, 'image', 'images')}"))
        for path, text in one.examples:
            line = Text(f"  {shown(path)}").append(f"  {text}", style="dim")
            console.print(line, overflow="fold")
        if one.images > len(one.examples):
            console.print(Text(f"  and {one.images - len(one.examples):,} more", style="dim"))


def _print_detectors(report: Report, console: Console) -> None:
    if not report.detectors:
        return
    heading(console, "Detectors")
    table = columns("Name", "Version", "Images", "Doubtful from", "AI-made from", left=2)
    for one in report.detectors:
        table.add_row(
            Text(one.name),
            Text(one.version),
            f"{one.images:,}",
            labels.figure(one.unsure),
            labels.ai_from(one.ai),
        )
    console.print(table)


def _print_hosts(report: Report, console: Console) -> None:
    if not report.hosts:
        return
    heading(console, "Hosts (milliseconds an image: median / 95 of 100 are below)")
    table = columns("Host", "Arch", "Images", "a second", *STAGES, left=2)
    for one in report.hosts:
        rate = f"{one.images / one.seconds:,.1f}" if one.seconds > 0 else "-"
        table.add_row(
            Text(safe(one.label)),
            Text(one.arch),
            f"{one.images:,}",
            rate,
            *(_stage(one, stage) for stage in STAGES),
        )
    console.print(table)
    for one in report.hosts:
        # As it was when it last wrote to this store, for whichever scan.
        for line in filter(None, (machine.made_of(one.info), machine.how_it_was(one.info))):
            console.print(Text(f"{safe(one.label)}: {line}", style="dim"))


def _stage(host: HostFigures, stage: str) -> str:
    took = host.stages.get(stage)
    if took is None:
        return "-"
    return f"{labels.milliseconds(took.p50_us)} / {labels.milliseconds(took.p95_us)}"


def _print_course(report: Report, console: Console) -> None:
    scan, counts = report.scan, report.counts
    lines = []
    if counts.judged_here:
        line = f"Judged {labels.count(counts.judged_here, 'image', 'images')}"
        line += f" in {labels.duration(report.seconds)}"
        if report.active_seconds < MOSTLY_AT_WORK * report.seconds:
            line += f", at work for {labels.duration(report.active_seconds)} of it"
        if report.images_per_second is not None:
            line += f": {report.images_per_second:,.1f} a second"
        lines.append(f"{line}. Listing took {labels.duration(scan.enqueue_seconds)}.")
    if counts.kept:
        verdicts = labels.count(counts.kept, "verdict was", "verdicts were")
        lines.append(f"{verdicts} kept from an earlier scan: the files are unchanged.")
    if scan.skipped:
        passed = labels.count(sum(scan.skipped.values()), "file or folder", "files and folders")
        lines.append(f"Skipped {passed}: {labels.skipped(scan.skipped)}.")
    if scan.unreadable_folders:
        folders = labels.count(scan.unreadable_folders, "folder", "folders")
        lines.append(f"{folders} could not be opened: what is in there is not counted.")
    if lines:
        console.print()
    for line in lines:
        console.print(Text(line))


def _print_which(report: Report, console: Console) -> None:
    """The report counts; its images by name are another command's."""
    if report.counts.ai or report.counts.unsure:
        console.print()
        which = f"Which ones: `scanner verdicts {report.scan.scan_id} --format csv`"
        console.print(Text(which), soft_wrap=True)
