"""What a scan looks for and how strictly: the detectors and thresholds behind its verdicts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workers.detectors import custom

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workers.detectors.card import Card

# Raised when `decide` or `route` judge otherwise than before: old verdicts are then not kept.
RULES_VERSION = 3


class PlanError(Exception):
    """The plan asks for what is not here; the message says what and where to get it."""


class NewerRules(PlanError):
    """The plan is of a later version of scanner; a machine that has that can go by it."""


@dataclass(frozen=True, slots=True)
class PlannedDetector:
    """A detector as a plan fixes it: scores from `unsure` up are doubtful, from `ai` up AI-made.

    One that is `strong` is asked only about what the others leave doubtful.
    """

    name: str
    version: str
    sha256: str
    unsure: float
    ai: float
    strong: bool = False

    @property
    def is_added(self) -> bool:
        """Whether it was added by a user: an upgrade brings it to no other machine."""
        return self.version.startswith(custom.VERSION)


@dataclass(frozen=True, slots=True)
class Plan:
    """The detectors of a scan; two plans of the same digest give the same verdicts."""

    detectors: tuple[PlannedDetector, ...]

    def names(self) -> frozenset[str]:
        """The names of the detectors that may speak."""
        return frozenset(detector.name for detector in self.detectors)

    @property
    def strong(self) -> str | None:
        """The name of the detector that gives second opinions, if the plan has one."""
        return next((detector.name for detector in self.detectors if detector.strong), None)

    def routed(self) -> Plan:
        """The plan of an image's first look: without the strong detector."""
        return Plan(tuple(detector for detector in self.detectors if not detector.strong))

    def body(self) -> dict[str, Any]:
        """As it is stored and sent."""
        return {
            "rules": RULES_VERSION,
            "detectors": [
                {
                    "name": detector.name,
                    "version": detector.version,
                    "sha256": detector.sha256,
                    "thresholds": {"unsure": detector.unsure, "ai": detector.ai},
                    # Said of a strong one only: the digests of other plans are what they were.
                    **({"strong": True} if detector.strong else {}),
                }
                for detector in self.detectors
            ],
        }

    def digest(self) -> str:
        """The first 16 hex digits of the SHA-256 of the body."""
        canonical = json.dumps(self.body(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def plan_from(body: Mapping[str, Any]) -> Plan:
    """A plan from its body; PlanError where that is none, or of rules that we do not know."""
    try:
        rules = body["rules"]
        if rules != RULES_VERSION:
            is_newer = isinstance(rules, int) and rules > RULES_VERSION
            raise (NewerRules if is_newer else PlanError)(
                f"The scan was planned by another version of scanner (rules {rules!r}, "
                f"here {RULES_VERSION}): upgrade the older machine"
            )
        plan = Plan(tuple(_planned(one) for one in body["detectors"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PlanError(f"This is no plan of a scan: {str(error)[:200]}") from error
    if sum(detector.strong for detector in plan.detectors) > 1:
        raise PlanError("This is no plan of a scan: it has several strong detectors")
    return plan


def _planned(one: Mapping[str, Any]) -> PlannedDetector:
    return PlannedDetector(
        _text(one["name"]),
        _text(one["version"]),
        _text(one["sha256"]),
        _threshold(one["thresholds"]["unsure"]),
        _threshold(one["thresholds"]["ai"]),
        one.get("strong") is True,
    )


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise TypeError("a detector's name, version and checksum are text")
    return raw


def _threshold(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)) or not 0 <= raw <= 1:
        raise ValueError("a threshold is a probability")
    return float(raw)


def make_plan(
    cards: Mapping[str, Card], names: Iterable[str] = (), strong: str | None = None
) -> Plan:
    """The plan with these detectors, or with all there are, and a strong one if it is named."""
    wanted = sorted({*(names or cards), *([] if strong is None else [strong])})
    unknown = [name for name in wanted if name not in cards]
    if unknown:
        raise PlanError(
            f"There is no detector called {', '.join(unknown)}: "
            f"choose from {', '.join(sorted(cards))}"
        )
    return Plan(
        tuple(
            PlannedDetector(
                card.name,
                card.version,
                card.sha256,
                card.thresholds.unsure,
                card.thresholds.ai,
                card.name == strong,
            )
            for card in (cards[name] for name in wanted)
        )
    )


def require_same(plan: Plan, cards: Mapping[str, Card]) -> None:
    """Make sure that this machine has the very detectors of the plan."""
    for planned in plan.detectors:
        card = cards.get(planned.name)
        if card is None or (card.version, card.sha256) != (planned.version, planned.sha256):
            here = "none" if card is None else f"version {card.version} ({card.sha256[:12]})"
            mend = "upgrade the older machine"
            if planned.is_added:
                place = custom.card_file(planned.name).parent
                mend = (
                    f"it was added by `scanner detectors` where the scan was planned, so copy its "
                    f"folder {planned.name} from there to {place}"
                )
            raise PlanError(
                f"The scan asks for {planned.name} version {planned.version} "
                f"({planned.sha256[:12]}), this machine has {here}: {mend}"
            )
