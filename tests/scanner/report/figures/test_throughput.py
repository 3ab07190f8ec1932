"""How a scan went over time."""

from __future__ import annotations

import pytest

from scanner.report.figures.throughput import STEPS, throughput
from storage.reads.hosts import RunFigures


def test_images_are_spread_over_their_time() -> None:
    """A hundred images in the first ten of twenty seconds, fifty by another host in all of them."""
    found = throughput([RunFigures("a", 0, 10, 100), RunFigures("b", 0, 20, 50)])
    first, other = found.by_host["a"], found.by_host["b"]

    assert found.step_seconds * len(first) == pytest.approx(20)
    assert first[0] == pytest.approx(10)
    assert first[-1] == 0
    assert other == pytest.approx((2.5,) * len(other))
    assert sum(first) * found.step_seconds == pytest.approx(100)


def test_nothing_is_lost_or_made_up() -> None:
    """However the runs overlap, their images are all there, in a bounded number of steps."""
    runs = [RunFigures("a", n * 0.37, n * 0.37 + 1.1, n % 7) for n in range(300)]
    found = throughput(runs)

    assert len(found.by_host["a"]) == STEPS
    total = sum(found.by_host["a"]) * found.step_seconds
    assert total == pytest.approx(sum(one.images for one in runs))


def test_no_work_has_no_throughput() -> None:
    """Nothing judged, or in no time at all: nothing to draw."""
    assert throughput([]).by_host == {}
    assert throughput([RunFigures("a", 5, 5, 3)]).by_host == {}
