"""Parts of a report as JSON: estimate, folders, months, throughput; documented in json.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from storage.paths import fields, shown
from workers.evaluation.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scanner.report.figures.build import Report
    from scanner.report.figures.estimate import DetectorShare
    from storage.reads.breakdown import Copies
    from storage.reads.folders import Folders, OutcomeCounts
    from workers.evaluation.intervals import Interval, Share

# Decimal places: of shares and scores, and of seconds and rates.
SHARE_DIGITS = 6
TIME_DIGITS = 3
CONFIDENCE = 0.95
_EARLIER = ("false_positives", "false_accusations")
METHOD = "Rogan-Gladen, Lang-Reiczigel interval, detectors joined by MOVER"


def share(value: float | None) -> float | None:
    """Return a share or score, rounded."""
    return None if value is None else round(value, SHARE_DIGITS)


def time_json(value: float | None) -> float | None:
    """Return seconds, or a rate, rounded."""
    return None if value is None else round(value, TIME_DIGITS)


def bounds(interval: Interval) -> dict[str, float | None]:
    """Return the bounds of an interval."""
    return {"low": share(interval.low), "high": share(interval.high)}


def corrected_json(report: Report) -> dict[str, Any] | None:
    """Return the corrected share; None where no measured detector scored an image."""
    corrected = report.corrected
    if corrected is None:
        return None
    return {
        "images": corrected.images,
        "left_out": report.counts.images - corrected.images,
        "flagged": corrected.flagged,
        "raw": share(corrected.raw),
        "share": share(corrected.share),
        **bounds(corrected.interval),
        "confidence": CONFIDENCE,
        "method": METHOD,
        **_both("false_positives", round(corrected.false_positives, 1)),
        **_both("false_positives_low", round(corrected.false_positives_interval.low, 1)),
        **_both("false_positives_high", round(corrected.false_positives_interval.high, 1)),
        "detectors": [_detector(each) for each in corrected.by_detector],
        "unmeasured": list(corrected.unmeasured),
    }


def sample_json(report: Report) -> dict[str, Any] | None:
    """Return the reviewers' answers on the latest random sample; None where none was drawn."""
    sample = report.sample
    if sample is None:
        return None
    decided = sample.ai + sample.not_ai
    return {
        "images": sample.size,
        "population": sample.population,
        "ai": sample.ai,
        "not_ai": sample.not_ai,
        "cant_tell": sample.cant_tell,
        "left": sample.unanswered,
        "share": share(sample.ai / decided) if decided else None,
        **(bounds(wilson(sample.ai, decided)) if decided else {}),
    }


def _both(name: str, value: object) -> dict[str, Any]:
    """Return a value under its key and under the key of earlier versions."""
    return {name: value, name.replace(*_EARLIER): value}


def _detector(each: DetectorShare) -> dict[str, Any]:
    false_positive_rate = _rate(each.rates.false_positive_rate)
    return {
        "name": each.detector,
        "images": each.images,
        "flagged": each.flagged,
        "sensitivity": _rate(each.rates.sensitivity),
        "false_positive_rate": false_positive_rate,
        "false_alarm_rate": false_positive_rate,
        "share": share(each.share),
        **bounds(each.interval),
        **_both("false_positives", round(each.false_positives, 1)),
    }


def _rate(rate: Share) -> dict[str, Any]:
    return {"value": share(rate.value), "images": rate.whole}


def folders_json(folders: Folders) -> dict[str, Any]:
    """Return images by folder; `path` is relative to the collection, `.` its own folder."""
    listed = [
        {**fields(folders.parent + name if name else folders.parent or b"."), **_counts(counts)}
        for name, counts in folders.by_name.items()
    ]
    return {"folders": listed, "other_folders": _counts(folders.others)}


def months_json(months: Mapping[str, OutcomeCounts]) -> list[dict[str, Any]]:
    """Return images by the month of the file."""
    return [{"month": month, **_counts(counts)} for month, counts in months.items()]


def deciding_json(deciding: Mapping[str, OutcomeCounts]) -> list[dict[str, Any]]:
    """Return the verdicts `ai` and `unsure` by the detector that decided."""
    return [
        {"detector": name, "ai": counts.ai, "unsure": counts.unsure}
        for name, counts in deciding.items()
    ]


def _counts(counts: OutcomeCounts) -> dict[str, int]:
    return {
        "images": counts.images,
        "ai": counts.ai,
        "unsure": counts.unsure,
        "error": counts.error,
    }


def copies_json(copies: Copies) -> dict[str, int]:
    """Return the numbers of files and of different contents."""
    return {
        "files": copies.files,
        "different": copies.different,
        "ai_files": copies.ai_files,
        "ai_different": copies.ai_different,
        "one_in": copies.one_in,
    }


def throughput_json(report: Report) -> dict[str, Any]:
    """Return images per second over time, by host."""
    throughput = report.throughput
    labels = {host.host_id: host.label for host in report.hosts}
    return {
        "started_at": time_json(throughput.started_at),
        "step_seconds": time_json(throughput.step_seconds),
        "hosts": [
            {
                "host": shown(labels.get(host_id, host_id).encode(errors="replace")),
                "host_id": host_id,
                "images_per_second": [time_json(rate) for rate in rates],
            }
            for host_id, rates in throughput.by_host.items()
        ],
    }
