"""From logits on held-out images to probabilities and thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import LogisticRegression

from workers.detectors.card import Calibration, Thresholds
from workers.evaluation.intervals import wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Where the evidence is even, and the least that may be called AI whatever the false-alarm rate.
EVEN = 0.5
# The share of held-out real images that may be called AI.
FALSE_ALARM_RATE = 0.01
# What a detector has to promise to call anything AI: in a collection of which so much is AI-made,
# so much of what it calls AI is.
PREVALENCE, LEAST_PRECISION = 0.1, 0.9


def fit(logits: NDArray[np.float64], labels: NDArray[np.uint8]) -> Calibration:
    """Fit Platt scaling (Platt 1999) to logits, (n,), of images with labels, (n,), 1 for AI."""
    regression = LogisticRegression(C=np.inf).fit(logits[:, None], labels)
    return Calibration(
        method="platt",
        slope=float(regression.coef_[0, 0]),
        intercept=float(regression.intercept_[0]),
        images=len(labels),
    )


def thresholds(scores: NDArray[np.float64], labels: NDArray[np.uint8], rate: float) -> Thresholds:
    """Put `ai` at the lowest score, 0.5 at least, that keeps two promises.

    At most `rate` of the real images reach it; and were PREVALENCE of a collection AI-made, at
    least LEAST_PRECISION of what is called AI would be, by the lower ends of 95 % intervals.
    `unsure` is 0.5 then, where the evidence is even. Where no score keeps the second promise,
    nothing is called AI, and `unsure` is where at most `rate` of the real images are.

    The rate that is stated is the one that came out.
    """
    real, ai = np.sort(scores[labels == 0]), np.sort(scores[labels == 1])
    # Only scores that occur can be told apart: go up from the first one that could do.
    candidates = np.unique(np.append(scores[scores >= EVEN], 1.0))
    false = len(real) - np.searchsorted(real, candidates, side="left")
    true = len(ai) - np.searchsorted(ai, candidates, side="left")
    few = false / len(real) <= rate
    precise = [
        least_precision(int(hits), len(ai), int(alarms), len(real)) >= LEAST_PRECISION
        for hits, alarms in zip(true, false, strict=True)
    ]
    earned = few & np.array(precise)
    if earned.any():
        # A net that separates the classes better than asked for would put `ai` below 0.5.
        at, unsure = float(candidates[np.argmax(earned)]), EVEN
        if np.mean(real >= EVEN) <= rate and precise[0]:
            at = EVEN
        stated = at
    else:
        at = 1.0
        stated = unsure = float(candidates[np.argmax(few)]) if few.any() else 1.0
    return Thresholds(unsure, at, float(np.mean(real >= stated)), len(real))


def least_precision(true: int, ai: int, false: int, real: int) -> float:
    """The precision at PREVALENCE by the worse ends of the 95 % intervals of both rates.

    `true` of `ai` AI-made images and `false` of `real` real ones are called AI.
    """
    found, alarmed = wilson(true, ai)[0], wilson(false, real)[1]
    called = PREVALENCE * found + (1 - PREVALENCE) * alarmed
    return PREVALENCE * found / called if called else 0.0
