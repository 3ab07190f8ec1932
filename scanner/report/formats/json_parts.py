"""Parts of a report as JSON: the corrected share, where and when; documented in json.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from storage.paths import fields, shown
from workers.evaluation.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scanner.report.figures.build import Report
    from scanner.report.figures.estimate import DetectorShare
    from storage.reads.breakdown import Copies, Folders, Told
    from storage.writes.cascade import CascadeProgress
    from workers.evaluation.intervals import Interval, Share

# Digits behind the point: of shares and scores, and of seconds and milliseconds.
SHARE_DIGITS = 6
TIME_DIGITS = 3
CONFIDENCE = 0.95
METHOD = "Rogan-Gladen, Lang-Reiczigel interval, detectors joined by MOVER"


def share(value: float | None) -> float | None:
    """A share or score, rounded."""
    return None if value is None else round(value, SHARE_DIGITS)


def time_json(value: float | None) -> float | None:
    """Seconds, or a rate, rounded."""
    return None if value is None else round(value, TIME_DIGITS)


def cascade_json(progress: CascadeProgress | None) -> dict[str, Any] | None:
    """Return how far the second stage is; None where there is none."""
    if progress is None:
        return None
    return {
        "detector": progress.detector,
        "given": progress.done,
        "waiting": progress.waiting,
    }


def ends(interval: Interval) -> dict[str, float | None]:
    """The ends of an interval."""
    return {"low": share(interval.low), "high": share(interval.high)}


def corrected_json(report: Report) -> dict[str, Any] | None:
    """The corrected share; None where no measured detector looked at anything."""
    found = report.corrected
    if found is None:
        return None
    accused = found.false_accusations_interval
    return {
        "images": found.images,
        "left_out": report.counts.images - found.images,
        "flagged": found.flagged,
        "raw": share(found.raw),
        "share": share(found.share),
        **ends(found.interval),
        "confidence": CONFIDENCE,
        "method": METHOD,
        "false_accusations": round(found.false_accusations, 1),
        "false_accusations_low": round(accused.low, 1),
        "false_accusations_high": round(accused.high, 1),
        "detectors": [_detector(one) for one in found.by_detector],
        "unmeasured": list(found.unmeasured),
    }


def sample_json(report: Report) -> dict[str, Any] | None:
    """What people said of the latest random sample; None where none was drawn."""
    found = report.sample
    if found is None:
        return None
    told = found.ai + found.not_ai
    return {
        "images": found.size,
        "population": found.population,
        "ai": found.ai,
        "not_ai": found.not_ai,
        "cant_tell": found.cant_tell,
        "left": found.left,
        "share": share(found.ai / told) if told else None,
        **(ends(wilson(found.ai, told)) if told else {}),
    }


def _detector(one: DetectorShare) -> dict[str, Any]:
    return {
        "name": one.detector,
        "images": one.images,
        "flagged": one.flagged,
        "sensitivity": _rate(one.rates.sensitivity),
        "false_alarm_rate": _rate(one.rates.false_alarm),
        "share": share(one.share),
        **ends(one.interval),
        "false_accusations": round(one.false_accusations, 1),
    }


def _rate(rate: Share) -> dict[str, Any]:
    return {"value": share(rate.value), "images": rate.whole}


def folders_json(folders: Folders) -> dict[str, Any]:
    """Images by folder; a folder's `path` is relative to the collection, `.` is its own."""
    listed = [
        {**fields(folders.parent + name if name else folders.parent or b"."), **_told(one)}
        for name, one in folders.by_name.items()
    ]
    return {"folders": listed, "other_folders": _told(folders.others)}


def months_json(months: Mapping[str, Told]) -> list[dict[str, Any]]:
    """Images by the month of the file."""
    return [{"month": month, **_told(one)} for month, one in months.items()]


def deciding_json(deciding: Mapping[str, Told]) -> list[dict[str, Any]]:
    """Verdicts that say something, by the detector that decided."""
    return [
        {"detector": name, "ai": one.ai, "unsure": one.unsure} for name, one in deciding.items()
    ]


def _told(one: Told) -> dict[str, int]:
    return {"images": one.images, "ai": one.ai, "unsure": one.unsure, "error": one.error}


def copies_json(copies: Copies) -> dict[str, int]:
    """Files, and how many different contents they have."""
    return {
        "files": copies.files,
        "different": copies.different,
        "ai_files": copies.ai_files,
        "ai_different": copies.ai_different,
        "one_in": copies.one_in,
    }


def course_json(report: Report) -> dict[str, Any]:
    """Images a second over time, by host."""
    labels = {one.host_id: one.label for one in report.hosts}
    return {
        "started_at": time_json(report.course.started_at),
        "step_seconds": time_json(report.course.step_seconds),
        "hosts": [
            {
                "host": shown(labels.get(host_id, host_id).encode(errors="replace")),
                "host_id": host_id,
                "images_per_second": [time_json(rate) for rate in rates],
            }
            for host_id, rates in report.course.by_host.items()
        ],
    }
