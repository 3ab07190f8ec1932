"""A card's figures: how well scores agree with labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from storage.records import NEVER, SCORE_THRESHOLD, Thresholds
from workers.detectors.card import (
    ClassFigures,
    Confusion,
    Measured,
    SourceFigures,
)
from workers.evaluation.curves import (
    calibration_error,
    reliability,
    true_and_false_positives,
)
from workers.evaluation.intervals import wilson
from workers.evaluation.metrics import classification, roc_auc, score_counts
from workers.training.data.datasets import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workers.evaluation.metrics import ClassFigures as TableRow

# The thresholds of a network that has none of its own.
DEFAULT_THRESHOLDS = Thresholds(SCORE_THRESHOLD, SCORE_THRESHOLD)
# Names of label 0 and label 1 on a card.
KINDS: tuple[Literal["real", "ai"], ...] = ("real", "ai")


@dataclass(frozen=True, slots=True)
class ScoredImages:
    """Scores, (n,), labels, (n,), 1 for AI, and sources, (n,), of the test set named `on`."""

    on: str
    scores: NDArray[np.float64]
    labels: NDArray[np.uint8]
    sources: NDArray[np.str_]


def measure(scored: ScoredImages, thresholds: Thresholds) -> Measured:
    """Return every figure of a card; DataError unless there are scores of both classes."""
    scores, labels = scored.scores, scored.labels
    if not len(labels):
        raise DataError(f"no image of {scored.on} suits the detector: its card has the sizes")
    counts = score_counts(scores.tolist(), labels.tolist())
    auc = roc_auc(counts)
    if auc is None:
        raise DataError(f"{scored.on} has images of one class only: accuracy needs both")
    figures = classification(counts)
    matrix = figures.confusion
    low, high = wilson(matrix.tp + matrix.tn, matrix.images)
    return Measured(
        on=scored.on,
        images=matrix.images,
        accuracy=(matrix.tp + matrix.tn) / matrix.images,
        accuracy_low=low,
        accuracy_high=high,
        roc_auc=auc,
        ece=expected_calibration_error(scores, labels),
        recall_at_ai=_share_from(scores[labels == 1], thresholds.ai),
        false_alarms_at_ai=_share_from(scores[labels == 0], thresholds.ai),
        ai=_class_figures(figures.fake, figures.average_precision),
        real=_class_figures(figures.real, figures.average_precision_real),
        confusion=Confusion(matrix.tp, matrix.fp, matrix.fn, matrix.tn),
        recall_at_unsure=_share_from(scores[labels == 1], thresholds.unsure),
        false_alarms_at_unsure=_share_from(scores[labels == 0], thresholds.unsure),
    )


def recall_at(scored: ScoredImages, false_positive_rate: float) -> float:
    """Return the largest share of AI images found at no more than a false-positive rate.

    The threshold is chosen on these images: the figure tells how well scores separate the classes,
    not how a scan uses them.
    """
    points = true_and_false_positives(score_counts(scored.scores.tolist(), scored.labels.tolist()))
    ai, real = points[-1]
    return max(found / ai for found, false in points if false / real <= false_positive_rate)


def source_figures(scored: ScoredImages, thresholds: Thresholds) -> list[SourceFigures]:
    """Return a row per source, AI first."""
    rows = []
    for label in (1, 0):
        of_class = scored.labels == label
        for source in np.unique(scored.sources[of_class]):
            of_source = of_class & (scored.sources == source)
            images = int(np.sum(of_source))
            flagged = int(np.sum(scored.scores[of_source] >= thresholds.flagged_from))
            unsure = float(np.mean(scored.scores[of_source] >= thresholds.unsure))
            low, high = wilson(flagged, images)
            compared = of_source | ~of_class
            auc = roc_auc_of(scored.scores[compared], scored.labels[compared])
            shares = flagged / images, low, high, auc, unsure
            rows.append(SourceFigures(str(source), KINDS[label], images, *shares))
    return rows


def roc_auc_of(scores: NDArray[np.float64], labels: NDArray[np.uint8]) -> float:
    """Return the area under the ROC curve; DataError unless there are scores of both classes."""
    area = roc_auc(score_counts(scores.tolist(), labels.tolist()))
    if area is None:
        raise DataError("images of one class only: a ROC curve needs both")
    return area


def expected_calibration_error(scores: NDArray[np.float64], labels: NDArray[np.uint8]) -> float:
    """Return the expected calibration error over ten bins of P(AI)."""
    return calibration_error(reliability(score_counts(scores.tolist(), labels.tolist()))) or 0.0


def _share_from(scores: NDArray[np.float64], threshold: float) -> float:
    """Return the share of scores at or above a threshold; none reach NEVER."""
    return 0.0 if threshold >= NEVER else float(np.mean(scores >= threshold))


def _class_figures(row: TableRow, average_precision: float | None) -> ClassFigures:
    return ClassFigures(
        row.precision or 0.0, row.recall or 0.0, row.f1 or 0.0, average_precision or 0.0
    )
