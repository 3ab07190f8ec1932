"""Classification metrics, from counts of images by score and label.

Exact for equal scores and by scikit-learn's definitions, without scikit-learn. A figure that is
not defined (such as precision where nothing was called AI) is None, never 0 and never NaN.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.records import SCORE_THRESHOLD
from workers.evaluation.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workers.evaluation.intervals import Interval


@dataclass(frozen=True, slots=True)
class ScoreCount:
    """`images` images with the same score and the same label (`label` True: AI-generated)."""

    score: float
    label: bool
    images: int


@dataclass(frozen=True, slots=True)
class Confusion:
    """Images by label and call; AI-generated is the positive class."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def images(self) -> int:
        """Return the number of images."""
        return self.tp + self.fp + self.fn + self.tn

    @property
    def accuracy(self) -> float | None:
        """Return the share of correct calls; None without images."""
        return ratio(self.tp + self.tn, self.images)

    @property
    def accuracy_interval(self) -> Interval | None:
        """Return Wilson's interval of the accuracy; None without images."""
        return wilson(self.tp + self.tn, self.images) if self.images else None


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class's row of the classification table, or an average of the classes' rows."""

    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True, slots=True)
class Classification:
    """Every figure of scored, labelled images; `fake` and `real` are the two classes.

    `average_precision_real` ranks images by falling probability of being real.
    """

    confusion: Confusion
    accuracy: float | None
    fake: ClassFigures
    real: ClassFigures
    macro: ClassFigures
    weighted: ClassFigures
    average_precision: float | None
    average_precision_real: float | None
    roc_auc: float | None


def score_counts(scores: Iterable[float], labels: Iterable[bool]) -> tuple[ScoreCount, ...]:
    """Count images, given one by one, by score and label."""
    pairs = Counter(
        (float(score), bool(label)) for score, label in zip(scores, labels, strict=True)
    )
    return tuple(ScoreCount(score, label, images) for (score, label), images in pairs.items())


def classification(
    groups: Iterable[ScoreCount], threshold: float = SCORE_THRESHOLD
) -> Classification:
    """Return all figures; a score of at least `threshold` counts as AI."""
    groups = tuple(groups)
    matrix = confusion(groups, threshold)
    fake = _class_figures(matrix.tp, matrix.fp, matrix.fn)
    real = _class_figures(matrix.tn, matrix.fn, matrix.fp)
    return Classification(
        confusion=matrix,
        accuracy=matrix.accuracy,
        fake=fake,
        real=real,
        macro=_average((fake, real), (1, 1)),
        weighted=_average((fake, real), (fake.support, real.support)),
        average_precision=average_precision(groups),
        average_precision_real=average_precision(groups, positive=False),
        roc_auc=roc_auc(groups),
    )


def confusion(groups: Iterable[ScoreCount], threshold: float = SCORE_THRESHOLD) -> Confusion:
    """Return the confusion matrix where a score of at least `threshold` counts as AI."""
    images: dict[tuple[bool, bool], int] = defaultdict(int)
    for group in groups:
        images[group.label, group.score >= threshold] += group.images
    return Confusion(
        tp=images[True, True],
        fp=images[False, True],
        fn=images[True, False],
        tn=images[False, False],
    )


def average_precision(groups: Iterable[ScoreCount], *, positive: bool = True) -> float | None:
    """Sum (recall gained) times (precision) over thresholds; None without positives.

    Not interpolated, and equal scores are one threshold: `sklearn.metrics.average_precision_score`.
    With `positive` False, real is the positive class and lower scores rank higher.
    """
    ranked = _ranked(groups, positive=positive)
    positives = sum(of_class for of_class, _ in ranked)
    if positives == 0:
        return None
    total, hits, above = 0.0, 0, 0
    for of_class, others in ranked:
        hits += of_class
        above += of_class + others
        total += of_class / positives * (hits / above)
    return total


def roc_auc(groups: Iterable[ScoreCount]) -> float | None:
    """Return the probability that an AI-generated image scores above a real one, ties half.

    This is the area under the ROC curve (Mann and Whitney 1947); None where a class is missing.
    """
    ranked = _ranked(groups, positive=True)
    fakes = sum(fake for fake, _ in ranked)
    reals = sum(real for _, real in ranked)
    if fakes == 0 or reals == 0:
        return None
    above, twice_won = 0, 0
    for fake, real in ranked:
        twice_won += real * (2 * above + fake)
        above += fake
    return twice_won / (2 * fakes * reals)


def ratio(part: float, whole: float) -> float | None:
    """Return a share; None of nothing."""
    return part / whole if whole else None


def _ranked(groups: Iterable[ScoreCount], *, positive: bool) -> Sequence[tuple[int, int]]:
    """Return (images of the positive class, others) by score, the most positive score first."""
    by_score: dict[float, list[int]] = defaultdict(lambda: [0, 0])
    for group in groups:
        by_score[group.score][group.label is not positive] += group.images
    ordered = sorted(by_score.items(), reverse=positive)
    return [(of_class, others) for _, (of_class, others) in ordered]


def _class_figures(hits: int, false: int, missed: int) -> ClassFigures:
    return ClassFigures(
        precision=ratio(hits, hits + false),
        recall=ratio(hits, hits + missed),
        f1=ratio(2 * hits, 2 * hits + false + missed),
        support=hits + missed,
    )


def _average(classes: Sequence[ClassFigures], weights: Sequence[int]) -> ClassFigures:
    """Return the mean of the classes' figures, over the classes where the figure is defined."""

    def mean(figures: Sequence[float | None]) -> float | None:
        known = [pair for pair in zip(figures, weights, strict=True) if pair[0] is not None]
        total = sum(figure * weight for figure, weight in known if figure is not None)
        return ratio(total, sum(weight for _, weight in known))

    return ClassFigures(
        precision=mean([row.precision for row in classes]),
        recall=mean([row.recall for row in classes]),
        f1=mean([row.f1 for row in classes]),
        support=sum(row.support for row in classes),
    )
