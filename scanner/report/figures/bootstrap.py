"""Intervals of what is computed from ranked scores, by drawing the labelled images again.

The percentile bootstrap (Efron 1979), stratified: each resample has as many images of each class
as there are, drawn with replacement. Images of equal score and label are alike, so what is drawn
is how many of each such group there are. Imported late: NumPy takes 0.1 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scanner.report.figures.curves import BINS
from scanner.report.figures.intervals import Interval
from scanner.report.figures.metrics import THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from scanner.report.figures.metrics import ScoreCount

RESAMPLES = 1000
# Scores that are told apart; more of them are gathered into as many steps.
SCORES = 256
# Fixed, so that a report says the same each time.
SEED = 7
PERCENTS = (2.5, 97.5)


def intervals(groups: Iterable[ScoreCount]) -> dict[str, Interval]:
    """95 % intervals by figure, of labelled, scored images; empty where a class is missing.

    Of `f1`, `average_precision`, `average_precision_real`, `roc_auc` and `ece`.
    """
    scores, fakes, reals = _columns(tuple(groups))
    if not fakes.sum() or not reals.sum():
        return {}
    dice = np.random.default_rng(SEED)
    fake, real = (
        dice.multinomial(one.sum(), one / one.sum(), RESAMPLES).astype(np.float64)
        for one in (fakes, reals)
    )
    figures = {
        "f1": _f1(scores, fake, real),
        "average_precision": _average_precision(fake, real),
        "average_precision_real": _average_precision(real[:, ::-1], fake[:, ::-1]),
        "roc_auc": _roc_auc(fake, real),
        "ece": _ece(scores, fake, real),
    }
    return {
        name: Interval(*(float(end) for end in np.percentile(values, PERCENTS)))
        for name, values in figures.items()
    }


def _columns(
    groups: tuple[ScoreCount, ...],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """The scores that occur, the highest first, and the images of either class at each."""
    raw = np.array([one.score for one in groups])
    if len(set(raw.tolist())) > SCORES:
        raw = (np.minimum(np.floor(raw * SCORES), SCORES - 1) + 0.5) / SCORES
    scores, at = np.unique(-raw, return_inverse=True)
    counts = np.zeros((2, len(scores)), np.int64)
    for column, one in zip(at.tolist(), groups, strict=True):
        counts[int(one.truth), column] += one.images
    return -scores, counts[1], counts[0]


def _f1(
    scores: NDArray[np.float64], fake: NDArray[np.float64], real: NDArray[np.float64]
) -> NDArray[np.float64]:
    called = scores >= THRESHOLD
    tp, fp = fake[:, called].sum(axis=1), real[:, called].sum(axis=1)
    found: NDArray[np.float64] = 2 * tp / (tp + fp + fake.sum(axis=1))
    return found


def _average_precision(
    of_class: NDArray[np.float64], others: NDArray[np.float64]
) -> NDArray[np.float64]:
    hits = of_class.cumsum(axis=1)
    above = hits + others.cumsum(axis=1)
    precision = np.divide(hits, above, out=np.zeros_like(hits), where=above > 0)
    found: NDArray[np.float64] = (of_class * precision).sum(axis=1) / of_class.sum(axis=1)
    return found


def _roc_auc(fake: NDArray[np.float64], real: NDArray[np.float64]) -> NDArray[np.float64]:
    won = real * (fake.cumsum(axis=1) - fake / 2)
    found: NDArray[np.float64] = won.sum(axis=1) / (fake.sum(axis=1) * real.sum(axis=1))
    return found


def _ece(
    scores: NDArray[np.float64], fake: NDArray[np.float64], real: NDArray[np.float64]
) -> NDArray[np.float64]:
    bins = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    of_bin = (bins[:, None] == np.arange(BINS)).astype(np.float64)
    images = fake + real
    gaps = np.abs(fake @ of_bin - (images * scores) @ of_bin)
    found: NDArray[np.float64] = gaps.sum(axis=1) / images.sum(axis=1)
    return found
