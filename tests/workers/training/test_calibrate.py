"""Calibration and thresholds, on scores whose right answer is known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from workers.training.calibrate import fit, thresholds


def test_calibration_finds_the_line_that_made_the_labels() -> None:
    """Labels drawn with P = sigmoid(2 x - 1) are calibrated by slope 2 and intercept -1."""
    draw = np.random.default_rng(3)
    logits = draw.normal(0, 2, 200_000)
    labels = (draw.random(200_000) < 1 / (1 + np.exp(1 - 2 * logits))).astype(np.uint8)
    fitted = fit(logits, labels)

    assert ("platt", 200_000) == (fitted.method, fitted.images)
    assert pytest.approx(2.0, abs=0.03) == fitted.slope
    assert pytest.approx(-1.0, abs=0.03) == fitted.intercept


def scored(real: list[float], ai: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels of real and AI images."""
    return np.array(real + ai), np.array([0] * len(real) + [1] * len(ai), np.uint8)


def test_ai_is_the_lowest_score_that_few_real_images_reach() -> None:
    """Of ten real images one may be called AI at 10 %: the one at 0.9, not the one at 0.8."""
    at = thresholds(*scored([0.1] * 8 + [0.8, 0.9], [0.7, 0.85, 0.95]), rate=0.1)

    assert (0.5, 0.85, 0.1, 10) == (at.unsure, at.ai, at.false_alarm_rate, at.real_images)


def test_equal_scores_stand_or_fall_together() -> None:
    """Two real images at 0.9 cannot be told apart, so one too many means both are let go."""
    at = thresholds(*scored([0.1] * 8 + [0.9, 0.9], [0.9, 0.95]), rate=0.1)

    assert (0.95, 0.0) == (at.ai, at.false_alarm_rate)


def test_what_is_more_probably_real_is_never_called_ai() -> None:
    """Where 0.5 gives few enough false alarms, `ai` stays there and nothing is in doubt."""
    at = thresholds(*scored([0.1] * 9 + [0.3], [0.4, 0.6, 0.9]), rate=0.1)

    assert (0.5, 0.5, 0.0) == (at.unsure, at.ai, at.false_alarm_rate)


def test_a_hopeless_net_calls_nothing_ai_in_vain() -> None:
    """Where every score is reached by too many real images, `ai` goes to 1."""
    at = thresholds(*scored([0.9] * 10, [0.9] * 10), rate=0.1)

    assert (1.0, 0.0) == (at.ai, at.false_alarm_rate)
