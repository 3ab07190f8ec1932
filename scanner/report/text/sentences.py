"""Sentences of a report, the same on a terminal and in HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.report.text import labels
from storage.records import Outcome

if TYPE_CHECKING:
    from scanner.report.figures.build import Evaluation, Report
    from scanner.report.figures.compare import Comparison, McNemar
    from storage.reads.breakdown import Copies
    from workers.evaluation.intervals import Interval

# A p-value below this counts as a difference.
SIGNIFICANT = 0.05
SMALLEST_P = 0.0001


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


def settled(report: Report) -> str | None:
    """Return how many images metadata settled that could not be read; None without any."""
    images = sum(error.images for error in report.settled_errors)
    if not images:
        return None
    kinds = ", ".join(
        f"{labels.error(error.kind)} {error.images:,}" for error in report.settled_errors
    )
    return (
        f"Of the AI-generated images, {images:,} could not be read beyond metadata that settles "
        f"it: {kinds}."
    )


def nothing(report: Report) -> str:
    """Return why a scan has no images, without capital and full stop."""
    if report.scan.listed_at is None:
        return "no images were listed yet"
    return "nothing to judge, no images were found"


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
