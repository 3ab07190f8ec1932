"""Why an image has its verdict, in words."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from scanner.report.figures.certainty import certainty
from scanner.report.text.why import reason, score_reason, short_reason, why
from storage.records import (
    ErrorKind,
    Finding,
    ImageError,
    Outcome,
    Thresholds,
    Timings,
    Verdict,
)

THRESHOLDS = {
    "provenance": Thresholds(0.5, 0.9),
    "faces": Thresholds(0.5, 0.958),
    "scenes": Thresholds(0.883, 1.0),
}
FIRST = Finding("faces", "score", 0.1, "", {"box": [0, 0, 90, 90]})
FACE = Finding("faces", "score", 0.99, "", {"box": [100, 0, 190, 90]})
TAG = Finding("provenance", "generator_tag", 0.98, "", {"generator": "ComfyUI"})
CROPS = Finding("scenes", "score", 0.912, "", {"crops": 5})
RESIZED = Finding("faces", "score", 0.97, "", {"resized_from": [64, 64]})
DEGRADED = Finding("router", "degraded")


def verdict(outcome: Outcome, decided: Finding, *others: Finding) -> Verdict:
    """Return a verdict by a finding, which comes after the others."""
    findings = (*others, decided)
    return Verdict(
        1, outcome, decided.score, decided.detector, True, findings, None, None, Timings()
    )


@pytest.mark.parametrize(
    ("judged", "said", "short"),
    [
        (
            verdict(Outcome.AI, FACE, FIRST),
            "0.990, above the 0.958 at which faces says AI; the face in box 2",
            "faces, AI from 0.958, box 2",
        ),
        (
            verdict(Outcome.UNSURE, CROPS),
            "0.912, above the 0.883 at which scenes says unsure; 5 crops together",
            "scenes, unsure from 0.883",
        ),
        (
            verdict(Outcome.UNSURE, RESIZED),
            "0.970, above the 0.958 at which faces says AI; resized, so unsure at most",
            "faces, AI from 0.958, resized, so unsure at most",
        ),
        (
            verdict(Outcome.UNSURE, CROPS, DEGRADED),
            (
                "0.912, above the 0.883 at which scenes says unsure; 5 crops together; "
                "degraded, so unsure at most"
            ),
            "scenes, unsure from 0.883, degraded, so unsure at most",
        ),
        (verdict(Outcome.AI, TAG), "0.980: tag of ComfyUI", "tag of ComfyUI"),
        (
            verdict(Outcome.AI, replace(TAG, detail={**TAG.detail, "sidecar": "a.txt"})),
            "0.980: tag of ComfyUI, in the sidecar a.txt",
            "tag of ComfyUI, in the sidecar a.txt",
        ),
        (
            verdict(Outcome.NO_EVIDENCE, FIRST),
            "0.100, below the 0.500 at which faces says unsure; the face in box 1",
            "faces, box 1",
        ),
    ],
)
def test_reasons(judged: Verdict, said: str, short: str) -> None:
    """A reason has the score, the threshold that it met, where it was, and what limits it."""
    assert said == why(judged, THRESHOLDS)
    assert short == short_reason(judged, THRESHOLDS)


def test_metadata_heads_a_verdict_that_it_settles() -> None:
    """A tag comes before a higher score of a model, in the words and in the order."""
    both, by_model = verdict(Outcome.AI, FACE, TAG), verdict(Outcome.AI, FACE)
    unsure = verdict(Outcome.UNSURE, CROPS)

    assert "tag of ComfyUI" == short_reason(both, THRESHOLDS)
    ordered = sorted((unsure, by_model, both), key=lambda one: certainty(one, THRESHOLDS))
    assert [unsure, by_model, both] == ordered


def test_moved_thresholds_are_told() -> None:
    """Where a camera's metadata makes a detector stricter, the stricter threshold is given."""
    camera = Finding("context", "camera", None, "", {"likelihood_ratio": 0.5})
    said = why(verdict(Outcome.UNSURE, Finding("faces", "score", 0.97), camera), THRESHOLDS)

    # Odds of 1 by a ratio of 0.5: the odds of 2 in 3.
    assert said == (
        "0.970, above the 0.667 at which faces says unsure after a camera's metadata moved its "
        "thresholds"
    )


def test_a_threshold_that_is_just_met() -> None:
    """A score that reads as its threshold is at it, not above."""
    said = why(verdict(Outcome.AI, Finding("faces", "score", 0.9583)), THRESHOLDS)

    assert "0.958, at the 0.958 at which faces says AI" == said


def test_each_score_has_the_threshold_it_met() -> None:
    """Those of metadata too, which context does not move; a finding without a score has none."""
    around = Finding("context", "generator_size", None, "", {"likelihood_ratio": 4.0})
    judged = verdict(Outcome.AI, TAG, around, CROPS)
    said = [score_reason(judged, THRESHOLDS, finding) for finding in judged.findings]

    assert "" == said[0]
    assert said[1].endswith("size of a generator moved its thresholds; 5 crops together")
    assert "0.980, above the 0.900 at which provenance says AI" == said[2]


def test_a_reason_names_the_limit_that_counts() -> None:
    """An invalid signature limits; a degraded image does not limit what reaches no threshold."""
    forged = Finding("provenance", "c2pa_generated", 0.6, detail={"signature": "invalid"})
    said = "0.600: C2PA: AI-generated; its signature is invalid, so unsure at most"
    unsure = verdict(Outcome.UNSURE, forged)
    camera = Finding("context", "camera_in_part", None, "", {"likelihood_ratio": 0.5})
    nothing = replace(CROPS, score=0.205)
    below = verdict(Outcome.NO_EVIDENCE, nothing, camera, DEGRADED)

    assert said == why(unsure, THRESHOLDS) == reason(unsure, THRESHOLDS)
    assert "signature" not in why(verdict(Outcome.AI, forged), THRESHOLDS)
    assert "at most" not in why(below, THRESHOLDS)
    assert "moved its thresholds; 5 crops together" in why(below, THRESHOLDS)
    assert re.fullmatch(
        r"0\.205, below the 0\.\d{3} at which scenes says unsure", reason(below, THRESHOLDS)
    )


def test_a_row_says_what_it_has() -> None:
    """Of a row without a score it is the error, or the reasons why nothing was examined."""
    graphic = Finding("router", "out_of_domain", None, "a drawing")
    unseen = Verdict(1, Outcome.NO_EVIDENCE, None, None, False, (graphic,), None, None, Timings())
    damaged = Verdict.of_error(1, ImageError(ErrorKind.DAMAGED, "its end is missing"))

    assert "" == reason(None, THRESHOLDS)
    assert "damaged" == reason(damaged, THRESHOLDS)
    assert (
        "not examined: looks like a drawing, icon, page or other graphic, not a photograph"
        == reason(unseen, THRESHOLDS)
    )
    assert "not examined" == reason(replace(unseen, findings=()), THRESHOLDS)
    assert "0.980: tag of ComfyUI" == reason(verdict(Outcome.AI, FACE, TAG), THRESHOLDS)
