"""Thresholds of one's own: how many alarms a rate allows, and whom the thresholds are for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scanner.options import thresholds
from scanner.options.thresholds import (
    Own,
    ThresholdError,
    allowed,
    least_photos,
    own_for,
    threshold,
    with_own,
)
from storage.records import Plan, PlannedDetector, Thresholds

NET = PlannedDetector("net", "1", "ab", Thresholds(0.5, 0.9))
SHY = PlannedDetector("shy", "1", "cd", Thresholds(0.8, 1.0))


@pytest.mark.parametrize(
    ("photos", "rate", "expected"),
    [(0, 0.01, None), (298, 0.01, None), (299, 0.01, 0), (472, 0.01, 0), (473, 0.01, 1),
     (1_000, 0.01, 4)],
)  # fmt: skip
def test_how_many_may_raise_an_alarm(photos: int, rate: float, expected: int | None) -> None:
    """As tables of acceptance sampling have it: 299 photos without an alarm, 473 with one."""
    assert expected == allowed(photos, rate)


@given(st.integers(1, 3_000), st.floats(0.001, 0.5))
def test_allowed_by_scipy(photos: int, rate: float) -> None:
    """One alarm more would be no proof any longer."""
    alarms = allowed(photos, rate)
    first = -1 if alarms is None else alarms

    assert first < 0 or stats.binom.cdf(first, photos, rate) <= 0.05 + 1e-9
    assert stats.binom.cdf(first + 1, photos, rate) > 0.05 - 1e-9
    assert (alarms is None) == (photos < least_photos(rate))


@given(st.lists(st.floats(0, 1), min_size=1), st.integers(0, 5))
def test_no_more_reach_the_threshold(scores: list[float], alarms: int) -> None:
    """At most so many scores are at it or above; at 1.0 nothing is called anything."""
    at = threshold(scores, alarms)

    assert 0.0 <= at <= 1.0
    assert at == 1.0 or sum(score >= at for score in scores) <= alarms


def test_a_detector_that_calls_nothing_ai_goes_on_so() -> None:
    """Its alarms are the doubtful ones; another calls nothing AI that is more probably real."""
    assert Own("cd", 0.7, 1.0) == own_for(SHY, 0.7)
    assert Own("ab", 0.5, 0.7) == own_for(NET, 0.7)
    assert Own("ab", 0.5, 0.5) == own_for(NET, 0.2)


def test_they_are_part_of_the_plan() -> None:
    """What was kept is used, for the model that it was set for and no other."""
    plan = Plan((NET, SHY))
    thresholds.keep({"net": Own("ab", 0.5, 0.7), "shy": Own("another", 0.1, 1.0)})
    mine = with_own(plan)

    assert (0.7, 0.8) == (
        mine.detectors[0].thresholds.ai,
        mine.detectors[1].thresholds.unsure,
    )
    assert mine.digest() != plan.digest()
    assert {"net", "shy"} == set(thresholds.kept())


@pytest.mark.parametrize(
    "text", ["nonsense", "[net]\nai = 0.5", '[net]\nsha256 = ""\nunsure = 7\nai = 1']
)
def test_damaged_file(text: str) -> None:
    """A file that cannot be used says what to do; no scan goes by it unnoticed."""
    thresholds.file().parent.mkdir(parents=True, exist_ok=True)
    thresholds.file().write_text(text)

    with pytest.raises(ThresholdError, match=r"damaged .*calibrate --forget"):
        thresholds.kept()


def test_nothing_kept() -> None:
    """Without a file all is as the cards say."""
    assert Plan((NET,)) == with_own(Plan((NET,)))
