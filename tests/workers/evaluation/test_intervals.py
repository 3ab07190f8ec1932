"""Wilson's interval."""

from __future__ import annotations

import pytest

from workers.evaluation.intervals import wilson


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        # From Newcombe 1998, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_intervals(hits: int, trials: int, low: float, high: float) -> None:
    """The intervals match a published table."""
    assert (low, high) == pytest.approx(wilson(hits, trials), abs=5e-5)


def test_no_trials() -> None:
    """Without trials the interval is [0, 1], and no interval exceeds that."""
    assert (0.0, 1.0) == wilson(0, 0)
    assert wilson(5, 5)[1] == 1.0
