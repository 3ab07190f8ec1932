"""Sentences of a report, the same on a terminal and in HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.report.text import labels
from storage.records import Outcome
from workers.evaluation.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scanner.report.figures.build import Evaluation, Report
    from scanner.report.figures.compare import Comparison, McNemar
    from scanner.report.figures.estimate import CorrectedShare
    from storage.reads.breakdown import Copies
    from storage.writes.samples import SampleOutcome
    from workers.evaluation.intervals import Interval

# A p-value below this counts as a difference.
SIGNIFICANT = 0.05
SMALLEST_P = 0.0001
# The short report leaves out an estimate whose interval is wider: it says nothing.
WIDEST_INTERVAL = 0.5


def answer(report: Report) -> str:
    """Return the main result of a scan, in a sentence or two."""
    counts = report.counts
    if counts.images == 0:
        return f"{nothing(report).capitalize()}."
    looks = "looks" if counts.ai == 1 else "look"
    text = f"{counts.ai:,} of {counts.images:,} images {looks} AI-generated"
    if counts.unsure:
        text += f", {labels.count(counts.unsure, 'is', 'are')} unsure"
    if counts.error:
        text += f", {counts.error:,} could not be read"
    if counts.pending:
        text += f", {labels.count(counts.pending, 'is', 'are')} still to be judged"
    return f"{text}."


def nothing(report: Report) -> str:
    """Return why a scan has no images, without capital and full stop."""
    if report.scan.listed_at is None:
        return "no images were listed yet"
    return "nothing to judge, no images were found"


def estimate(report: Report) -> Iterator[str]:
    """Yield the estimated prevalence of AI-generated images, its basis and its limits."""
    if report.sample is not None and (reviewed := _reviewed(report.sample)) is not None:
        yield reviewed
    share = report.corrected
    if share is None:
        yield (
            "The share of AI-generated images cannot be estimated: no detector with known error "
            "rates scored these images."
        )
        return
    yield (
        f"About {_with_interval(share.share, share.interval)} of the "
        f"{labels.count(share.images, 'image', 'images')} scored by detectors with known error "
        f"rates are AI-generated. {_percent(share.raw)} % were flagged. The estimate corrects for "
        "missed and false detections."
    )
    yield false_positives(share)
    if omitted := report.counts.images - share.images:
        yield (
            f"{labels.count(omitted, 'image is', 'images are')} not in the estimate: no detector "
            "with known error rates scored them at full resolution."
        )
    if share.unmeasured:
        detectors = ", ".join(share.unmeasured)
        yield f"Not used for the estimate (no usable error rates): {detectors}."
    yield (
        "These figures assume images like those the detectors were tested on; images of other "
        "generators may be missed far more often."
    )


def short_estimate(report: Report) -> Iterator[str]:
    """Yield the prevalence, from reviewers where they decided any image, else from detectors."""
    if report.sample is not None and (reviewed := _reviewed(report.sample)) is not None:
        yield reviewed
    elif (share := report.corrected) is not None and _is_informative(share.interval):
        yield (
            f"Estimate: {_with_interval(share.share, share.interval)} of the "
            f"{labels.count(share.images, 'image', 'images')} scored by detectors with known error "
            "rates are AI-generated."
        )
        if share.flagged:
            yield false_positives(share)


def _is_informative(interval: Interval) -> bool:
    low, high = interval
    return high - low <= WIDEST_INTERVAL


def _reviewed(sample: SampleOutcome) -> str | None:
    """Return what reviewers found in a random sample; None before the first decision."""
    decided = sample.ai + sample.not_ai
    if not decided:
        return None
    share = _with_interval(sample.ai / decided, wilson(sample.ai, decided))
    return (
        f"Reviewers decided {decided:,} of "
        f"{labels.count(sample.size, 'randomly sampled image', 'randomly sampled images')}; "
        f"{labels.count(sample.ai, 'is', 'are')} AI-generated: {share} of the "
        f"{sample.population:,} readable images."
    )


def false_positives(share: CorrectedShare) -> str:
    """Return how many of the flagged images are expected to be false positives."""
    if not share.flagged:
        return "No image was flagged."
    number = share.false_positives
    low, high = (round(bound) for bound in share.false_positives_interval)
    about = f"about {number:,.0f}" if number >= 1 else "fewer than one"
    bounds = f" ({low:,} to {high:,})" if high else ""
    return (
        f"Expected false positives (not AI-generated): {about}{bounds} of "
        f"{labels.count(share.flagged, 'flagged image', 'flagged images')}."
    )


def _with_interval(share: float, bounds: Interval) -> str:
    low, high = (_percent(bound) for bound in bounds)
    return f"{_percent(share)} % (95 % interval: {low} to {high} %)"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def copies(counts: Copies) -> str | None:
    """Return how many files are copies of others; None where none is."""
    if counts.files == counts.different:
        return None
    repeated = labels.percent(counts.files - counts.different, counts.files)
    if counts.one_in > 1:
        return f"{repeated} of the files are copies of another (from 1 in {counts.one_in} digests)."
    text = (
        f"The {counts.files:,} readable files have {counts.different:,} different contents "
        f"({repeated} are copies)."
    )
    if counts.ai_files != counts.ai_different:
        text += f" The {counts.ai_files:,} AI-generated files have {counts.ai_different:,}."
    return text


def false_positive_rate(evaluation: Evaluation) -> str:
    """Return how often the verdict `ai` was wrong on labelled images."""
    called = {label: evaluation.by_verdict.get((label, Outcome.AI), 0) for label in (True, False)}
    real = sum(number for (label, _), number in evaluation.by_verdict.items() if not label)
    total = called[True] + called[False]
    if total == 0:
        return "No labelled image was called AI-generated."
    were = "was" if called[False] == 1 else "were"
    text = f"Of {total:,} called AI-generated, {called[False]:,} {were} not"
    return (
        f"{text}: {labels.percent(called[False], real)} of the REAL ones." if real else f"{text}."
    )


def interval(bounds: Interval | None) -> str:
    """Return the bounds of an interval with four digits; empty for None."""
    return "" if bounds is None else f"{bounds.low:.4f} to {bounds.high:.4f}"


def changed(comparison: Comparison) -> str:
    """Return what changed between two scans."""
    if comparison.before.scan.collection_id != comparison.after.scan.collection_id:
        return "The scans are of different collections; their images cannot be compared."
    if not comparison.both:
        return "No image was judged by both scans."
    number = f"{comparison.changed:,}" if comparison.changed else "None"
    have = "have" if comparison.changed > 1 else "has"
    return (
        f"{number} of the {labels.count(comparison.both, 'image', 'images')} that both judged "
        f"{have} another verdict now."
    )


def mcnemar(test: McNemar) -> str:
    """Return which scan agrees with the labels more often."""
    if test.p_value is None:
        return "Both scans are right about the same labelled images."
    chance = test.p_value >= SIGNIFICANT
    p_value = f"p = {test.p_value:.4f}" if test.p_value >= SMALLEST_P else f"p < {SMALLEST_P}"
    text = (
        f"{labels.count(test.only_before, 'labelled image is', 'labelled images are')} right only "
        f"before and {test.only_after:,} only after"
    )
    return (
        f"{text}: {'no more than chance' if chance else 'more than chance'} (McNemar, {p_value})."
    )
