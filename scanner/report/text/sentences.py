"""What a report says in sentences, on a terminal and in HTML alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.report.text import labels
from storage.records import Outcome
from workers.evaluation.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scanner.report.figures.build import Report, Truth
    from scanner.report.figures.compare import Comparison, McNemar
    from scanner.report.figures.estimate import CorrectedShare
    from storage.reads.breakdown import Copies
    from storage.writes.cascade import CascadeProgress
    from storage.writes.samples import SampleOutcome
    from workers.evaluation.intervals import Interval

# A p-value below this is called a difference.
SIGNIFICANT = 0.05
SMALLEST_P = 0.0001


def answer(report: Report) -> str:
    """The one sentence or two that the scan was made for."""
    counts = report.counts
    if counts.images == 0:
        return "There was no image to judge."
    looks = "looks" if counts.ai == 1 else "look"
    text = f"{counts.ai:,} of {labels.count(counts.images, 'image', 'images')} {looks} AI-made"
    if counts.unsure:
        text += f", {labels.count(counts.unsure, 'is', 'are')} doubtful"
    if counts.error:
        text += f", {counts.error:,} could not be read"
    text += "."
    if counts.pending:
        text += f" Not finished: {labels.count(counts.pending, 'is', 'are')} still to be judged."
    if report.opinions is not None and report.opinions.done + report.opinions.waiting:
        text += f" {second(report.opinions)}"
    return text


def second(opinions: CascadeProgress) -> str:
    """How far the second opinions are."""
    given = labels.count(opinions.done, "doubtful image", "doubtful images")
    text = f"{opinions.detector} has looked at {given}"
    if opinions.waiting:
        text += f", {labels.count(opinions.waiting, 'waits', 'wait')} for its second opinion"
    return f"{text}."


def estimate(report: Report) -> Iterator[str]:
    """How much is AI-made when the detectors' mistakes are reckoned with, sentence by sentence."""
    if report.sample is not None and (said := _reviewed(report.sample)) is not None:
        yield said
    found = report.corrected
    if found is None:
        yield (
            "How much of this is AI-made cannot be estimated: no detector whose mistakes "
            "were measured has looked at these pixels."
        )
        return
    low, high = (_percent(end) for end in found.interval)
    yield (
        f"About {_percent(found.share)} % of the {labels.count(found.images, 'image', 'images')} "
        f"that measured detectors looked at are AI-made (95 % interval: {low} to {high} %). "
        f"Flagged were {_percent(found.raw)} %; the estimate reckons with what detectors miss and "
        "whom they accuse falsely."
    )
    yield _accusations(found)
    if left := report.counts.images - found.images:
        stay = "stays" if left == 1 else "stay"
        yield (
            f"{labels.count(left, 'image', 'images')} {stay} out of the estimate: no detector "
            "whose measured rates tell a share scored them at their own size."
        )
    if found.unmeasured:
        yield f"Looked, but their rates tell no share: {', '.join(found.unmeasured)}."
    yield (
        "All this holds as far as these pictures are like those that the detectors were measured "
        "on; of other generators they may miss far more."
    )


def _reviewed(sample: SampleOutcome) -> str | None:
    """What people found in a random sample, which no detector's mistakes touch."""
    told = sample.ai + sample.not_ai
    if not told:
        return None
    low, high = wilson(sample.ai, told)
    return (
        f"People could tell of {told:,} of a random sample of "
        f"{labels.count(sample.size, 'image', 'images')}, and called {sample.ai:,} AI-made: "
        f"{_percent(sample.ai / told)} % (95 % interval: {_percent(low)} to {_percent(high)} %) of "
        f"the {sample.population:,} that could be read."
    )


def _accusations(found: CorrectedShare) -> str:
    if not found.flagged:
        return "None was flagged, so nobody is accused."
    number = found.false_accusations
    low, high = (round(end) for end in found.false_accusations_interval)
    about = f"about {number:,.0f}" if number >= 1 else "fewer than one"
    return (
        f"Of the {found.flagged:,} that they flagged, {about} ({low:,} to {high:,}) will be false "
        "accusations."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def copies(found: Copies) -> str | None:
    """How many files are copies of others, in a sentence; None where none is."""
    if found.files == found.different:
        return None
    repeated = labels.percent(found.files - found.different, found.files)
    if found.one_in > 1:
        return (
            f"{repeated} of the files repeat a picture that is there already (by one in "
            f"{found.one_in} digests)."
        )
    text = (
        f"The {found.files:,} files that could be opened have {found.different:,} different "
        f"contents ({repeated} repeat one)."
    )
    if found.ai_files != found.ai_different:
        text += f" The {found.ai_files:,} AI-made files have {found.ai_different:,}."
    return text


def accusations(truth: Truth) -> str:
    """How often the verdict `ai` was wrong, in words."""
    called = {made: truth.by_verdict.get((made, Outcome.AI), 0) for made in (True, False)}
    real = sum(number for (made, _), number in truth.by_verdict.items() if not made)
    total = called[True] + called[False]
    if total == 0:
        return "No labelled image was called AI-made."
    were = "was" if called[False] == 1 else "were"
    text = f"Of {total:,} called AI-made, {called[False]:,} {were} not"
    return (
        f"{text}: {labels.percent(called[False], real)} of the REAL ones." if real else f"{text}."
    )


def interval(found: Interval | None) -> str:
    """The ends of an interval, with as many digits as figures have."""
    return "" if found is None else f"{found.low:.4f} to {found.high:.4f}"


def changed(found: Comparison) -> str:
    """What changed between two scans, in a sentence."""
    if found.before.scan.collection_id != found.after.scan.collection_id:
        return "The scans are of different collections: their images cannot be told to be the same."
    if not found.both:
        return "No image was judged by both scans."
    number = f"{found.changed:,}" if found.changed else "None"
    have = "have" if found.changed > 1 else "has"
    return (
        f"{number} of the {labels.count(found.both, 'image', 'images')} that both judged "
        f"{have} another verdict now."
    )


def mcnemar(found: McNemar) -> str:
    """Which scan is right more often, in a sentence."""
    if found.p_value is None:
        return "Held against the labels, both are right about the same images."
    chance = found.p_value >= SIGNIFICANT
    p_value = f"p = {found.p_value:.4f}" if found.p_value >= SMALLEST_P else f"p < {SMALLEST_P}"
    text = (
        f"Held against the labels, {labels.count(found.only_before, 'image is', 'images are')} "
        f"right only before and {found.only_after:,} only after"
    )
    return (
        f"{text}: {'no more than chance' if chance else 'more than chance'} (McNemar, {p_value})."
    )
