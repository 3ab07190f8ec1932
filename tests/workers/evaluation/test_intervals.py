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
    """The intervals are those of a published table."""
    assert (low, high) == pytest.approx(wilson(hits, trials), abs=5e-5)


def test_nothing_is_known_of_nothing() -> None:
    """Without a trial the share may be anything; it never leaves [0, 1]."""
    assert (0.0, 1.0) == wilson(0, 0)
    assert wilson(5, 5)[1] == 1.0
