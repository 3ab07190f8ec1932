"""Plans: told apart by what changes verdicts, and refused where they cannot be followed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from workers.detectors.card import Card, Model, Thresholds
from workers.pipeline import plan as plans
from workers.pipeline.plan import (
    Plan,
    PlanError,
    PlannedDetector,
    make_plan,
    plan_from,
    require_same,
)

NET = PlannedDetector("tiny-net", "1", "ab" * 32, 0.5, 0.9)
PLAN = Plan((NET,))


def card(name: str, version: str = "1", sha256: str = "ab" * 32) -> Card:
    """A card with a model of that checksum."""
    model = Model(f"{name}.tflite", sha256, 1, 1, "LiteRT")
    return Card(name, version, "", Thresholds(0.5, 0.9), (), model=model)


def test_digest_is_that_of_the_body() -> None:
    """The digest is the head of the SHA-256 of the body as JSON, sorted and without blanks."""
    body = (
        '{"detectors":[{"name":"tiny-net","sha256":"' + "ab" * 32 + '",'
        '"thresholds":{"ai":0.9,"unsure":0.5},"version":"1"}],"rules":3}'
    )

    assert hashlib.sha256(body.encode()).hexdigest()[:16] == PLAN.digest()


@pytest.mark.parametrize(
    "other",
    [
        replace(NET, name="other"),
        replace(NET, version="2"),
        replace(NET, sha256="ac" * 32),
        replace(NET, unsure=0.51),
        replace(NET, ai=0.91),
        replace(NET, strong=True),
    ],
)
def test_digest_of_another_plan(other: PlannedDetector) -> None:
    """Another name, version, model or threshold is another plan."""
    assert Plan((other,)).digest() != PLAN.digest()


def test_digest_of_other_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verdicts that were reached by other rules are those of another plan."""
    before = PLAN.digest()
    monkeypatch.setattr(plans, "RULES_VERSION", 4)

    assert before != PLAN.digest()


def test_round_trip() -> None:
    """A plan comes out of the store and off the queue as it went in, digest and all."""
    there = plan_from(json.loads(json.dumps(PLAN.body())))

    assert PLAN == there
    assert PLAN.digest() == there.digest()


def test_other_rules_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan of other rules is refused with what to do about it."""
    body = PLAN.body()
    monkeypatch.setattr(plans, "RULES_VERSION", 4)

    with pytest.raises(PlanError, match=r"rules 3, here 4\): upgrade"):
        plan_from(body)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"rules": 1},
        {"rules": 1, "detectors": None},
        {"rules": 1, "detectors": [None]},
        {"rules": 1, "detectors": [{"name": "x"}]},
        {"rules": 1, "detectors": ["abc"]},
    ],
    ids=repr,
)
def test_what_is_no_plan(body: object) -> None:
    """Anything of another shape is a PlanError."""
    with pytest.raises(PlanError):
        plan_from(body)  # type: ignore[arg-type]


def test_all_detectors_in_a_stable_order() -> None:
    """Without names a plan has every detector; how they are ordered or repeated is all one."""
    cards = {"b": card("b"), "a": card("a")}
    whole = make_plan(cards)

    assert ["a", "b"] == [detector.name for detector in whole.detectors]
    assert whole == make_plan(dict(reversed(cards.items())), ["b", "a", "b"])
    assert frozenset({"a", "b"}) == whole.names()


def test_some_detectors() -> None:
    """A plan has the named detectors as their cards describe them."""
    assert Plan((replace(NET, name="b"),)) == make_plan({"b": card("b"), "a": card("a")}, ["b"])


def test_unknown_detector() -> None:
    """A name that is no detector's is refused with those that there are."""
    with pytest.raises(PlanError, match="no detector called z: choose from a, b"):
        make_plan({"b": card("b"), "a": card("a")}, ["a", "z"])


def test_same_detectors_are_here() -> None:
    """A machine with more detectors than the plan asks for can follow it."""
    require_same(PLAN, {"tiny-net": card("tiny-net"), "other": card("other")})


@pytest.mark.parametrize(
    ("here", "said"),
    [
        ({}, "has none"),
        ({"tiny-net": card("tiny-net", version="2")}, "has version 2"),
        ({"tiny-net": card("tiny-net", sha256="ac" * 32)}, "acacacacacac"),
    ],
    ids=["none", "version", "checksum"],
)
def test_other_detectors_are_here(here: dict[str, Card], said: str) -> None:
    """A machine without the very detectors of the plan says what it has instead."""
    with pytest.raises(PlanError, match=said):
        require_same(PLAN, here)


def test_a_strong_detector() -> None:
    """It is asked after the others: their plan is without it, and keeps its digest."""
    plan = Plan((NET, replace(NET, name="clip", strong=True)))
    there = plan_from(json.loads(json.dumps(plan.body())))

    assert plan == there
    assert "clip" == there.strong
    assert PLAN == there.routed()
    assert PLAN.digest() == there.routed().digest()
    assert PLAN.strong is None


def test_one_strong_detector() -> None:
    """Nobody says which of two would have the last word."""
    plan = Plan((replace(NET, strong=True), replace(NET, name="clip", strong=True)))

    with pytest.raises(PlanError):
        plan_from(plan.body())


def test_made_with_a_strong_detector() -> None:
    """The one that is named is strong, among those that are named or all there are."""
    cards = {name: card(name) for name in ("a", "b", "clip")}

    assert {"a": False, "clip": True} == {
        one.name: one.strong for one in make_plan(cards, ["a"], "clip").detectors
    }
    assert "clip" == make_plan(cards, (), "clip").strong
