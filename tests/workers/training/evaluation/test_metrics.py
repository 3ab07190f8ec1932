"""The figures of a card, compared with hand counts, published values and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import classification_report

from storage.records import Thresholds
from workers.detectors.card import Confusion
from workers.evaluation.intervals import wilson
from workers.training.evaluation.metrics import (
    ScoredImages,
    expected_calibration_error,
    measure,
    source_figures,
)
from workers.training.evaluation.text_tables import source_table, table


def eight() -> ScoredImages:
    """Return scores: three AI images found, one missed; two real ones right, two called AI."""
    scores = np.array([0.9, 0.8, 0.5, 0.2, 0.1, 0.3, 0.6, 0.7])
    sources = np.array(["gan", "gan", "gan", "sd", "camera", "camera", "phone", "sd"])
    return ScoredImages("eight", scores, np.array([1, 1, 1, 1, 0, 0, 0, 0], np.uint8), sources)


def test_figures_agree_with_a_count_by_hand() -> None:
    """AI is positive, and a score of exactly 0.5 counts as AI."""
    found = measure(eight(), Thresholds(0.5, 0.7))

    assert ("eight", 8) == (found.on, found.images)
    assert Confusion(tp=3, fp=2, fn=1, tn=2) == found.confusion
    assert 5 / 8 == found.accuracy
    assert pytest.approx((3 / 5, 3 / 4, 2 / 3)) == (
        found.ai.precision,
        found.ai.recall,
        found.ai.f1,
    )
    assert pytest.approx((2 / 3, 2 / 4, 4 / 7)) == (
        found.real.precision,
        found.real.recall,
        found.real.f1,
    )
    # Of the 16 pairs, the AI image scores higher in 4 + 4 + 2 + 1.
    assert 11 / 16 == found.roc_auc
    # AI images stand at ranks 1, 2, 5 and 7 of the falling scores.
    assert pytest.approx((1 + 1 + 3 / 5 + 4 / 7) / 4) == found.ai.average_precision
    # Real ones stand at ranks 1, 3, 5 and 6 of the rising scores.
    assert pytest.approx((1 + 2 / 3 + 3 / 5 + 4 / 6) / 4) == found.real.average_precision
    assert (2 / 4, 1 / 4) == (found.recall_at_ai, found.false_alarms_at_ai)


def test_the_interval_is_wilsons() -> None:
    """81 of 263 gives 0.2553 to 0.3662 (Newcombe 1998, table I, method 3)."""
    assert pytest.approx((0.2553, 0.3662), abs=5e-5) == wilson(81, 263)


def test_the_calibration_error_weighs_bins_by_their_size() -> None:
    """Four images at 0.25 of which one is AI are right; two at 0.95 of which one is AI are not."""
    scores = np.array([0.25] * 4 + [0.95] * 2)
    labels = np.array([1, 0, 0, 0, 1, 0], np.uint8)

    assert pytest.approx(0.45 * 2 / 6) == expected_calibration_error(scores, labels)


def test_a_score_of_one_has_a_bin() -> None:
    """A score of 1 is in the last bin."""
    assert 1.0 == expected_calibration_error(np.array([1.0]), np.array([0], np.uint8))


def test_the_table_holds_scikit_learns_numbers() -> None:
    """Rows for FAKE and REAL, accuracy and both averages, as scikit-learn computes them."""
    sample = eight()
    rows = table(measure(sample, Thresholds(0.5, 0.7))).splitlines()
    report = classification_report(
        1 - sample.labels,
        (sample.scores < 0.5).astype(int),
        target_names=["FAKE", "REAL"],
        output_dict=True,
    )

    for row, name in zip(
        (rows[1], rows[2], rows[5], rows[6]),
        ("FAKE", "REAL", "macro avg", "weighted avg"),
        strict=True,
    ):
        of = report[name]
        numbers = [f"{of[key]:.4f}" for key in ("precision", "recall", "f1-score")]
        assert f"{name} {' '.join(numbers)} {of['support']:.0f}" == " ".join(row.split())
    assert "accuracy 0.6250 8" == " ".join(rows[4].split())


def test_each_source_has_a_row() -> None:
    """Three of three GAN images are flagged, none of one SD image; none of two, two of two."""
    rows = source_figures(eight(), Thresholds(0.5, 0.5))

    assert [
        ("gan", "ai", 3, 1.0),
        ("sd", "ai", 1, 0.0),
        ("camera", "real", 2, 0.0),
        ("phone", "real", 1, 1.0),
        ("sd", "real", 1, 1.0),
    ] == [(row.source, row.kind, row.images, row.flagged) for row in rows]
    assert all(row.low <= row.flagged <= row.high for row in rows)
    sample = eight()
    camera = sample.scores[sample.sources == "camera"]
    ai = sample.scores[sample.labels == 1]
    assert np.mean(ai[:, None] > camera[None]) == rows[2].roc_auc
    assert ["FAKE/gan", "3", "1.000"] == source_table(rows).splitlines()[2].split()[:3]


def test_a_source_has_both_levels() -> None:
    """Two of three GAN images are `ai` from 0.6 on, all three at least `unsure` from 0.4 on."""
    (gan, *_) = source_figures(eight(), Thresholds(0.4, 0.6))

    assert (2 / 3, 1.0) == (gan.flagged, gan.at_least_unsure)


def test_images_without_sources_have_no_rows() -> None:
    """Folders that name only the class give no table."""
    sample = eight()
    nameless = ScoredImages("eight", sample.scores, sample.labels, np.array([""] * 8))

    assert "" == source_table(source_figures(nameless, Thresholds(0.5, 0.5)))
