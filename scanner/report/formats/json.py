"""A report as one JSON object, documented in docs/reference/json.md.

Keys are never renamed: where a key has got a plainer name, both are there.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from scanner.report.formats.json_accuracy import evaluation_json
from scanner.report.formats.json_parts import (
    copies_json,
    corrected_json,
    deciding_json,
    folders_json,
    months_json,
    recall_json,
    sample_json,
    share,
    throughput_json,
    time_json,
)
from scanner.report.text.why import short_reason, why
from storage.paths import fields, shown
from storage.reads.hosts import STAGES
from storage.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scanner.report.figures.build import Report
    from scanner.report.figures.compare import Comparison
    from storage.reads.evidence import ErrorCount
    from storage.reads.hosts import HostFigures
    from storage.reads.progress import Counts
    from storage.reads.verdicts import VerdictRow
    from storage.records import PlannedDetector, Thresholds


def to_json(report: Report) -> dict[str, Any]:
    """Return the report as JSON values; floats are rounded, undefined figures are None."""
    scan, counts = report.scan, report.counts
    body = {
        "scan": scan.scan_id,
        "collection": scan.collection,
        "root": shown(scan.root),
        "state": report.scan.state,
        "phase": report.phase.value,
        "created_at": time_json(scan.created_at),
        "finished_at": time_json(scan.finished_at),
        "images": counts.images,
        "verdicts": verdicts_json(counts),
        "not_examined": counts.not_examined,
        "kept": counts.kept,
        "edited": {
            "images": sum(report.edited.values()),
            "ai": report.edited.get(Outcome.AI, 0),
            "unsure": report.edited.get(Outcome.UNSURE, 0),
        },
        "skipped": sum(scan.skipped.values()),
        "skipped_by_kind": dict(sorted(scan.skipped.items())),
        "unreadable_folders": scan.unreadable_folders,
        "enqueue_seconds": time_json(scan.enqueue_seconds),
        "seconds": time_json(report.seconds),
        "active_seconds": time_json(report.active_seconds),
        "images_per_second": time_json(report.images_per_second),
        "hosts": [_host(host) for host in report.hosts],
        "detectors": [_detector(row.planned, row.images) for row in report.detectors],
        "evidence": [asdict(row) for row in report.evidence],
        "findings": [_finding(row, scan.plan.thresholds()) for row in report.findings],
        "errors": [_error(error) for error in report.errors],
        "settled_errors": [_error(error) for error in report.settled_errors],
    }
    breakdown, throughput = report.breakdown, throughput_json(report)
    body |= {
        "corrected_share": corrected_json(report),
        "recall": recall_json(report.recall),
        "sample": sample_json(report),
        **folders_json(breakdown.folders),
        "months": months_json(breakdown.months),
        "deciding": deciding_json(breakdown.deciding),
        "copies": copies_json(breakdown.copies),
        "throughput": throughput,
        "course": throughput,
    }
    if report.evaluation is not None:
        body["evaluation"] = body["truth"] = evaluation_json(report.evaluation)
    return body


def _detector(planned: PlannedDetector, images: int) -> dict[str, Any]:
    return {
        "name": planned.name,
        "version": planned.version,
        "sha256": planned.sha256,
        "thresholds": {
            "unsure": share(planned.thresholds.unsure),
            "ai": share(planned.thresholds.ai),
        },
        "images": images,
    }


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Return two scans and what changed between them."""
    test = comparison.mcnemar
    return {
        "before": to_json(comparison.before),
        "after": to_json(comparison.after),
        "both": comparison.both,
        "changed": comparison.changed,
        "flips": [
            {"before": before.value, "after": after.value, "images": images}
            for before, after, images in comparison.flips
        ],
        "examples": [
            {**fields(change.path), "before": change.before.value, "after": change.after.value}
            for change in comparison.examples
        ],
        "mcnemar": None
        if test is None
        else {
            "only_before_right": test.only_before,
            "only_after_right": test.only_after,
            "p_value": share(test.p_value),
        },
    }


def verdicts_json(counts: Counts) -> dict[str, int]:
    """Return the five counts that add up to `images`."""
    return {
        "ai": counts.ai,
        "unsure": counts.unsure,
        "no_evidence": counts.no_evidence,
        "error": counts.error,
        "pending": counts.pending,
    }


def _host(host: HostFigures) -> dict[str, Any]:
    stages: dict[str, dict[str, float | None]] = {}
    for name in STAGES:
        times = host.stages.get(name)
        p50, p95 = (None, None) if times is None else (times.p50_us / 1000, times.p95_us / 1000)
        stages[name] = {"p50": p50, "p95": p95}
    return {
        "host": host.label,
        "host_id": host.host_id,
        "arch": host.arch,
        "images": host.images,
        "seconds": time_json(host.seconds),
        "images_per_second": time_json(host.images / host.seconds) if host.seconds > 0 else None,
        "stages_ms": stages,
        "info": dict(host.info),
    }


def _error(error: ErrorCount) -> dict[str, Any]:
    return {
        "kind": error.kind.value,
        "images": error.images,
        "examples": [{**fields(path), "text": text} for path, text in error.examples],
    }


def _finding(row: VerdictRow, thresholds: Mapping[str, Thresholds]) -> dict[str, Any]:
    verdict = row.verdict
    if verdict is None:
        raise ValueError(f"image {row.image_id} has no verdict")
    return {
        **fields(row.path),
        "verdict": verdict.outcome.value,
        "score": share(verdict.score),
        "detector": verdict.detector,
        "reason": short_reason(verdict, thresholds),
        "why": why(verdict, thresholds),
    }
