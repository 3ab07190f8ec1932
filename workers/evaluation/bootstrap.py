"""Intervals of figures of ranked scores, by resampling the labelled images.

The stratified percentile bootstrap (Efron 1979): each resample has as many images of each class as
the sample, drawn with replacement. Images of equal score and label are interchangeable, so the
size of each such group is drawn. Imported late: NumPy takes 0.1 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from storage.records import SCORE_THRESHOLD
from workers.evaluation.curves import BINS
from workers.evaluation.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from workers.evaluation.metrics import ScoreCount

RESAMPLES = 1000
# Distinct scores; where there are more, they are rounded to as many steps.
SCORES = 256
# Fixed, so that a report is the same each time.
SEED = 7
PERCENTS = (2.5, 97.5)


def intervals(groups: Iterable[ScoreCount]) -> dict[str, Interval]:
    """Return the 95 % intervals of labelled, scored images by figure; empty if a class is missing.

    The figures are `f1`, `average_precision`, `average_precision_real`, `roc_auc` and `ece`.
    """
    scores, fakes, reals = _columns(tuple(groups))
    if not fakes.sum() or not reals.sum():
        return {}
    random = np.random.default_rng(SEED)
    fake, real = (
        random.multinomial(counts.sum(), counts / counts.sum(), RESAMPLES).astype(np.float64)
        for counts in (fakes, reals)
    )
    figures = {
        "f1": _f1(scores, fake, real),
        "average_precision": _average_precision(fake, real),
        "average_precision_real": _average_precision(real[:, ::-1], fake[:, ::-1]),
        "roc_auc": _roc_auc(fake, real),
        "ece": _ece(scores, fake, real),
    }
    return {
        name: Interval(*(float(bound) for bound in np.percentile(values, PERCENTS)))
        for name, values in figures.items()
    }


def _columns(
    groups: tuple[ScoreCount, ...],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct scores, the highest first, and the images of either class at each."""
    raw = np.array([group.score for group in groups])
    if len(set(raw.tolist())) > SCORES:
        raw = (np.minimum(np.floor(raw * SCORES), SCORES - 1) + 0.5) / SCORES
    scores, columns = np.unique(-raw, return_inverse=True)
    counts = np.zeros((2, len(scores)), np.int64)
    for column, group in zip(columns.tolist(), groups, strict=True):
        counts[int(group.label), column] += group.images
    return -scores, counts[1], counts[0]


def _f1(
    scores: NDArray[np.float64], fake: NDArray[np.float64], real: NDArray[np.float64]
) -> NDArray[np.float64]:
    called = scores >= SCORE_THRESHOLD
    tp, fp = fake[:, called].sum(axis=1), real[:, called].sum(axis=1)
    figure: NDArray[np.float64] = 2 * tp / (tp + fp + fake.sum(axis=1))
    return figure


def _average_precision(
    of_class: NDArray[np.float64], others: NDArray[np.float64]
) -> NDArray[np.float64]:
    hits = of_class.cumsum(axis=1)
    above = hits + others.cumsum(axis=1)
    precision = np.divide(hits, above, out=np.zeros_like(hits), where=above > 0)
    figure: NDArray[np.float64] = (of_class * precision).sum(axis=1) / of_class.sum(axis=1)
    return figure


def _roc_auc(fake: NDArray[np.float64], real: NDArray[np.float64]) -> NDArray[np.float64]:
    won = real * (fake.cumsum(axis=1) - fake / 2)
    figure: NDArray[np.float64] = won.sum(axis=1) / (fake.sum(axis=1) * real.sum(axis=1))
    return figure


def _ece(
    scores: NDArray[np.float64], fake: NDArray[np.float64], real: NDArray[np.float64]
) -> NDArray[np.float64]:
    bins = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    of_bin = (bins[:, None] == np.arange(BINS)).astype(np.float64)
    images = fake + real
    gaps = np.abs(fake @ of_bin - (images * scores) @ of_bin)
    figure: NDArray[np.float64] = gaps.sum(axis=1) / images.sum(axis=1)
    return figure
