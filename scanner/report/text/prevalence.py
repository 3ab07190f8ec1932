"""Sentences on the share of AI-generated images, the same on a terminal and in HTML."""

from __future__ import annotations

from math import ceil, log
from typing import TYPE_CHECKING

from scanner.language import gettext, ngettext
from scanner.report.figures.estimate import Standing
from scanner.report.text import labels
from scanner.report.text.tables import safe
from storage.records import CONTEXT, NEVER
from workers.evaluation.intervals import Interval, wilson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scanner.report.figures.build import Report
    from scanner.report.figures.estimate import CorrectedShare
    from scanner.report.figures.recall import Recall
    from storage.writes.samples import SampleOutcome

# Shares that are given in words: so many in so many.
_IN_WORDS = (
    (1, 100), (1, 50), (1, 20), (1, 10), (1, 5), (1, 4), (1, 3), (1, 2),
    (2, 3), (3, 4), (4, 5), (9, 10), (19, 20), (99, 100),
)  # fmt: skip
# Of the intervals.
_CERTAINTY = "95 %"
_HARDLY = 0.005
# A lower bound below this is shown as 0.
_LEAST = 0.0005
# Nothing is known of the share.
SILENT = (Standing.CONTRADICTED, Standing.TOO_WIDE, Standing.TOO_FEW)


def short_estimate(report: Report) -> Iterator[str]:
    """Yield the share by a reviewed sample, else by the detectors, and what these miss."""
    share = report.corrected
    yield from headline(report)
    if report.sample is not None and _reviewed(report.sample) is not None:
        if share is not None:
            yield _compared(report, report.sample, share)
    elif share is not None:
        yield _by_detectors(share)
        if share.flagged and share.standing is not Standing.CONTRADICTED:
            yield false_positives(share)


def headline(report: Report) -> Iterator[str]:
    """Yield what the detectors miss, and the share by a reviewed sample."""
    if report.recall is not None:
        yield found(report.recall)
    if report.sample is not None and (reviewed := _reviewed(report.sample)) is not None:
        yield reviewed


def estimate(report: Report) -> Iterator[str]:
    """Yield the share of AI-generated images, its basis and its limits."""
    share = report.corrected
    if report.sample is not None and (reviewed := _reviewed(report.sample)) is not None:
        yield reviewed
        if share is not None:
            yield _compared(report, report.sample, share)
    if share is None:
        yield gettext(
            "The detectors give no estimate: none whose error rates were measured on several "
            "sources scored these images."
        )
        return
    yield _by_detectors(share)
    if report.recall is not None:
        yield found(report.recall)
    if share.standing is not Standing.CONTRADICTED:
        yield false_positives(share)
    yield from _basis(report, share)


def short_share(share: CorrectedShare) -> str:
    """Return the bounds of the estimate; `-` where it says nothing."""
    if share.interval is None or share.standing in SILENT:
        return "-"
    if share.standing is Standing.AT_LEAST:
        return gettext("at least {share}").format(share=f"{_percent(share.interval.low)} %")
    return percent_range(share.interval)


def found(recall: Recall) -> str:
    """Return how many AI-generated images the detectors find."""
    share = in_words(recall.share)
    text = ngettext(
        "Of AI-generated images like those that the detectors were measured on, about {share} is "
        "found",
        "Of AI-generated images like those that the detectors were measured on, about {share} are "
        "found",
        1 if _HARDLY < recall.share < 1 - _HARDLY and _nearest(recall.share)[0] == 1 else 2,
    ).format(share=share)
    if recall.counts_unsure:
        text += gettext(" (“AI-generated” or “unsure”)")
    lowest, highest = in_words(recall.lowest), in_words(recall.highest)
    if recall.generators > 1 and lowest != highest != share:
        text += gettext("; by generator, from {lowest} to {highest}").format(
            lowest=lowest, highest=highest
        )
    elif recall.generators > 1 and lowest != share:
        # An average that reads as its maximum would puzzle.
        text += gettext("; of some generators {lowest}").format(lowest=lowest)
    return gettext("{text}.").format(text=text)


