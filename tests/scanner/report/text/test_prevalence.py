"""Sentences on the share of AI-generated images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scanner.report.figures.estimate import CorrectedShare, Rates, corrected_share
from scanner.report.figures.recall import Recall
from scanner.report.text import prevalence
from storage.reads.coverage import Scored
from storage.writes.samples import SampleOutcome
from workers.evaluation.intervals import Share

if TYPE_CHECKING:
    from scanner.report.figures.build import Report

# Twenty generators of which 60 to 79 % are found, or none to all; forty owners.
STEADY = Rates(
    tuple(Share(30 + n % 10, 50) for n in range(20)),
    tuple(Share(int(n % 8 == 0), 50) for n in range(40)),
)
VARIED = replace(STEADY, sensitivity=(Share(0, 50), Share(50, 50)) * 10)


def shared(images: int, flagged: int, rates: Rates = STEADY) -> CorrectedShare:
    """Return the corrected share of images that one detector scored."""
    share = corrected_share([Scored(("scenes",), images, flagged)], lambda _: rates)
    assert share is not None
    return share


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.0, "none"),
        (0.001, "fewer than 1 in 100"),
        (0.012, "1 in 100"),
        (0.3, "1 in 3"),
        (0.48, "1 in 2"),
        (0.91, "9 in 10"),
        (0.999, "nearly all"),
        (1.0, "all"),
    ],
)
def test_shares_in_words(share: float, said: str) -> None:
    """A share is so many in so many."""
    assert said == prevalence.in_words(share)


def test_what_is_found_is_said_with_its_range() -> None:
    """The mean, and the generators that are found least and most often."""
    said = prevalence.found(Recall(0.5, 0.05, 0.9, 12, counts_unsure=True))

    assert said == (
        "Of AI-generated images like those that the detectors were measured on, about 1 in 2 is "
        "found (“AI-generated” or “unsure”); by generator, from 1 in 20 to 9 in 10."
    )


def test_an_average_is_not_given_as_its_own_maximum() -> None:
    """Where mean and maximum read the same, only the least is added."""
    said = prevalence.found(Recall(0.74, 0.0, 0.76, 12, counts_unsure=False))

    assert said.endswith("about 3 in 4 are found; of some generators none.")


@pytest.mark.parametrize(
    ("share", "begins"),
    [
        (shared(1_000, 100), "Estimate: 10 to 18 % of the 1,000 images"),
        (shared(1_000, 400, VARIED), "Estimate: at least"),
        (shared(1_000, 3, VARIED), "No estimate: the scores cannot tell how many"),
        (shared(20, 3), "No estimate: detectors with known error rates scored only 20 images"),
        (shared(1_000, 990), "No estimate: of the 1,000 images that the detectors scored"),
    ],
)
def test_the_estimate_or_why_there_is_none(
    unlabelled: Report, share: CorrectedShare, begins: str
) -> None:
    """Each case has one sentence, first in the full report and in the short one."""
    report = replace(unlabelled, corrected=share)

    assert next(iter(prevalence.estimate(report))).startswith(begins)
    assert next(iter(prevalence.short_estimate(report))).startswith(begins)


def test_false_positives_are_no_more_than_what_was_flagged() -> None:
    """Few flagged images may all be false; of many, only the share of owners' photographs."""
    assert prevalence.false_positives(shared(10_000, 25)).startswith("Any of the 25 images")
    assert "false positives" in prevalence.false_positives(shared(10_000, 5_000))
    assert "They flag none of these." == prevalence.false_positives(shared(1_000, 0))


@pytest.mark.parametrize(
    ("ai", "said"),
    [(30, "does not contradict that"), (190, "is too low for that"), (0, "is too high for that")],
)
def test_a_sample_speaks_first(unlabelled: Report, ai: int, said: str) -> None:
    """The sample's sentence comes first, then whether the detectors' estimate agrees with it."""
    sample = SampleOutcome(1, 1, 7, 1_000, 200, ai, 200 - ai, 0)
    report = replace(unlabelled, corrected=shared(1_000, 100), sample=sample)
    first, second, *_ = prevalence.estimate(report)

    assert first.startswith(f"Reviewers decided 200 of 200 randomly sampled images: {ai} are")
    assert said in second
