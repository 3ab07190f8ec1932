"""How well scores agree with labels, by scikit-learn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn import metrics

from workers.detectors.card import ClassFigures, Confusion, Measured
from workers.detectors.detector import load
from workers.training.data import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workers.detectors.card import Card
    from workers.training.data import Labelled

# A score from here on counts as AI.
CUT = 0.5
ECE_BINS = 10
# The normal quantile of a two-sided 95 % interval.
Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class OfSource:
    """How many images of one source, all real or all AI, were called rightly, and Wilson's ends."""

    source: str
    label: int
    images: int
    right: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores, (n,), labels, (n,), 1 for AI, and sources, (n,), of the images called `on`."""

    on: str
    scores: NDArray[np.float64]
    labels: NDArray[np.uint8]
    sources: NDArray[np.str_]


def score(card: Card, labelled: Labelled, on: str) -> Scored:
    """Score labelled images as the workers do; CardError where the model cannot be loaded."""
    scores = load(card).score(list(labelled.images))
    return Scored(on, scores, labelled.labels, labelled.sources)


def measure(scored: Scored, ai_threshold: float) -> Measured:
    """Every figure of a card; DataError unless both classes are there."""
    if len(np.unique(scored.labels)) != 2:  # noqa: PLR2004 - real and AI
        raise DataError(f"{scored.on} has pictures of one class only: accuracy would say nothing")
    scores, labels = scored.scores, scored.labels
    called = (scores >= CUT).astype(np.uint8)
    (tn, fp), (fn, tp) = metrics.confusion_matrix(labels, called, labels=[0, 1]).tolist()
    low, high = wilson(tp + tn, len(labels))
    return Measured(
        on=scored.on,
        images=len(labels),
        accuracy=(tp + tn) / len(labels),
        accuracy_low=low,
        accuracy_high=high,
        roc_auc=float(metrics.roc_auc_score(labels, scores)),
        ece=expected_calibration_error(scores, labels),
        recall_at_ai=float(np.mean(scores[labels == 1] >= ai_threshold)),
        false_alarms_at_ai=float(np.mean(scores[labels == 0] >= ai_threshold)),
        ai=_figures(labels, called, scores),
        real=_figures(1 - labels, 1 - called, 1.0 - scores),
        confusion=Confusion(tp, fp, fn, tn),
    )


def by_source(scored: Scored) -> list[OfSource]:
    """Give a row a source, AI first: the share called rightly at the cut that accuracy uses."""
    right = (scored.scores >= CUT) == (scored.labels == 1)
    rows = []
    for label in (1, 0):
        for source in np.unique(scored.sources[scored.labels == label]):
            hits = right[(scored.labels == label) & (scored.sources == source)]
            of, low_high = len(hits), wilson(int(hits.sum()), len(hits))
            rows.append(OfSource(str(source), label, of, int(hits.sum()), *low_high))
    return rows


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Give the 95 % interval of a share (Wilson 1927)."""
    share, z2 = hits / of, Z_95**2
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = Z_95 / (1 + z2 / of) * math.sqrt(share * (1 - share) / of + z2 / (4 * of**2))
    return middle - half, middle + half


def expected_calibration_error(scores: NDArray[np.float64], labels: NDArray[np.uint8]) -> float:
    """Give the mean distance of score and share of AI over ten bins of P(AI), weighted by size.

    The binary form of Guo et al. 2017 (arXiv:1706.04599), by P(AI) instead of confidence.
    """
    bins = np.minimum((scores * ECE_BINS).astype(int), ECE_BINS - 1)
    off = [abs(float(np.sum(scores[bins == n] - labels[bins == n]))) for n in range(ECE_BINS)]
    return sum(off) / len(scores)


def _figures(
    labels: NDArray[np.uint8], called: NDArray[np.uint8], scores: NDArray[np.float64]
) -> ClassFigures:
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        labels, called, average="binary", zero_division=0.0
    )
    average = metrics.average_precision_score(labels, scores)
    return ClassFigures(float(precision), float(recall), float(f1), float(average))