def in_words(share: float) -> str:
    """Return a share as so many in so many, the nearest by its odds."""
    if share <= _HARDLY:
        return gettext("fewer than 1 in 100") if share else gettext("none")
    if share >= 1 - _HARDLY:
        return gettext("nearly all") if share < 1 else gettext("all")
    part, whole = _nearest(share)
    return gettext("{part} in {whole}").format(part=part, whole=whole)


def _nearest(share: float) -> tuple[int, int]:
    odds = log(share / (1 - share))
    return min(_IN_WORDS, key=lambda each: abs(log(each[0] / (each[1] - each[0])) - odds))


def _by_detectors(share: CorrectedShare) -> str:
    """Return what the detectors' scores say of the share, or why they say nothing."""
    images = labels.count(share.images, "image", "images")
    bounds = share.interval
    if share.standing is Standing.TOO_FEW:
        return gettext(
            "No estimate: detectors with known error rates scored only {images}."
        ).format(images=images)
    if bounds is None:
        text = (
            gettext(
                "No estimate: of the {images} that the detectors scored they flag more than their "
                "measured error rates explain, so these images are unlike those they were measured "
                "on."
            )
            if share.too_many
            else gettext(
                "No estimate: of the {images} that the detectors scored they flag fewer than their "
                "measured error rates explain, so these images are unlike those they were measured "
                "on."
            )
        )
        return text.format(images=images)
    if share.standing is Standing.BETWEEN:
        return gettext(
            "Estimate: {share} of the {images} scored by detectors with known error rates are "
            "AI-generated ({certainty} interval)."
        ).format(share=percent_range(bounds), images=images, certainty=_CERTAINTY)
    if share.standing is Standing.AT_LEAST:
        return gettext(
            "Estimate: at least {share} of the {images} scored by detectors with known error "
            "rates are AI-generated; how many more, the scores cannot tell."
        ).format(share=f"{_percent(bounds.low)} %", images=images)
    return gettext(
        "No estimate: the scores cannot tell how many of the {images} scored by detectors with "
        "known error rates are AI-generated; a reviewed random sample can "
        "(`scanner review --sample 200`)."
    ).format(images=images)


def false_positives(share: CorrectedShare) -> str:
    """Return how many of the flagged images may be false positives."""
    if not share.flagged:
        return gettext("They flag none of these.")
    low, high = share.false_positives_interval
    fewest, most = round(low), min(share.flagged, ceil(high - 0.05))
    images = labels.count(share.flagged, "image", "images")
    if most == share.flagged:
        return gettext(
            "Any of the {images} that these detectors flag may be a false positive, that is, not "
            "AI-generated."
        ).format(images=images)
    if not most:
        return gettext(
            "Hardly any of the {images} that these detectors flag is likely to be a false positive."
        ).format(images=images)
    number = (
        gettext("{low} to {high}").format(low=f"{fewest:,}", high=f"{most:,}")
        if fewest
        else gettext("up to {number}").format(number=f"{most:,}")
    )
    return gettext(
        "Of the {images} that these detectors flag, {number} may be false positives, that is, not "
        "AI-generated."
    ).format(images=images, number=number)


def _basis(report: Report, share: CorrectedShare) -> Iterator[str]:
    """Yield which images the estimate is of, and why others are left out."""
    settled = report.breakdown.coverage.settled
    text = gettext("They flag {flagged} of {images} images ({share})").format(
        flagged=f"{share.flagged:,}", images=f"{share.images:,}", share=f"{_percent(share.raw)} %"
    )
    unsure_only = [
        row.planned.name
        for row in report.detectors
        if row.planned.thresholds.ai >= NEVER
        and any(row.planned.name in part.detectors for part in share.parts)
    ]
    if unsure_only:
        text += gettext(
            "; “unsure” counts where it is the most that a detector says: {names}"
        ).format(names=_listed(unsure_only))
    if CONTEXT in report.scan.plan.names():
        text += gettext(", by their scores alone: context moves verdicts, but not this")
    yield gettext("{text}.").format(text=text)
    if settled:
        yield ngettext(
            "{number} more image is AI-generated by their own metadata or marks, and not counted "
            "in this.",
            "{number} more images are AI-generated by their own metadata or marks, and not counted "
            "in this.",
            settled,
        ).format(number=f"{settled:,}")
    if omitted := report.counts.images - share.images - settled:
        yield ngettext(
            "{number} image is left out: not photographs, of other sizes, resized for a detector, "
            "degraded, unreadable, or not judged yet.",
            "{number} images are left out: not photographs, of other sizes, resized for a "
            "detector, degraded, unreadable, or not judged yet.",
            omitted,
        ).format(number=f"{omitted:,}")
    if share.unmeasured:
        yield gettext(
            "Left out, too: images scored by {names}, whose error rates were not measured on "
            "several sources."
        ).format(names=_listed(share.unmeasured))
    if share.interval is None or share.standing in SILENT:
        return
    yield gettext(
        "The interval covers how much error rates differ between the generators and photographers "
        "that the detectors were measured on; images of another kind may be missed far more often."
    )


