"""Calibration and thresholds from logits of held-out images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import LogisticRegression

from storage.records import NEVER, SCORE_THRESHOLD
from workers.detectors.card import Calibration, Thresholds
from workers.detectors.detector import probabilities
from workers.evaluation.intervals import wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The share of held-out real images that may be called AI.
FALSE_POSITIVE_RATE = 0.01
# The shares of real images of other kinds than the detector's that may reach `unsure` and `ai`:
# `unsure` has half of the 2 % that images of other owners may reach.
UNLIKE_UNSURE, UNLIKE_AI = 0.01, 0.001
# What a detector has to promise to call anything AI: at this prevalence, at least this precision.
PREVALENCE, MIN_PRECISION = 0.1, 0.9


def calibrate(
    logits: NDArray[np.float64],
    labels: NDArray[np.uint8],
    unlike: NDArray[np.float64] | None = None,
) -> tuple[Calibration, Thresholds]:
    """Return calibration and thresholds for logits, (n,), of images with labels, (n,), 1 for AI.

    `unlike` are logits of real images of other kinds, for which the thresholds hold as well.
    """
    calibration = fit(logits, labels)
    others = None if unlike is None else probabilities(unlike, calibration)
    scores = probabilities(logits, calibration)
    return calibration, thresholds(scores, labels, FALSE_POSITIVE_RATE, others)


def fit(logits: NDArray[np.float64], labels: NDArray[np.uint8]) -> Calibration:
    """Fit Platt scaling (Platt 1999) to logits, (n,), of images with labels, (n,), 1 for AI."""
    regression = LogisticRegression(C=np.inf).fit(logits[:, None], labels)
    return Calibration(
        method="platt",
        slope=float(regression.coef_[0, 0]),
        intercept=float(regression.intercept_[0]),
        images=len(labels),
    )


def thresholds(
    scores: NDArray[np.float64],
    labels: NDArray[np.uint8],
    rate: float,
    unlike: NDArray[np.float64] | None = None,
) -> Thresholds:
    """Put `ai` at the lowest score of at least 0.5 that keeps these promises.

    At most `rate` of the real images reach it; and at PREVALENCE its precision would be at least
    MIN_PRECISION, by the unfavourable bounds of 95 % intervals. Where no score keeps the second
    promise, nothing is called AI, and at most `rate` of the real images reach `unsure`; otherwise
    `unsure` is 0.5. Of real images of other kinds, whose scores are `unlike`, (m,), at most
    UNLIKE_AI reach `ai` and UNLIKE_UNSURE reach `unsure`, which is higher where it has to be.

    The false-positive rate on the card is the one that resulted.
    """
    real, ai = np.sort(scores[labels == 0]), np.sort(scores[labels == 1])
    # Only scores that occur can be told apart.
    candidates = np.unique(np.append(scores[scores >= SCORE_THRESHOLD], NEVER))
    false = len(real) - np.searchsorted(real, candidates, side="left")
    true = len(ai) - np.searchsorted(ai, candidates, side="left")
    few = false / len(real) <= rate
    precise = np.array(
        [
            min_precision(int(hits), len(ai), int(alarms), len(real)) >= MIN_PRECISION
            for hits, alarms in zip(true, false, strict=True)
        ]
    )
    others = _reaching(unlike, candidates)
    others_at_half = _reaching(unlike, np.array([SCORE_THRESHOLD]))[0]
    rarely = others <= UNLIKE_UNSURE
    kept = few & precise & (others <= UNLIKE_AI)
    if kept.any():
        ai_from = flag = float(candidates[np.argmax(kept)])
        unsure = float(candidates[np.argmax(rarely)])
        if others_at_half <= UNLIKE_UNSURE:
            unsure = SCORE_THRESHOLD
        separated = np.mean(real >= SCORE_THRESHOLD) <= rate and precise[0]
        if separated and others_at_half <= UNLIKE_AI:
            # The classes are separated better than required.
            ai_from = flag = SCORE_THRESHOLD
    else:
        ai_from = NEVER
        held = few & rarely
        flag = unsure = float(candidates[np.argmax(held)]) if held.any() else NEVER
    return Thresholds(unsure, ai_from, float(np.mean(real >= flag)), len(real))


def _reaching(
    scores: NDArray[np.float64] | None, candidates: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the share of scores that reach each candidate; 0 where there are none."""
    if scores is None:
        return np.zeros(len(candidates))
    reached = len(scores) - np.searchsorted(np.sort(scores), candidates, side="left")
    return np.asarray(reached / len(scores))


def min_precision(true: int, ai: int, false: int, real: int) -> float:
    """Return the precision at PREVALENCE by the unfavourable bounds of both 95 % intervals.

    `true` of `ai` AI-generated images and `false` of `real` real ones are called AI.
    """
    recall, false_positive_rate = wilson(true, ai).low, wilson(false, real).high
    called = PREVALENCE * recall + (1 - PREVALENCE) * false_positive_rate
    return PREVALENCE * recall / called if called else 0.0
