"""How well scores agree with labels, by scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from sklearn import metrics

from storage.records import NEVER, Thresholds
from workers.detectors.card import ClassFigures, Confusion, Measured, OfSource
from workers.evaluation.intervals import wilson
from workers.training.data.datasets import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A score from here on counts as AI.
CUT = 0.5
# A net that no detector is made of has no thresholds of its own.
EVEN = Thresholds(CUT, CUT)
ECE_BINS = 10
# What label 0 and label 1 are called on a card.
KINDS: tuple[Literal["real", "ai"], ...] = ("real", "ai")


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores, (n,), labels, (n,), 1 for AI, and sources, (n,), of the images called `on`."""

    on: str
    scores: NDArray[np.float64]
    labels: NDArray[np.uint8]
    sources: NDArray[np.str_]


def measure(scored: Scored, at: Thresholds) -> Measured:
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
        recall_at_ai=_reach(scores[labels == 1], at.ai),
        false_alarms_at_ai=_reach(scores[labels == 0], at.ai),
        ai=_figures(labels, called, scores),
        real=_figures(1 - labels, 1 - called, 1.0 - scores),
        confusion=Confusion(tp, fp, fn, tn),
        recall_at_unsure=_reach(scores[labels == 1], at.unsure),
        false_alarms_at_unsure=_reach(scores[labels == 0], at.unsure),
    )


def _reach(scores: NDArray[np.float64], threshold: float) -> float:
    """The share of scores at or above it; none reach NEVER."""
    return 0.0 if threshold >= NEVER else float(np.mean(scores >= threshold))


def recall_at(scored: Scored, rate: float) -> float:
    """Give the largest share of AI images that is found at a false-alarm rate of `rate` at most.

    The threshold is one that these very images show: it says what scores can tell apart, not how
    they are used.
    """
    alarms, found, _ = metrics.roc_curve(scored.labels, scored.scores, drop_intermediate=False)
    return float(found[alarms <= rate].max())


def by_source(scored: Scored, flag: float) -> list[OfSource]:
    """Give a row a source, AI first; from `flag` up a picture is flagged."""
    rows = []
    for label in (1, 0):
        others = scored.scores[scored.labels != label]
        for source in np.unique(scored.sources[scored.labels == label]):
            scores = scored.scores[(scored.labels == label) & (scored.sources == source)]
            flagged = int(np.sum(scores >= flag))
            low, high = wilson(flagged, len(scores))
            auc = _roc_auc(*((scores, others) if label else (others, scores)))
            share = flagged / len(scores)
            rows.append(OfSource(str(source), KINDS[label], len(scores), share, low, high, auc))
    return rows


def _roc_auc(ai: NDArray[np.float64], real: NDArray[np.float64]) -> float:
    labels = np.concatenate([np.ones(len(ai)), np.zeros(len(real))])
    return float(metrics.roc_auc_score(labels, np.concatenate([ai, real])))


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
