"""Fitting a head again to answers: the mode, its weights, and what cross-validation allows."""

from __future__ import annotations

import numpy as np
import pytest

from workers.detectors import refit
from workers.detectors.card import Calibration
from workers.detectors.head import Head

VIEWS, NUMBERS = 2, 20
CALIBRATION = Calibration("platt", 0.7, 0.1, 100)
RANDOM = np.random.default_rng(5)


def head(precision: float | None = 1.0) -> Head:
    """Return a head whose weights look at the first number of each view."""
    weights = np.zeros((VIEWS, NUMBERS))
    weights[:, 0] = 1.0
    held = None if precision is None else np.full((VIEWS, NUMBERS), precision)
    return Head(weights, 0.2, np.full((VIEWS, NUMBERS), 0.5), held, unit_length=False)


def answers(count: int, effect: float, groups: int | None = None) -> refit.Answers:
    """Return answers whose second number, which the head ignores, differs by class by `effect`."""
    labels = np.arange(count) % 2
    embeddings = 0.5 + RANDOM.normal(0, 1, (count, VIEWS, NUMBERS))
    embeddings[:, :, 1] += effect * (labels[:, None] - 0.5)
    of_group = RANDOM.integers(0, groups or count, count)
    return refit.Answers(embeddings, labels.astype(np.uint8), of_group)


def test_mode_is_where_the_gradient_vanishes() -> None:
    """At the mode each answer pulls with its weighted residual, as the derivative demands."""
    given, prior = answers(31, 1.0), refit.Prior(head(), CALIBRATION)
    logits, kernel = prior.logits(given), prior.kernel(given, given)
    pull = refit.mode(logits, kernel, given.labels, 10.0)

    shift = (kernel / 10.0 + refit.BIAS_VARIANCE) @ pull
    weights = len(given.labels) / (2 * np.bincount(given.labels))[given.labels]
    residuals = weights * (given.labels - refit.probability(logits + shift))
    assert pull == pytest.approx(residuals, abs=1e-6)


def test_fitted_head_gives_the_logits_of_the_mode() -> None:
    """The weights and the bias reproduce what was found in the space of answers."""
    given, prior = answers(30, 2.0), refit.Prior(head(), CALIBRATION)
    kernel = prior.kernel(given, given)
    pull = refit.mode(prior.logits(given), kernel, given.labels, 100.0)
    expected = prior.logits(given) + (kernel / 100.0 + refit.BIAS_VARIANCE) @ pull

    fitted = refit.Prior(prior.fitted(given, 100.0), CALIBRATION)
    assert fitted.logits(given) == pytest.approx(expected, abs=1e-6)


def test_firm_prior_hardly_moves() -> None:
    """A weight that training holds firmly stays; one that it holds loosely follows the answers."""
    precision = np.full((VIEWS, NUMBERS), 1e9)
    precision[:, 1] = 1.0
    prior = refit.Prior(
        Head(head().weights, 0.2, head().mean, precision, unit_length=False), CALIBRATION
    )
    moved = np.abs(prior.fitted(answers(60, 3.0), 1.0).weights - head().weights)
    assert moved[:, 1].min() > 0.1
    assert np.delete(moved, 1, axis=1).max() < 1e-6


def test_cross_validation_shows_what_answers_teach() -> None:
    """Where answers have something that the head ignores, held-out answers are judged better."""
    given = answers(200, 2.5, groups=40)
    judged = refit.cross_validate(refit.Prior(head(), CALIBRATION), given)
    before = refit.log_loss(judged.before, given.labels).mean()
    after = refit.log_loss(judged.after, given.labels).mean()
    assert after < before - 0.1


def test_cross_validation_does_not_flatter() -> None:
    """Where answers are at random, held-out answers are not judged better than a guess."""
    given = answers(120, 0.0)
    judged = refit.cross_validate(refit.Prior(head(), CALIBRATION), given)
    assert refit.log_loss(judged.after, given.labels).mean() > np.log(2) - 0.03


@pytest.mark.parametrize("groups", [5, 12, 200])
def test_folds(groups: int) -> None:
    """No group is on both sides of a fold, and each answer is held out at most once."""
    given = answers(200, 1.0, groups)
    seen: list[int] = []
    for train, held_out in refit.folds(given):
        assert not set(given.groups[train]) & set(given.groups[held_out])
        assert {0, 1} == set(given.labels[train])
        seen += held_out.tolist()
    assert len(seen) == len(set(seen)) == 200


def test_head_without_precision_is_refused() -> None:
    """A head that says nothing of its training cannot be fitted again."""
    with pytest.raises(ValueError, match="no precision"):
        refit.Prior(head(None), CALIBRATION)
