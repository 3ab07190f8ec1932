"""A report as one JSON object, documented in docs/reference/json.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scanner.report.formats.json_accuracy import truth_json
from scanner.report.formats.json_parts import (
    cascade_json,
    copies_json,
    corrected_json,
    course_json,
    deciding_json,
    folders_json,
    months_json,
    sample_json,
    share,
    time_json,
)
from storage.paths import fields, shown
from storage.reads.aggregates import STAGES

if TYPE_CHECKING:
    from scanner.report.figures.build import Report
    from scanner.report.figures.compare import Comparison
    from storage.reads.aggregates import EvidenceCount, HostFigures
    from storage.reads.queries import Counts


def to_json(report: Report) -> dict[str, Any]:
    """The report as JSON-able values; floats are rounded, what is not defined is None."""
    scan, counts = report.scan, report.counts
    body = {
        "scan": scan.scan_id,
        "collection": scan.collection,
        "root": shown(scan.root),
        "state": report.scan.state,
        "created_at": time_json(scan.created_at),
        "finished_at": time_json(scan.finished_at),
        "images": counts.images,
        "verdicts": verdicts_json(counts),
        "not_examined": counts.not_examined,
        "kept": counts.kept,
        "skipped": sum(scan.skipped.values()),
        "skipped_by_kind": dict(sorted(scan.skipped.items())),
        "unreadable_folders": scan.unreadable_folders,
        "enqueue_seconds": time_json(scan.enqueue_seconds),
        "seconds": time_json(report.seconds),
        "active_seconds": time_json(report.active_seconds),
        "images_per_second": time_json(report.images_per_second),
        "hosts": [_host(one) for one in report.hosts],
        "detectors": [
            {
                "name": one.name,
                "version": one.version,
                "sha256": one.sha256,
                "thresholds": {"unsure": share(one.unsure), "ai": share(one.ai)},
                "images": one.images,
            }
            for one in report.detectors
        ],
        "evidence": [_evidence(one) for one in report.evidence],
        "errors": [
            {
                "kind": one.kind.value,
                "images": one.images,
                "examples": [{**fields(path), "text": text} for path, text in one.examples],
            }
            for one in report.errors
        ],
    }
    breakdown = report.breakdown
    body |= {
        "corrected_share": corrected_json(report),
        "sample": sample_json(report),
        **folders_json(breakdown.folders),
        "months": months_json(breakdown.months),
        "deciding": deciding_json(breakdown.deciding),
        "copies": copies_json(breakdown.copies),
        "course": course_json(report),
        "second_opinions": cascade_json(report.opinions),
    }
    if report.truth is not None:
        body["truth"] = truth_json(report.truth)
    return body


def comparison_json(found: Comparison) -> dict[str, Any]:
    """Two scans and what changed between them."""
    return {
        "before": to_json(found.before),
        "after": to_json(found.after),
        "both": found.both,
        "changed": found.changed,
        "flips": [
            {"before": before.value, "after": after.value, "images": images}
            for before, after, images in found.flips
        ],
        "examples": [
            {**fields(one.path), "before": one.before.value, "after": one.after.value}
            for one in found.examples
        ],
        "mcnemar": None
        if found.mcnemar is None
        else {
            "only_before_right": found.mcnemar.only_before,
            "only_after_right": found.mcnemar.only_after,
            "p_value": share(found.mcnemar.p_value),
        },
    }


def verdicts_json(counts: Counts) -> dict[str, int]:
    """The five counts that add up to `images`."""
    return {
        "ai": counts.ai,
        "unsure": counts.unsure,
        "no_evidence": counts.no_evidence,
        "error": counts.error,
        "pending": counts.pending,
    }


def milliseconds(us: int) -> float:
    """Microseconds in milliseconds."""
    return us / 1000


def _host(host: HostFigures) -> dict[str, Any]:
    stages = {}
    for name in STAGES:
        took = host.stages.get(name)
        stages[name] = {
            "p50": None if took is None else milliseconds(took.p50_us),
            "p95": None if took is None else milliseconds(took.p95_us),
        }
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


def _evidence(one: EvidenceCount) -> dict[str, Any]:
    return {
        "detector": one.detector,
        "kind": one.kind,
        "generator": one.generator,
        "signature": one.signature,
        "images": one.images,
    }
