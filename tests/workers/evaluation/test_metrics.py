"""Metrics compared with scikit-learn, with equal scores and with missing classes."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from workers.evaluation.metrics import (
    ClassFigures,
    Confusion,
    ScoreCount,
    average_precision,
    classification,
    confusion,
    roc_auc,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

# Few different scores, so that many are equal, and some that are hardly apart.
SCORES = st.sampled_from([0.0, 0.1, 0.25, math.nextafter(0.5, 0), 0.5, 0.75, 0.9, 1.0]) | st.floats(
    0, 1
)
LABELLED = st.lists(st.tuples(SCORES, st.booleans()), min_size=1, max_size=60)
BOTH = LABELLED.filter(lambda images: len({truth for _, truth in images}) == 2)


def groups(images: Sequence[tuple[float, bool]]) -> list[ScoreCount]:
    """Count the images as the store does."""
    return [ScoreCount(score, truth, n) for (score, truth), n in Counter(images).items()]


def defined(value: float) -> float | None:
    """Return None for scikit-learn's NaN."""
    return None if math.isnan(value) else value


@settings(deadline=None)
@given(BOTH)
def test_ranking_figures(images: list[tuple[float, bool]]) -> None:
    """Average precision of either class and ROC AUC are scikit-learn's, equal scores included."""
    scores, truths = [score for score, _ in images], [truth for _, truth in images]
    real = [not truth for truth in truths]
    found = classification(groups(images))

    assert sk.average_precision_score(truths, scores) == pytest.approx(found.average_precision)
    assert sk.average_precision_score(real, [-score for score in scores]) == pytest.approx(
        found.average_precision_real
    )
    assert sk.roc_auc_score(truths, scores) == pytest.approx(found.roc_auc)


@settings(deadline=None)
@given(LABELLED)
def test_classification_table(images: list[tuple[float, bool]]) -> None:
    """Each row of the table is scikit-learn's; where that is not defined, it is None."""
    truths = [truth for _, truth in images]
    calls = [score >= 0.5 for score, _ in images]
    found = classification(groups(images))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        each = sk.precision_recall_fscore_support(
            truths, calls, labels=[True, False], zero_division=math.nan
        )
        expected = [tuple(defined(float(column[place])) for column in each) for place in range(2)]

    assert [
        (row.precision, row.recall, row.f1, row.support) for row in (found.fake, found.real)
    ] == [pytest.approx(row) for row in expected]
    assert sk.accuracy_score(truths, calls) == pytest.approx(found.accuracy)


@settings(deadline=None)
@given(BOTH)
def test_averages(images: list[tuple[float, bool]]) -> None:
    """Macro and weighted averages are scikit-learn's."""
    truths = [truth for _, truth in images]
    calls = [score >= 0.5 for score, _ in images]
    found = classification(groups(images))
    for name, row in (("macro", found.macro), ("weighted", found.weighted)):
        expected = sk.precision_recall_fscore_support(
            truths, calls, labels=[True, False], average=name, zero_division=math.nan
        )

        assert (row.precision, row.recall, row.f1) == pytest.approx(expected[:3])
        assert row.support == len(images)


@settings(deadline=None)
@given(LABELLED)
def test_confusion_matrix(images: list[tuple[float, bool]]) -> None:
    """The confusion matrix is scikit-learn's, a score of exactly 0.5 counting as AI."""
    truths = [truth for _, truth in images]
    calls = [score >= 0.5 for score, _ in images]
    (tn, fp), (fn, tp) = sk.confusion_matrix(truths, calls, labels=[False, True]).tolist()

    assert confusion(groups(images)) == Confusion(tp=tp, fp=fp, fn=fn, tn=tn)


@pytest.mark.parametrize(
    ("truth", "precision", "precision_real"), [(True, 1.0, None), (False, None, 1.0)]
)
def test_one_class_alone(
    truth: bool,  # noqa: FBT001 - a case
    precision: float | None,
    precision_real: float | None,
) -> None:
    """With one class there is no ROC curve, and the other class has no average precision."""
    images = [ScoreCount(0.3, truth, 2), ScoreCount(0.7, truth, 1)]
    found = classification(images)

    assert found.roc_auc is None
    assert (found.average_precision, found.average_precision_real) == (precision, precision_real)


def test_nothing_scored() -> None:
    """Without a scored image no figure is defined."""
    found = classification([])
    none = ClassFigures(None, None, None, 0)

    assert (found.fake, found.real, found.macro, found.weighted) == (none,) * 4
    assert found.confusion == Confusion(0, 0, 0, 0)
    assert (found.accuracy, found.average_precision, found.roc_auc) == (None,) * 3


def test_nothing_called_ai() -> None:
    """Where nothing is called AI, precision is not defined and recall is 0."""
    found = classification([ScoreCount(0.1, True, 3), ScoreCount(0.2, False, 1)])

    assert found.fake == ClassFigures(None, 0.0, 0.0, 3)
    assert found.real == ClassFigures(0.25, 1.0, 0.4, 1)


def test_by_hand() -> None:
    """A small case with a tie across the classes, computed by hand."""
    images = [
        ScoreCount(0.9, label=True, images=1),
        ScoreCount(0.6, label=True, images=1),
        ScoreCount(0.6, label=False, images=1),
        ScoreCount(0.1, label=False, images=1),
    ]

    # Recall 1/2 at precision 1, then 1 at 2/3; of four pairs three and a half are won.
    assert average_precision(images) == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3)
    assert roc_auc(images) == 3.5 / 4
