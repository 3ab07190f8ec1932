"""The full report on a terminal: everything the summary leaves out. Fits 80 columns."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from scanner.report.text import host_details, labels
from scanner.report.text.accuracy import print_accuracy
from scanner.report.text.folders import print_breakdown, print_estimate
from scanner.report.text.reasons import reason_counts
from scanner.report.text.sentences import answer, order
from scanner.report.text.summary import by_name, next_command, notes, title
from scanner.report.text.tables import columns, heading, safe
from scanner.report.text.why import why
from storage.asset_paths import shown_image
from storage.reads.hosts import STAGES
from storage.records import ROUTER, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console

    from scanner.report.figures.build import Report
    from storage.reads.evidence import EvidenceCount
    from storage.reads.hosts import HostFigures

# Rows of the evidence table; the JSON has all.
EVIDENCE_ROWS = 15


def print_report(report: Report, console: Console) -> None:
    """Print every figure of the report; nothing in it needs colour to be understood."""
    console.print(title(report))
    if report.counts.images:
        console.print(Text(answer(report), style="bold"))
        _print_verdicts(report, console)
    _print_findings(report, console)
    print_estimate(report, console)
    _print_evidence(report, console)
    print_breakdown(report, console)
    _print_errors(report, console)
    if report.evaluation is not None:
        print_accuracy(report.evaluation, console)
    if report.counts.images:
        _print_detectors(report, console)
    _print_hosts(report, console)
    _print_course(report, console)
    hints = list(next_command(report))
    if (hint := by_name(report)) is not None:
        hints.append(hint)
    if hints:
        console.print(Group(Text(), *hints))


def verdict_counts(report: Report) -> list[tuple[str, str, str, int]]:
    """Return each verdict's key, name, meaning and number of images."""
    counts = report.counts
    examined = counts.no_evidence - counts.not_examined
    return [
        ("ai", *labels.VERDICTS[Outcome.AI], counts.ai),
        ("unsure", *labels.VERDICTS[Outcome.UNSURE], counts.unsure),
        ("nothing", *labels.VERDICTS[Outcome.NO_EVIDENCE], examined),
        ("unseen", *labels.NOT_EXAMINED, counts.not_examined),
        ("error", *labels.VERDICTS[Outcome.ERROR], counts.error),
        ("pending", *labels.VERDICTS[None], counts.pending),
    ]


def _print_verdicts(report: Report, console: Console) -> None:
    console.print()
    total = report.counts.images
    table = columns("Verdict", "Images", "Share")
    table.add_column(overflow="fold")
    for _, name, meaning, images in verdict_counts(report):
        note = Text(meaning if images else "", style="dim")
        table.add_row(name, f"{images:,}", labels.percent(images, total), note)
    table.add_row("all", f"{total:,}", "", "")
    console.print(table)


def _print_findings(report: Report, console: Console) -> None:
    if report.findings:
        heading(console, "Most certain")
        if in_order := order(report):
            console.print(Text(in_order, style="dim"))
        for line in _findings_in_words(report):
            console.print(line, soft_wrap=True)


def _findings_in_words(report: Report) -> Iterator[Text]:
    """Yield two lines per finding: the image with its verdict, and why."""
    thresholds = report.scan.plan.thresholds()
    for row in report.findings:
        if row.verdict is not None:
            line = Text(shown_image(row.path))
            yield line.append(f"  {labels.VERDICTS[row.verdict.outcome][0]}", style="bold")
            yield Text(f"  {why(row.verdict, thresholds)}", style="dim")


