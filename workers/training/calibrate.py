"""From logits on held-out images to probabilities and thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import LogisticRegression

from workers.detectors.card import Calibration, Thresholds

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Where the evidence is even, and the least that may be called AI whatever the false-alarm rate.
EVEN = 0.5


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
    """Put `ai` at the lowest score that at most `rate` of the real images reach, 0.5 at least.

    `unsure` is 0.5, where the evidence is even. A net that separates the classes better than
    `rate` asks for would put `ai` below that, and call AI what is more probably real: then `ai`
    is 0.5 too and nothing is in doubt. The rate that is stated is the one that came out.
    """
    real = np.sort(scores[labels == 0])
    # Only scores that occur can be told apart: go up from the first one that could do.
    candidates = np.unique(np.append(scores[scores >= EVEN], 1.0))
    reached = 1.0 - np.searchsorted(real, candidates, side="left") / len(real)
    at = float(candidates[np.argmax(reached <= rate)]) if (reached <= rate).any() else 1.0
    if np.mean(real >= EVEN) <= rate:
        at = EVEN
    return Thresholds(EVEN, at, float(np.mean(real >= at)), len(real))
