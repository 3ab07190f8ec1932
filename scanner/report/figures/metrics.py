"""How right scores are against labels, from counts of images by score and label.

Exact where scores are equal, and by scikit-learn's definitions, without scikit-learn. A figure
that is not defined (precision where nothing was called AI, say) is None, never 0 and never NaN.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# A score from here on counts as AI.
THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class ScoreCount:
    """`images` images that have the same score and the same label (`truth` True: AI-made)."""

    score: float
    truth: bool
    images: int


@dataclass(frozen=True, slots=True)
class Confusion:
    """Images by label and call, AI-made being positive."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def images(self) -> int:
        """All of them."""
        return self.tp + self.fp + self.fn + self.tn


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class's row of the classification table, or an average of the classes' rows."""

    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True, slots=True)
class Classification:
    """Every figure about scored, labelled images; `fake` and `real` are the two classes.

    `average_precision_real` is that of real as the positive class, by falling probability of it.
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


def classification(groups: Iterable[ScoreCount], threshold: float = THRESHOLD) -> Classification:
    """All figures at once; a score of at least `threshold` counts as AI."""
    groups = tuple(groups)
    called = confusion(groups, threshold)
    fake = _class_figures(called.tp, called.fp, called.fn)
    real = _class_figures(called.tn, called.fn, called.fp)
    support = fake.support + real.support
    return Classification(
        confusion=called,
        accuracy=ratio(called.tp + called.tn, support),
        fake=fake,
        real=real,
        macro=_average((fake, real), (1, 1)),
        weighted=_average((fake, real), (fake.support, real.support)),
        average_precision=average_precision(groups),
        average_precision_real=average_precision(groups, positive=False),
        roc_auc=roc_auc(groups),
    )


def confusion(groups: Iterable[ScoreCount], threshold: float = THRESHOLD) -> Confusion:
    """The confusion matrix where a score of at least `threshold` counts as AI."""
    images: dict[tuple[bool, bool], int] = defaultdict(int)
    for group in groups:
        images[group.truth, group.score >= threshold] += group.images
    return Confusion(
        tp=images[True, True],
        fp=images[False, True],
        fn=images[True, False],
        tn=images[False, False],
    )


def average_precision(groups: Iterable[ScoreCount], *, positive: bool = True) -> float | None:
    """The sum over thresholds of (recall gained) times (precision there); None without positives.

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
    """The probability that an AI-made image scores above a real one, equal scores counting half.

    That is the area under the ROC curve (Mann and Whitney 1947); None where a class is missing.
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
    """A share, or None of nothing."""
    return part / whole if whole else None


def _ranked(groups: Iterable[ScoreCount], *, positive: bool) -> Sequence[tuple[int, int]]:
    """(images of the positive class, others) for each score, the most positive score first."""
    by_score: dict[float, list[int]] = defaultdict(lambda: [0, 0])
    for group in groups:
        by_score[group.score][group.truth is not positive] += group.images
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
    """The mean of the classes' figures, over those classes where the figure is defined."""

    def mean(figures: Sequence[float | None]) -> float | None:
        known = [
            (figure, weight)
            for figure, weight in zip(figures, weights, strict=True)
            if figure is not None
        ]
        return ratio(
            sum(figure * weight for figure, weight in known), sum(weight for _, weight in known)
        )

    return ClassFigures(
        precision=mean([one.precision for one in classes]),
        recall=mean([one.recall for one in classes]),
        f1=mean([one.f1 for one in classes]),
        support=sum(one.support for one in classes),
    )