def _reviewed(sample: SampleOutcome) -> str | None:
    """Return what reviewers found in a random sample; None before the first decision."""
    decided = sample.ai + sample.not_ai
    if not decided:
        return None
    bounds = wilson(sample.ai, decided)
    return ngettext(
        "Reviewers decided {decided} of {sampled}: {ai} is AI-generated. So {share} of the "
        "{population} readable images are ({certainty} interval).",
        "Reviewers decided {decided} of {sampled}: {ai} are AI-generated. So {share} of the "
        "{population} readable images are ({certainty} interval).",
        sample.ai,
    ).format(
        decided=f"{decided:,}",
        sampled=labels.count(sample.size, "randomly sampled image", "randomly sampled images"),
        ai=f"{sample.ai:,}",
        share=percent_range(bounds),
        population=f"{sample.population:,}",
        certainty=_CERTAINTY,
    )


def _compared(report: Report, sample: SampleOutcome, share: CorrectedShare) -> str:
    """Return whether the detectors' estimate agrees with a sample that has decisions."""
    if share.interval is None or share.standing in SILENT:
        return gettext("The detectors' scores alone give no estimate.")
    low, high = share.interval
    if share.standing is Standing.AT_LEAST:
        high = 1.0
    # In all readable images, those that were not scored may all be AI-generated, or none.
    settled = report.breakdown.coverage.settled
    unknown = max(0, sample.population - share.images - settled)
    least = (low * share.images + settled) / sample.population
    most = (high * share.images + settled + unknown) / sample.population
    reviewed = wilson(sample.ai, sample.ai + sample.not_ai)
    if least > reviewed.high:
        text = gettext(
            "The detectors' estimate, {share} of the {images} that they scored, is too high for "
            "that: go by the reviewed sample."
        )
    elif most < reviewed.low:
        text = gettext(
            "The detectors' estimate, {share} of the {images} that they scored, is too low for "
            "that: they miss more here. Go by the reviewed sample."
        )
    else:
        text = gettext(
            "The detectors' estimate, {share} of the {images} that they scored, does not "
            "contradict that."
        )
    return text.format(share=short_share(share), images=f"{share.images:,}")


def percent_range(bounds: Interval) -> str:
    """Return two shares of 100."""
    if (bounds.low, bounds.high) == (0, 1):
        return gettext("{low} to {high}").format(low="0", high="100 %")
    low = _percent(bounds.low) if bounds.low >= _LEAST else "0"
    return gettext("{low} to {high}").format(low=low, high=f"{_percent(bounds.high)} %")


def _percent(share: float) -> str:
    """Return a share of 100 with two digits that count, never rounded to 0 or 100."""
    percent = 100 * share
    if 0 < percent < 0.1 or 99.9 < percent < 100:  # noqa: PLR2004 - the last digit shown
        return "0.1" if percent < 50 else "99.9"  # noqa: PLR2004 - on which side it is
    return f"{percent:.1f}" if percent < 10 else f"{percent:.0f}"  # noqa: PLR2004


def _listed(names: list[str] | tuple[str, ...]) -> str:
    return gettext(", ").join(map(safe, names))
