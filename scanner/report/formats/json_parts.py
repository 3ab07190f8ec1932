"""Parts of a report as JSON: estimate, folders, months, throughput; documented in json.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scanner.report.figures.estimate import Standing, rate_bounds
from storage.paths import fields, shown
from workers.evaluation.intervals import Interval, wilson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from scanner.report.figures.build import Report
    from scanner.report.figures.estimate import Part
    from scanner.report.figures.recall import Recall
    from storage.reads.breakdown import Copies
    from storage.reads.folders import Folders, OutcomeCounts
    from workers.evaluation.intervals import Share

# Decimal places: of shares and scores, and of seconds and rates.
SHARE_DIGITS = 6
TIME_DIGITS = 3
CONFIDENCE = 0.95
_EARLIER = ("false_positives", "false_accusations")
METHOD = "Rogan-Gladen, interval by inverting a test with beta-binomial rates between sources"


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
        "standing": corrected.standing.value,
        "share": share(corrected.share) if corrected.standing is Standing.BETWEEN else None,
        **_bounds(corrected.interval),
        "confidence": CONFIDENCE,
        "method": METHOD,
        **_both("false_positives", round(corrected.false_positives, 1)),
        **_both("false_positives_low", round(corrected.false_positives_interval.low, 1)),
        **_both("false_positives_high", round(corrected.false_positives_interval.high, 1)),
        "settled_by_metadata": report.breakdown.coverage.settled,
        "detectors": [_part(each) for each in corrected.parts],
        "unmeasured": list(corrected.unmeasured),
    }


def recall_json(recall: Recall | None) -> dict[str, Any] | None:
    """Return how many AI-generated images are found; None where no measured detector scored any."""
    if recall is None:
        return None
    return {
        "share": share(recall.share),
        "lowest": share(recall.lowest),
        "highest": share(recall.highest),
        "generators": recall.generators,
        "counts_unsure": recall.counts_unsure,
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
        "contradicting": sample.contradicting,
        "uncounted": sample.uncounted,
        "left": sample.unanswered,
        "share": share(sample.ai / decided) if decided else None,
        **(bounds(wilson(sample.ai, decided)) if decided else {}),
    }


def _both(name: str, value: object) -> dict[str, Any]:
    """Return a value under its key and under the key of earlier versions."""
    return {name: value, name.replace(*_EARLIER): value}


def _part(each: Part) -> dict[str, Any]:
    """Return the images that the same detectors scored; `name` has the names of all of these."""
    found = [source for rates in each.rates for source in rates.sensitivity]
    false = [source for rates in each.rates for source in rates.false_positive_rate]
    false_positive_rate = _rate(each.false_positive_rate, false)
    return {
        "name": " + ".join(each.detectors),
        "images": each.images,
        "flagged": each.flagged,
        "sensitivity": _rate(each.sensitivity, found),
        "false_positive_rate": false_positive_rate,
        "false_alarm_rate": false_positive_rate,
        "share": None if each.interval is None else share(each.share),
        **_bounds(each.interval),
        **_both("false_positives", round(each.false_positives, 1)),
    }


def _rate(rates: NDArray[np.float64], sources: Sequence[Share]) -> dict[str, Any]:
    """Return the mean of equally probable rates, 95 % of them, and what they were measured on."""
    low, high = rate_bounds(rates)
    return {
        "value": share(float(rates.mean())),
        **bounds(Interval(low, high)),
        "images": sum(source.whole for source in sources),
        "sources": len(sources),
    }


def _bounds(interval: Interval | None) -> dict[str, float | None]:
    return {"low": None, "high": None} if interval is None else bounds(interval)


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
