"""Curves and bootstrap intervals, compared with scikit-learn and with direct resampling."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from workers.evaluation import bootstrap
from workers.evaluation.curves import POINTS, curves
from workers.evaluation.metrics import ScoreCount

RANDOM = np.random.default_rng(3)
LABELS = RANDOM.random(600) < 0.4
# None lies between two bins, which might go to either.
SCORES = np.clip(RANDOM.normal(np.where(LABELS, 0.65, 0.4), 0.2), 0.001, 0.998).round(3) + 0.0004
GROUPS = [ScoreCount(float(s), bool(t), 1) for s, t in zip(SCORES, LABELS, strict=True)]


def test_roc_is_scikit_learns() -> None:
    """Every threshold's point is on scikit-learn's curve."""
    few = GROUPS[:150]
    rate, recall, _ = roc_curve(LABELS[:150], SCORES[:150], drop_intermediate=False)

    assert np.array(curves(few).roc) == pytest.approx(np.column_stack((rate, recall)))


def test_curves_are_thinned() -> None:
    """A curve keeps its first and last point and a bounded number of points."""
    many = [ScoreCount(n / 5000, n % 3 == 0, 1) for n in range(5000)]
    found = curves(many)

    assert len(found.roc) <= 2 * POINTS
    assert (found.roc[0], found.roc[-1]) == ((0, 0), (1, 1))
    assert found.precision_recall[-1][0] == 1


def test_reliability_is_scikit_learns() -> None:
    """Shares and mean scores by bin are those of `calibration_curve`."""
    share, score = calibration_curve(LABELS, SCORES, n_bins=10)
    found = curves(GROUPS).reliability

    assert [one.share for one in found] == pytest.approx(list(share))
    assert [one.score for one in found] == pytest.approx(list(score))
    assert sum(one.images for one in found) == 600


def test_ece_by_hand() -> None:
    """The error is the mean over bins of |share - mean score|: (0.25 + 0.05) / 2."""
    groups = [
        ScoreCount(0.85, True, 6),
        ScoreCount(0.85, False, 4),
        ScoreCount(0.15, True, 1),
        ScoreCount(0.15, False, 9),
    ]

    assert curves(groups).ece == pytest.approx((0.25 + 0.05) / 2)


def test_one_class_has_no_curves() -> None:
    """A curve that is not defined has no points."""
    found = curves([ScoreCount(0.3, False, 5)])

    assert (found.roc, found.precision_recall) == ((), ())
    assert curves([]).ece is None


def test_bootstrap_matches_direct_resampling() -> None:
    """Resampling single images with scikit-learn's figures gives the same bounds."""
    drawn = []
    for _ in range(400):
        fakes = RANDOM.choice(SCORES[LABELS], LABELS.sum())
        reals = RANDOM.choice(SCORES[~LABELS], (~LABELS).sum())
        truth = np.repeat([True, False], [len(fakes), len(reals)])
        scores = np.concatenate([fakes, reals])
        drawn.append([average_precision_score(truth, scores), roc_auc_score(truth, scores)])
    ends = np.percentile(drawn, (2.5, 97.5), axis=0)
    found = bootstrap.intervals(GROUPS)

    assert found["average_precision"] == pytest.approx(tuple(ends[:, 0]), abs=0.012)
    assert found["roc_auc"] == pytest.approx(tuple(ends[:, 1]), abs=0.012)
    assert found["f1"].low < found["f1"].high
    assert found == bootstrap.intervals(GROUPS)


def test_many_scores_are_rounded() -> None:
    """Rounding scores to steps changes the bounds by less than 0.01."""
    fine = [ScoreCount(one.score + n * 1e-6, one.label, 1) for n, one in enumerate(GROUPS)]
    found, exact = bootstrap.intervals(fine), bootstrap.intervals(GROUPS)

    for name in ("roc_auc", "average_precision", "f1"):
        assert found[name] == pytest.approx(exact[name], abs=0.01)


def test_one_class_has_no_intervals() -> None:
    """Figures that need both classes are not defined."""
    assert bootstrap.intervals([ScoreCount(0.3, False, 5)]) == {}
