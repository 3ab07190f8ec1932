"""Fitting a detector's linear head again to the answers of people.

The shipped weights are the mean of a Gaussian prior, and its precision is how firmly the training
images hold each weight (the diagonal of the Hessian, a Laplace approximation: MacKay 1992), times a
`firmness`. Answers move the weights from there by logistic regression. There are far fewer answers
than weights, so the posterior mode is found in the space of answers (Rasmussen and Williams 2006,
Gaussian Processes for Machine Learning, algorithm 3.1): seconds on a laptop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from workers.detectors.card import Calibration
    from workers.detectors.head import Head

# How firmly the prior is held, against its own precision: chosen by cross-validation. The diagonal
# takes features for independent, so a prior that is held as loosely as it says follows any answer.
FIRMNESS = (1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0)
FOLDS = 5
# Of the bias, in logits: half a unit of standard deviation.
BIAS_VARIANCE = 0.25
STEPS, TOLERANCE = 50, 1e-8


@dataclass(frozen=True, slots=True)
class Answers:
    """Embeddings, (n, views, numbers), their labels, (n,), 1 for AI, and their groups, (n,).

    Images of one group, such as a folder, resemble each other: no group is in two folds.
    """

    embeddings: NDArray[np.float64]
    labels: NDArray[np.uint8]
    groups: NDArray[np.intp]

    def take(self, indices: NDArray[np.intp]) -> Answers:
        """Return the answers at these indices."""
        return Answers(self.embeddings[indices], self.labels[indices], self.groups[indices])


class Prior:
    """The shipped head and calibration, as a prior for answers."""

    def __init__(self, head: Head, calibration: Calibration) -> None:
        """Take a head with `precision`; ValueError for one without."""
        if head.precision is None:
            raise ValueError("the head has no precision: it can be used, but not fitted again")
        self._head = head
        self._calibration = calibration
        self._variance = 1 / head.precision

    def logits(self, answers: Answers) -> NDArray[np.float64]:
        """Return the calibrated logits, (n,), of the shipped head."""
        raw = np.array([self._head.logit(each) for each in answers.embeddings])
        return self._calibration.slope * raw + self._calibration.intercept

    def kernel(self, left: Answers, right: Answers) -> NDArray[np.float64]:
        """Return how much the prior lets the logits of two lots of answers vary together."""
        scaled = self._calibration.slope**2 * self._variance.ravel()
        return (self._features(left) * scaled) @ self._features(right).T

    def fitted(self, answers: Answers, firmness: float) -> Head:
        """Return the head at the posterior mode."""
        pull = mode(self.logits(answers), self.kernel(answers, answers), answers.labels, firmness)
        slope = self._calibration.slope
        moved = slope * self._variance.ravel() * (pull @ self._features(answers)) / firmness
        return replace(
            self._head,
            weights=self._head.weights + moved.reshape(self._head.weights.shape),
            bias=self._head.bias + BIAS_VARIANCE * float(pull.sum()) / slope,
        )

    def _features(self, answers: Answers) -> NDArray[np.float64]:
        centred = np.stack([self._head.centred(each) for each in answers.embeddings])
        return centred.reshape(len(centred), -1)


def mode(
    logits: NDArray[np.float64],
    kernel: NDArray[np.float64],
    labels: NDArray[np.uint8],
    firmness: float,
) -> NDArray[np.float64]:
    """Return how strongly each answer pulls, (n,), at the mode of the posterior.

    `logits`, (n,), are the prior's, `kernel`, (n, n), is its covariance at a firmness of 1. Both
    classes weigh alike, so that the share of AI-generated images among the answers teaches nothing.
    """
    covariance = kernel / firmness + BIAS_VARIANCE
    weights = len(labels) / (2 * np.bincount(labels, minlength=2))[labels]
    shift = np.zeros(len(labels))
    pull = np.zeros(len(labels))
    for _ in range(STEPS):
        p = probability(logits + shift)
        curvature = weights * p * (1 - p)
        root = np.sqrt(curvature)
        target = curvature * shift + weights * (labels - p)
        inner = np.eye(len(labels)) + root[:, None] * covariance * root
        pull = target - root * np.linalg.solve(inner, root * (covariance @ target))
        before, shift = shift, covariance @ pull
        if np.abs(shift - before).max() < TOLERANCE:
            break
    return pull


def probability(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return P(AI) of calibrated logits, (n,)."""
    return 1 / (1 + np.exp(-np.clip(logits, -60.0, 60.0)))


@dataclass(frozen=True, slots=True)
class CrossValidated:
    """Calibrated logits, (n,), before, and after fitting to the answers of other groups."""

    before: NDArray[np.float64]
    after: NDArray[np.float64]
    firmness: float


def cross_validate(prior: Prior, answers: Answers) -> CrossValidated:
    """Judge each answer by heads that were fitted without its group.

    The firmness is chosen again within each fold, so that the choice has not seen the answers that
    it is judged by; the one for all answers is chosen in the same way. Raises ValueError where a
    class has too few groups.
    """
    before = prior.logits(answers)
    kernel = prior.kernel(answers, answers)
    after = before.copy()
    for train, held_out in folds(answers):
        part = kernel[np.ix_(train, train)]
        firmness = _best_firmness(before[train], part, answers.take(train))
        pull = mode(before[train], part, answers.labels[train], firmness)
        after[held_out] = before[held_out] + _shift(kernel[np.ix_(held_out, train)], pull, firmness)
    return CrossValidated(before, after, _best_firmness(before, kernel, answers))


def _best_firmness(
    logits: NDArray[np.float64], kernel: NDArray[np.float64], answers: Answers
) -> float:
    losses = dict.fromkeys(FIRMNESS, 0.0)
    for train, held_out in folds(answers):
        for firmness in FIRMNESS:
            pull = mode(
                logits[train], kernel[np.ix_(train, train)], answers.labels[train], firmness
            )
            shift = _shift(kernel[np.ix_(held_out, train)], pull, firmness)
            loss = log_loss(logits[held_out] + shift, answers.labels[held_out])
            losses[firmness] += float(loss.sum())
    return min(losses, key=lambda firmness: losses[firmness])


def _shift(
    kernel: NDArray[np.float64], pull: NDArray[np.float64], firmness: float
) -> NDArray[np.float64]:
    shift: NDArray[np.float64] = (kernel / firmness + BIAS_VARIANCE) @ pull
    return shift


def log_loss(logits: NDArray[np.float64], labels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the loss of each answer, (n,), in nats."""
    return np.logaddexp(0.0, np.where(labels == 1, -logits, logits))


def folds(answers: Answers) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield (training, held-out) indices; both classes are in every training part.

    Groups go one by one, the largest first, to the fold that has fewest answers of their class.
    """
    fold = np.zeros(len(answers.labels), np.intp)
    counts = np.zeros((FOLDS, 2))
    groups, sizes = np.unique(answers.groups, return_counts=True)
    for group in groups[np.argsort(-sizes, kind="stable")]:
        members = answers.groups == group
        of_class = np.bincount(answers.labels[members], minlength=2)
        chosen = int(np.argmin(counts @ of_class))
        fold[members] = chosen
        counts[chosen] += of_class
    for number in range(FOLDS):
        train, held_out = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        if len(held_out) and np.bincount(answers.labels[train], minlength=2).min() > 0:
            yield train, held_out
