"""Throughput over time."""

from __future__ import annotations

import pytest

from scanner.report.figures.throughput import STEPS, throughput
from storage.reads.hosts import RunFigures


def test_images_are_spread_over_their_time() -> None:
    """Images of two hosts are spread over the seconds in which each worked."""
    course = throughput([RunFigures("a", 0, 10, 100), RunFigures("b", 0, 20, 50)])
    first, other = course.by_host["a"], course.by_host["b"]

    assert course.step_seconds * len(first) == pytest.approx(20)
    assert first[0] == pytest.approx(10)
    assert first[-1] == 0
    assert other == pytest.approx((2.5,) * len(other))
    assert sum(first) * course.step_seconds == pytest.approx(100)


def test_all_images_are_counted() -> None:
    """Overlapping runs keep all their images, in a bounded number of steps."""
    runs = [RunFigures("a", n * 0.37, n * 0.37 + 1.1, n % 7) for n in range(300)]
    course = throughput(runs)

    assert len(course.by_host["a"]) == STEPS
    total = sum(course.by_host["a"]) * course.step_seconds
    assert total == pytest.approx(sum(one.images for one in runs))


def test_no_work_has_no_throughput() -> None:
    """Without images, or without a duration, there is no throughput."""
    assert throughput([]).by_host == {}
    assert throughput([RunFigures("a", 5, 5, 3)]).by_host == {}
