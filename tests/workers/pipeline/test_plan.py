"""Plans: distinguished by what changes verdicts, refused where they cannot be followed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from storage.records import Plan, PlanError, PlannedDetector, Thresholds
from workers.detectors.card import Card, Model
from workers.detectors.card import Thresholds as CardThresholds
from workers.pipeline.plan import NewerRules, make_plan, require_rules, require_same

NET = PlannedDetector("tiny-net", "1", "ab" * 32, Thresholds(0.5, 0.9))
PLAN = Plan((NET,))


def card(name: str, version: str = "1", sha256: str = "ab" * 32) -> Card:
    """Return a card with a model of this checksum."""
    model = Model(f"{name}.tflite", sha256, 1, 1, "LiteRT")
    return Card(name, version, "", CardThresholds(0.5, 0.9), (), model=model)


def test_digest_is_the_hash_of_the_body() -> None:
    """The digest is the start of the SHA-256 of the body as JSON, sorted and without blanks."""
    body = (
        '{"detectors":[{"name":"tiny-net","sha256":"' + "ab" * 32 + '",'
        '"thresholds":{"ai":0.9,"unsure":0.5},"version":"1"}],"rules":5}'
    )

    assert hashlib.sha256(body.encode()).hexdigest()[:16] == PLAN.digest()


@pytest.mark.parametrize(
    "other",
    [
        replace(NET, name="other"),
        replace(NET, version="2"),
        replace(NET, sha256="ac" * 32),
        replace(NET, thresholds=Thresholds(0.51, 0.9)),
        replace(NET, thresholds=Thresholds(0.5, 0.91)),
    ],
)
def test_digest_of_another_plan(other: PlannedDetector) -> None:
    """Another name, version, model or threshold is another plan."""
    assert Plan((other,)).digest() != PLAN.digest()


def test_digest_of_other_rules() -> None:
    """Other rules give another digest."""
    assert replace(PLAN, rules=6).digest() != PLAN.digest()


def test_round_trip() -> None:
    """A plan is unchanged after the store and the queue, including its digest."""
    there = Plan.from_json(json.loads(json.dumps(PLAN.to_json())))

    assert PLAN == there
    assert PLAN.digest() == there.digest()


def test_other_rules_are_refused() -> None:
    """A plan of other rules is read, but refused with what to do about it."""
    older = replace(PLAN, rules=2)

    assert older == Plan.from_json(older.to_json())
    with pytest.raises(PlanError, match=r"rules 2, here 5\): upgrade"):
        require_rules(older.rules)
    with pytest.raises(NewerRules, match=r"rules 6, here 5\): upgrade"):
        require_rules(6)


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
def test_malformed_plans_are_refused(body: object) -> None:
    """Anything of another shape is a PlanError."""
    with pytest.raises(PlanError):
        Plan.from_json(body)  # type: ignore[arg-type]


def test_all_detectors_in_a_stable_order() -> None:
    """Without names a plan has every detector; order and repetition do not matter."""
    cards = {"b": card("b"), "a": card("a")}
    whole = make_plan(cards)

    assert ["a", "b"] == [detector.name for detector in whole.detectors]
    assert whole == make_plan(dict(reversed(cards.items())), ["b", "a", "b"])
    assert frozenset({"a", "b"}) == whole.names()


def test_some_detectors() -> None:
    """A plan has the named detectors as their cards describe them."""
    assert Plan((replace(NET, name="b"),)) == make_plan({"b": card("b"), "a": card("a")}, ["b"])


def test_unknown_detector() -> None:
    """An unknown name is refused with the list of known ones."""
    with pytest.raises(PlanError, match="no detector called z: choose from a, b"):
        make_plan({"b": card("b"), "a": card("a")}, ["a", "z"])


def test_machines_with_more_detectors_can_follow_a_plan() -> None:
    """Additional detectors do not matter."""
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
def test_machines_with_other_detectors_cannot_follow_a_plan(
    here: dict[str, Card], said: str
) -> None:
    """The error says which detector the machine has instead."""
    with pytest.raises(PlanError, match=said):
        require_same(PLAN, here)


def test_a_plan_with_a_second_stage_is_refused() -> None:
    """A plan of earlier versions with a second stage is refused with one sentence."""
    body = PLAN.to_json()
    body["detectors"].append(replace(NET, name="clip").to_json() | {"strong": True})

    with pytest.raises(PlanError, match=r"^invalid plan: .*second stage.*: start a new scan$"):
        Plan.from_json(body)
