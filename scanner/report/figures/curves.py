"""Curves of labelled scores: ROC, precision over recall, and how far scores are probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scanner.report.figures.intervals import Interval, wilson

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scanner.report.figures.metrics import ScoreCount

# Equally wide bins of the score, for the reliability diagram.
BINS = 10
# Points of a curve that are kept; its ends and steps stay where they are to a pixel.
POINTS = 200


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The images of one bin of the score: their mean score, and the share that is AI-made."""

    images: int
    score: float
    share: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Curves:
    """`roc` is (false-alarm rate, recall), `precision_recall` (recall, precision), by threshold.

    `ece` is the expected calibration error: the mean over all images of how far the share of AI
    images in a bin lies from its mean score. A curve that is not defined has no points.
    """

    roc: tuple[tuple[float, float], ...]
    precision_recall: tuple[tuple[float, float], ...]
    reliability: tuple[ReliabilityBin, ...]
    ece: float | None


def curves(groups: Iterable[ScoreCount]) -> Curves:
    """All curves at once."""
    groups = tuple(groups)
    points = _thresholds(groups)
    fakes, reals = points[-1] if points else (0, 0)
    roc = [(0.0, 0.0), *((fp / reals, tp / fakes) for tp, fp in points if fakes and reals)]
    ranked = [(tp / fakes, tp / (tp + fp)) for tp, fp in points if fakes]
    bins = reliability(groups)
    images = sum(one.images for one in bins)
    gaps = sum(one.images * abs(one.share - one.score) for one in bins)
    return Curves(
        roc=tuple(_thinned(roc)) if fakes and reals else (),
        precision_recall=tuple(_thinned(ranked)),
        reliability=bins,
        ece=gaps / images if images else None,
    )


def reliability(groups: Iterable[ScoreCount]) -> tuple[ReliabilityBin, ...]:
    """The bins that are not empty, the lowest scores first."""
    totals = [[0, 0, 0.0] for _ in range(BINS)]
    for one in groups:
        into = totals[min(int(one.score * BINS), BINS - 1)]
        into[0] += one.images
        into[1] += one.images * one.truth
        into[2] += one.images * one.score
    return tuple(
        ReliabilityBin(int(images), score / images, fake / images, interval)
        for images, fake, score in totals
        if (interval := wilson(fake, images)) is not None
    )


def _thresholds(groups: Iterable[ScoreCount]) -> list[tuple[int, int]]:
    """(AI images, real ones) that score at least as much, for each score, falling."""
    by_score: dict[float, list[int]] = {}
    for one in groups:
        by_score.setdefault(one.score, [0, 0])[not one.truth] += one.images
    points, tp, fp = [], 0, 0
    for _, (fake, real) in sorted(by_score.items(), reverse=True):
        tp, fp = tp + fake, fp + real
        points.append((tp, fp))
    return points


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """At most POINTS of the points: the next one that is a step away from the last one kept."""
    if len(points) <= POINTS:
        return points
    step = 2 / POINTS
    kept = [points[0]]
    for point in points[1:-1]:
        last = kept[-1]
        if abs(point[0] - last[0]) + abs(point[1] - last[1]) >= step:
            kept.append(point)
    return [*kept, points[-1]]
