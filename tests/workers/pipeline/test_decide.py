"""Deciding: the level first, then the score; absence of evidence decides nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.records import NEVER, Finding, Outcome, Plan, PlannedDetector, Thresholds
from workers.pipeline.decide import Decision, DecisionRule

# The net is trusted late, provenance early: the same score is of different levels.
JUDGE = DecisionRule(
    Plan(
        (
            PlannedDetector("net", "1", "", Thresholds(0.6, 0.9)),
            PlannedDetector("provenance", "1", "", Thresholds(0.3, 0.5)),
            PlannedDetector("file_names", "1", "", Thresholds(0.5, NEVER)),
        )
    )
)
SCORED = st.builds(
    Finding, st.sampled_from(["net", "provenance"]), st.just("score"), st.floats(0, 1)
)


def net(score: float | None) -> Finding:
    """Return a finding of the image model."""
    return Finding("net", "score", score)


def tag(score: float | None) -> Finding:
    """Return a finding of metadata."""
    return Finding("provenance", "generator_tag", score)


def name(score: float | None) -> Finding:
    """Return a finding on the file's name."""
    return Finding("file_names", "file_name", score)


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([], (Outcome.NO_EVIDENCE, None, None, False)),
        ([net(0.0)], (Outcome.NO_EVIDENCE, 0.0, "net", True)),
        ([net(0.5999)], (Outcome.NO_EVIDENCE, 0.5999, "net", True)),
        ([net(0.6)], (Outcome.UNSURE, 0.6, "net", True)),
        ([net(0.8999)], (Outcome.UNSURE, 0.8999, "net", True)),
        ([net(0.9)], (Outcome.AI, 0.9, "net", True)),
        ([tag(0.3)], (Outcome.UNSURE, 0.3, "provenance", False)),
        ([tag(0.5)], (Outcome.AI, 0.5, "provenance", False)),
        ([name(0.5)], (Outcome.UNSURE, 0.5, "file_names", False)),
        ([name(1.0)], (Outcome.UNSURE, 1.0, "file_names", False)),
        ([name(0.5), net(0.1)], (Outcome.UNSURE, 0.5, "file_names", True)),
    ],
)
def test_thresholds(findings: list[Finding], expected: tuple[object, ...]) -> None:
    """A score equal to a threshold reaches it; provenance alone does not examine pixels."""
    assert Decision(*expected) == JUDGE.decide(findings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        # 0.55 is `ai` for provenance, the net's higher 0.85 only `unsure`.
        ([tag(0.55), net(0.85)], (Outcome.AI, 0.55, "provenance", True)),
        # A tag that says little does not weaken a net that is sure.
        ([tag(0.35), net(0.95)], (Outcome.AI, 0.95, "net", True)),
        # A net that sees nothing does not weaken a tag.
        ([tag(0.98), net(0.01)], (Outcome.AI, 0.98, "provenance", True)),
        # At one level the higher score decides,
        ([tag(0.92), net(0.97)], (Outcome.AI, 0.97, "net", True)),
        # also among several findings of one detector.
        ([tag(0.6), tag(0.98), tag(0.7)], (Outcome.AI, 0.98, "provenance", False)),
    ],
)
def test_conflicts(findings: list[Finding], expected: tuple[object, ...]) -> None:
    """The highest level decides, and within it the highest score, in any order."""
    wanted = Decision(*expected)  # type: ignore[arg-type]

    assert wanted == JUDGE.decide(findings)
    assert wanted == JUDGE.decide(findings[::-1])


def test_findings_without_a_score() -> None:
    """A finding without a score decides nothing and examines nothing."""
    said = [Finding("router", "no_detector"), tag(None), net(None)]

    assert Decision(Outcome.NO_EVIDENCE, None, None, False) == JUDGE.decide(said)


@given(st.lists(SCORED), SCORED)
def test_more_evidence_never_weakens(findings: list[Finding], more: Finding) -> None:
    """Another finding never lowers the outcome."""
    rising = [Outcome.NO_EVIDENCE, Outcome.UNSURE, Outcome.AI]
    before, after = JUDGE.decide(findings), JUDGE.decide([*findings, more])

    assert rising.index(before.outcome) <= rising.index(after.outcome)


def test_degraded_images_are_unsure_at_most() -> None:
    """Scores of degraded pixels reach `unsure` at most; findings of metadata still count."""
    worn = Finding("router", "degraded", None, "saved at so low a quality")

    assert Decision(Outcome.UNSURE, 1.0, "net", True) == JUDGE.decide([net(1.0), worn])
    assert Outcome.AI == JUDGE.decide([net(1.0), worn, tag(0.9)]).outcome


def test_previews_in_raw_files_are_unsure_at_most() -> None:
    """Cards were measured on images, not on what a camera makes of them for its screen."""
    preview = Finding("router", "preview", None, "only the preview was examined")

    assert Decision(Outcome.UNSURE, 1.0, "net", True) == JUDGE.decide([net(1.0), preview])
    assert Outcome.AI == JUDGE.decide([net(1.0), preview, tag(0.9)]).outcome


def test_a_detector_that_never_says_ai() -> None:
    """With the threshold 1.0 no score is called AI."""
    judge = DecisionRule(Plan((PlannedDetector("net", "1", "", Thresholds(0.6, 1.0)),)))

    assert Outcome.UNSURE == judge.decide([net(1.0)]).outcome


@given(findings=st.lists(SCORED), ratio=st.floats(0.01, 100))
def test_context_moves_only_the_thresholds_of_models(findings: list[Finding], ratio: float) -> None:
    """Context alone decides nothing; it moves models in its direction, and metadata not at all."""
    context = Finding("context", "camera", None, "", {"likelihood_ratio": ratio})
    assert JUDGE.decide([context]) == JUDGE.decide([])
    of_metadata = [finding for finding in findings if finding.detector == "provenance"]
    assert JUDGE.decide([context, *of_metadata]) == JUDGE.decide(of_metadata)
    levels = list(Outcome)[:3]
    before = levels.index(JUDGE.decide(findings).outcome)
    after = levels.index(JUDGE.decide([*findings, context]).outcome)
    # AI is the first outcome, no evidence the last.
    assert after <= before if ratio >= 1 else after >= before


def test_moved_thresholds() -> None:
    """Odds of 9 to 1 become odds of 18 to 1 where a real image is twice as likely; never stays."""
    moved = Thresholds(0.5, 1.0).moved(0.5)
    assert moved.unsure == pytest.approx(2 / 3)
    assert moved.ai == 1.0
    assert Thresholds(0.5, 0.9).moved(0.5).ai == pytest.approx(18 / 19)
