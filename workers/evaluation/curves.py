"""Curves of labelled scores: ROC, precision-recall, and reliability (calibration)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from workers.evaluation.intervals import Interval, wilson
from workers.evaluation.metrics import ratio

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workers.evaluation.metrics import ScoreCount

# Bins of equal width of the score, for the reliability diagram.
BINS = 10
# Points of a curve that are kept: thinning moves no step by as much as a pixel.
POINTS = 200


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The images of one bin of the score: their mean score, and the share of AI-generated ones."""

    images: int
    score: float
    share: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Curves:
    """`roc` holds (false-positive rate, recall), `precision_recall` (recall, precision).

    Both have a point a threshold; a curve that is not defined has none. `ece` is the expected
    calibration error.
    """

    roc: tuple[tuple[float, float], ...]
    precision_recall: tuple[tuple[float, float], ...]
    reliability: tuple[ReliabilityBin, ...]
    ece: float | None


def curves(groups: Iterable[ScoreCount]) -> Curves:
    """Return all curves."""
    groups = tuple(groups)
    points = true_and_false_positives(groups)
    fakes, reals = points[-1]
    roc = [(fp / reals, tp / fakes) for tp, fp in points] if fakes and reals else []
    ranked = [(tp / fakes, tp / (tp + fp)) for tp, fp in points[1:] if fakes]
    bins = reliability(groups)
    return Curves(
        roc=tuple(_thinned(roc)),
        precision_recall=tuple(_thinned(ranked)),
        reliability=bins,
        ece=calibration_error(bins),
    )


def true_and_false_positives(groups: Iterable[ScoreCount]) -> list[tuple[int, int]]:
    """Return (AI-generated images, real ones) scoring at least each threshold, falling.

    The first pair is (0, 0), the last one the numbers of images of both classes.
    """
    by_score: dict[float, list[int]] = {}
    for group in groups:
        by_score.setdefault(group.score, [0, 0])[not group.label] += group.images
    falling = (counts for _, counts in sorted(by_score.items(), reverse=True))
    return list(
        accumulate(falling, lambda sums, new: (sums[0] + new[0], sums[1] + new[1]), initial=(0, 0))
    )


def reliability(groups: Iterable[ScoreCount]) -> tuple[ReliabilityBin, ...]:
    """Return the bins that are not empty, the lowest scores first."""
    totals = [[0, 0, 0.0] for _ in range(BINS)]
    for group in groups:
        total = totals[min(int(group.score * BINS), BINS - 1)]
        total[0] += group.images
        total[1] += group.images * group.label
        total[2] += group.images * group.score
    return tuple(
        ReliabilityBin(int(images), score / images, fake / images, wilson(fake, images))
        for images, fake, score in totals
        if images
    )


def calibration_error(bins: Iterable[ReliabilityBin]) -> float | None:
    """Return the expected calibration error; None without images.

    The mean over all images of how far the share of AI-generated images in a bin is from its mean
    score: the binary form of Guo et al. 2017 (arXiv:1706.04599), by P(AI) instead of confidence.
    """
    bins = tuple(bins)
    gaps = sum(each.images * abs(each.share - each.score) for each in bins)
    return ratio(gaps, sum(each.images for each in bins))


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """Return the first and the last point, and between them those a step from the previous one."""
    if len(points) <= POINTS:
        return points
    step = 2 / POINTS
    thinned = [points[0]]
    for point in points[1:-1]:
        previous = thinned[-1]
        if abs(point[0] - previous[0]) + abs(point[1] - previous[1]) >= step:
            thinned.append(point)
    return [*thinned, points[-1]]
