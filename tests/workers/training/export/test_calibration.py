"""Calibration and thresholds, on scores with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from workers.training.export.calibration import fit, min_precision, thresholds


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
    """Return scores and labels of real and AI images."""
    return np.array(real + ai), np.array([0] * len(real) + [1] * len(ai), np.uint8)


MANY = [0.1] * 3_990 + [0.8] * 5 + [0.9] * 5


@pytest.mark.parametrize(("rate", "ai", "came_out"), [(0.002, 0.85, 0.00125), (0.001, 0.95, 0.0)])
def test_ai_is_the_lowest_score_that_few_real_images_reach(
    rate: float, ai: float, came_out: float
) -> None:
    """Five of 4,000 are few enough at 0.2 %, ten are not; at 0.1 % the five at 0.9 are too many."""
    at = thresholds(*scored(MANY, [0.7] * 500 + [0.85] * 1_000 + [0.95] * 1_500), rate)

    assert (0.5, ai, came_out, 4_000) == (
        at.unsure, at.ai, at.false_alarm_rate, at.real_images
    )  # fmt: skip
    assert ai == at.flagged_from


def test_what_is_more_probably_real_is_never_called_ai() -> None:
    """Where 0.5 gives few enough false positives, `ai` is 0.5 and nothing is `unsure`."""
    at = thresholds(*scored([0.1] * 3_999 + [0.3], [0.4, 0.6, 0.9] * 1_000), rate=0.01)

    assert (0.5, 0.5, 0.0) == (at.unsure, at.ai, at.false_alarm_rate)


def test_too_few_images_never_allow_ai() -> None:
    """200 real images are too few to promise a precision of 0.9: everything is `unsure`."""
    at = thresholds(*scored([0.1] * 198 + [0.9] * 2, [0.7] * 100 + [0.95] * 100), rate=0.01)

    assert (0.7, 1.0, 0.01) == (at.unsure, at.ai, at.false_alarm_rate)
    assert at.unsure == at.flagged_from


def test_a_useless_model_flags_nothing() -> None:
    """Where every score is reached by too many real images, both thresholds go to 1."""
    at = thresholds(*scored([0.9] * 10, [0.9] * 10), rate=0.1)

    assert (1.0, 1.0, 0.0) == (at.unsure, at.ai, at.false_alarm_rate)


def test_min_precision() -> None:
    """By hand: 90 of 100 found are at least 0.8256, 1 of 1,000 false positives at most 0.0056."""
    assert pytest.approx(0.0825632 / (0.0825632 + 0.9 * 0.0056456), abs=1e-4) == min_precision(
        90, 100, 1, 1_000
    )
    assert min_precision(0, 10, 0, 1_000) < 1e-9


def test_thresholds_hold_for_images_of_other_kinds_too() -> None:
    """Of 2,000 such images at most 20 reach `unsure`, here ten, and two reach `ai`."""
    unlike = np.array([0.1] * 1_970 + [0.55] * 20 + [0.86] * 7 + [0.93] * 3)
    few = scored(MANY, [0.7] * 500 + [0.85] * 1_000 + [0.95] * 1_500)
    at = thresholds(*few, 0.01, unlike)

    assert (0.7, 0.95, 0.0) == (at.unsure, at.ai, at.false_alarm_rate)


def test_thresholds_stay_where_images_of_other_kinds_score_low() -> None:
    """Nothing is raised without need."""
    few = scored(MANY, [0.7] * 500 + [0.85] * 1_000 + [0.95] * 1_500)

    assert thresholds(*few, 0.002) == thresholds(*few, 0.002, np.full(100, 0.2))


def test_images_of_other_kinds_that_score_high_are_unsure_at_most() -> None:
    """Where too many of them reach any score, nothing is called AI."""
    unlike = np.array([0.1] * 995 + [1.0] * 5)
    at = thresholds(*scored(MANY, [0.7] * 500 + [0.95] * 2_500), 0.002, unlike)

    assert (0.9, 1.0) == (at.unsure, at.ai)
