"""Custom thresholds: how many false positives a rate allows, and which model they are for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scanner.detectors.thresholds import (
    CustomThresholds,
    ThresholdError,
    allowed_false_positives,
    custom_for,
    lowest_threshold,
    minimum_photos,
    read_thresholds,
    thresholds_file,
    with_custom,
    write_thresholds,
)
from storage.records import Plan, PlannedDetector, Thresholds

NET = PlannedDetector("net", "1", "ab", Thresholds(0.5, 0.9))
NEVER_AI = PlannedDetector("shy", "1", "cd", Thresholds(0.8, 1.0))


@pytest.mark.parametrize(
    ("photos", "rate", "expected"),
    [(0, 0.01, None), (298, 0.01, None), (299, 0.01, 0), (472, 0.01, 0), (473, 0.01, 1),
     (1_000, 0.01, 4)],
)  # fmt: skip
def test_allowed_false_positives(photos: int, rate: float, expected: int | None) -> None:
    """The counts are those of acceptance sampling tables: 299 photos for none, 473 for one."""
    assert expected == allowed_false_positives(photos, rate)


@given(st.integers(1, 3_000), st.floats(0.001, 0.5))
def test_allowed_false_positives_by_scipy(photos: int, rate: float) -> None:
    """One false positive more would exceed the rate."""
    allowed = allowed_false_positives(photos, rate)
    first = -1 if allowed is None else allowed

    assert first < 0 or stats.binom.cdf(first, photos, rate) <= 0.05 + 1e-9
    assert stats.binom.cdf(first + 1, photos, rate) > 0.05 - 1e-9
    assert (allowed is None) == (photos < minimum_photos(rate))


@given(st.lists(st.floats(0, 1), min_size=1), st.integers(0, 5))
def test_lowest_threshold(scores: list[float], allowed: int) -> None:
    """At most the allowed number of scores reach it; at 1.0 nothing is flagged."""
    threshold = lowest_threshold(scores, allowed)

    assert 0.0 <= threshold <= 1.0
    assert threshold == 1.0 or sum(score >= threshold for score in scores) <= allowed


def test_detector_that_never_says_ai() -> None:
    """A detector that never returns `ai` flags by `unsure`; `ai` does not fall below `unsure`."""
    assert CustomThresholds("cd", 0.7, 1.0) == custom_for(NEVER_AI, 0.7)
    assert CustomThresholds("ab", 0.5, 0.7) == custom_for(NET, 0.7)
    assert CustomThresholds("ab", 0.5, 0.5) == custom_for(NET, 0.2)


def test_custom_thresholds_in_plan() -> None:
    """Custom thresholds are used for the model that they were set for and no other."""
    plan = Plan((NET, NEVER_AI))
    write_thresholds(
        {"net": CustomThresholds("ab", 0.5, 0.7), "shy": CustomThresholds("another", 0.1, 1.0)}
    )
    custom = with_custom(plan)

    assert (0.7, 0.8) == (
        custom.detectors[0].thresholds.ai,
        custom.detectors[1].thresholds.unsure,
    )
    assert custom.digest() != plan.digest()
    assert {"net", "shy"} == set(read_thresholds())


@pytest.mark.parametrize(
    "text", ["nonsense", "[net]\nai = 0.5", '[net]\nsha256 = ""\nunsure = 7\nai = 1']
)
def test_damaged_file(text: str) -> None:
    """A damaged file is an error that says what to do."""
    thresholds_file().parent.mkdir(parents=True, exist_ok=True)
    thresholds_file().write_text(text)

    with pytest.raises(ThresholdError, match=r"damaged .*calibrate --forget"):
        read_thresholds()


def test_no_file() -> None:
    """Without a file the thresholds are those of the cards."""
    assert Plan((NET,)) == with_custom(Plan((NET,)))