def _print_evidence(report: Report, console: Console) -> None:
    evidence = evidence_counts(report.evidence)
    if evidence:
        heading(console, "Evidence in the files")
        table = columns("Kind", "Generator", "Signature", "Images", left=3)
        for (kind, generator, signature), images in evidence.most_common(EVIDENCE_ROWS):
            table.add_row(Text(kind), Text(generator), Text(signature), f"{images:,}")
        console.print(table)
    if len(evidence) > EVIDENCE_ROWS:
        more = len(evidence) - EVIDENCE_ROWS
        console.print(Text(f"and {more} more: --format json has all", style="dim"))
    if reasons := reason_counts(report.evidence):
        heading(console, "Images not examined, or degraded")
        table = columns("Reason", "Images")
        for reason, images in reasons.most_common():
            table.add_row(Text(reason), f"{images:,}")
        console.print(table)


def evidence_counts(evidence: Iterable[EvidenceCount]) -> Counter[tuple[str, str, str]]:
    """Count images by (kind, generator without its version, signature)."""
    by_kind: Counter[tuple[str, str, str]] = Counter()
    for row in evidence:
        if row.detector != ROUTER:
            kind = labels.evidence(row.kind, safe(f"{row.detector}: {row.kind}"))
            generator = safe(labels.program(row.generator or ""))
            by_kind[kind, generator, safe(row.signature or "").replace("_", " ")] += row.images
    return by_kind


def _print_errors(report: Report, console: Console) -> None:
    if not report.errors:
        return
    heading(console, "Could not be read")
    for error in report.errors:
        console.print(
            Text(f"{labels.error(error.kind)}: {labels.count(error.images, 'image', 'images')}")
        )
        for path, text in error.examples:
            line = Text(f"  {shown_image(path)}").append(f"  {text}", style="dim")
            console.print(line, overflow="fold")
        if error.images > len(error.examples):
            console.print(Text(f"  and {error.images - len(error.examples):,} more", style="dim"))


def _print_detectors(report: Report, console: Console) -> None:
    if not report.detectors:
        return
    heading(console, "Detectors")
    table = columns("Name", "Version", "Images", "“unsure” from", "“ai” from", left=2)
    for row in report.detectors:
        detector = row.planned
        table.add_row(
            Text(detector.name),
            Text(detector.version),
            f"{row.images:,}",
            labels.threshold(detector.thresholds.unsure),
            labels.threshold(detector.thresholds.ai),
        )
    console.print(table)


def _print_hosts(report: Report, console: Console) -> None:
    if not report.hosts:
        return
    heading(console, "Hosts (ms per image, p50 / p95)")
    table = columns("Host", "Arch", "Images", "images/s", *STAGES, left=2)
    for host in report.hosts:
        rate = f"{host.images / host.seconds:,.1f}" if host.seconds > 0 else "-"
        table.add_row(
            Text(safe(host.label)),
            Text(host.arch),
            f"{host.images:,}",
            rate,
            *(stage_times(host, stage) for stage in STAGES),
        )
    console.print(table)
    for host in report.hosts:
        # As the host last reported to this store, during any scan.
        for line in filter(
            None, (host_details.hardware(host.info), host_details.health(host.info))
        ):
            console.print(Text(f"{safe(host.label)}: {line}", style="dim"))


def stage_times(host: HostFigures, stage: str) -> str:
    """Return a stage's p50 and p95 in milliseconds."""
    times = host.stages.get(stage)
    if times is None:
        return "-"
    return f"{labels.milliseconds(times.p50_us)} / {labels.milliseconds(times.p95_us)}"


def _print_course(report: Report, console: Console) -> None:
    counts = report.counts
    lines = []
    if counts.judged_here:
        line = f"Judged {labels.count(counts.judged_here, 'image', 'images')}"
        line += f" in {labels.duration(report.seconds)}"
        if report.is_interrupted:
            line += f", {labels.duration(report.active_seconds)} of it at work"
        if report.rate_at_work is not None:
            line += f": {report.rate_at_work:,.1f} images/s"
        listing = labels.duration(report.scan.enqueue_seconds)
        lines.append(Text(f"{line}. Listing took {listing}."))
    lines += notes(report)
    if lines:
        console.print(Group(Text(), *lines))
