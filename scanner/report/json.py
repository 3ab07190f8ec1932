"""A report as one JSON object, documented in docs/reference/json.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from storage.figures import STAGES
from storage.paths import fields, shown
from storage.records import Outcome

if TYPE_CHECKING:
    from scanner.report.build import Report, Truth
    from scanner.report.metrics import ClassFigures
    from storage.figures import EvidenceCount, HostFigures
    from storage.queries import Counts

# Digits behind the point: of shares and scores, and of seconds and milliseconds.
SHARE_DIGITS = 6
TIME_DIGITS = 3


def to_json(report: Report) -> dict[str, Any]:
    """The report as JSON-able values; floats are rounded, what is not defined is None."""
    scan, counts = report.scan, report.counts
    body = {
        "scan": scan.scan_id,
        "collection": scan.collection,
        "root": shown(scan.root),
        "state": report.state,
        "created_at": _time(scan.created_at),
        "finished_at": _time(scan.finished_at),
        "images": counts.images,
        "verdicts": verdicts_json(counts),
        "not_examined": counts.not_examined,
        "kept": counts.kept,
        "skipped": sum(scan.skipped.values()),
        "skipped_by_kind": dict(sorted(scan.skipped.items())),
        "unreadable_folders": scan.unreadable_folders,
        "enqueue_seconds": _time(scan.enqueue_seconds),
        "seconds": _time(report.seconds),
        "active_seconds": _time(report.active_seconds),
        "images_per_second": _time(report.images_per_second),
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
    if report.truth is not None:
        body["truth"] = _truth(report.truth)
    return body


def verdicts_json(counts: Counts) -> dict[str, int]:
    """The five counts that add up to `images`."""
    return {
        "ai": counts.ai,
        "unsure": counts.unsure,
        "no_evidence": counts.no_evidence,
        "error": counts.error,
        "pending": counts.pending,
    }


def share(value: float | None) -> float | None:
    """A share or score, rounded."""
    return None if value is None else round(value, SHARE_DIGITS)


def milliseconds(us: int) -> float:
    """Microseconds in milliseconds."""
    return us / 1000


def _time(value: float | None) -> float | None:
    return None if value is None else round(value, TIME_DIGITS)


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
        "seconds": _time(host.seconds),
        "images_per_second": _time(host.images / host.seconds) if host.seconds > 0 else None,
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


def _truth(truth: Truth) -> dict[str, Any]:
    figures = truth.figures
    return {
        "images": truth.images,
        "scored": truth.scored,
        "accuracy": share(figures.accuracy),
        "precision": share(figures.fake.precision),
        "recall": share(figures.fake.recall),
        "f1": share(figures.fake.f1),
        "average_precision": share(figures.average_precision),
        "average_precision_real": share(figures.average_precision_real),
        "roc_auc": share(figures.roc_auc),
        "confusion": {
            "tp": figures.confusion.tp,
            "fp": figures.confusion.fp,
            "fn": figures.confusion.fn,
            "tn": figures.confusion.tn,
        },
        "classes": {
            "FAKE": _class(figures.fake),
            "REAL": _class(figures.real),
            "macro_average": _class(figures.macro),
            "weighted_average": _class(figures.weighted),
        },
        "by_verdict": {
            label: {
                "pending" if outcome is None else outcome.value: truth.by_verdict.get(
                    (made, outcome), 0
                )
                for outcome in (*Outcome, None)
            }
            for label, made in (("ai", True), ("real", False))
        },
    }


def _class(figures: ClassFigures) -> dict[str, float | int | None]:
    return {
        "precision": share(figures.precision),
        "recall": share(figures.recall),
        "f1": share(figures.f1),
        "support": figures.support,
    }
