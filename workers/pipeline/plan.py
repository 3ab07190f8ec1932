"""Making plans from the detectors installed here, and checking that a plan can be followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.records import RULES_VERSION, Plan, PlanError, PlannedDetector, Thresholds
from workers.detectors import custom
from workers.provenance import trust_lists

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workers.detectors.card import Card


class NewerRules(PlanError):
    """A later version of scanner made the plan; a machine that has it can follow the plan."""


def require_rules(rules: object) -> None:
    """Make sure that this version judges by the rules of a plan; NewerRules or PlanError if not."""
    if rules != RULES_VERSION:
        is_newer = isinstance(rules, int) and rules > RULES_VERSION
        raise (NewerRules if is_newer else PlanError)(
            f"The scan was planned by another version of scanner (rules {rules!r}, "
            f"here {RULES_VERSION}): upgrade the older machine"
        )


def make_plan(cards: Mapping[str, Card], names: Iterable[str] = ()) -> Plan:
    """Make a plan with these detectors, or all of them; PlanError for a name that none has."""
    wanted = sorted({*(names or cards)})
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
                Thresholds(card.thresholds.unsure, card.thresholds.ai),
            )
            for card in (cards[name] for name in wanted)
        )
    )


def require_same(plan: Plan, cards: Mapping[str, Card]) -> None:
    """Make sure that this machine has exactly the detectors of a plan; PlanError if not."""
    for planned in plan.detectors:
        card = cards.get(planned.name)
        if card is None or (card.version, card.sha256) != (planned.version, planned.sha256):
            here = "none" if card is None else f"version {card.version} ({card.sha256[:12]})"
            fix = "upgrade the older machine"
            if card is not None and _differ_in_lists(planned.version, card.version):
                fix = (
                    "C2PA trust lists were taken over by `scanner detectors trust` on one of them, "
                    f"so make {trust_lists.folder()} here as it is where the scan was planned"
                )
            # A custom detector: an upgrade brings it to no other machine.
            if planned.version.startswith(custom.VERSION):
                place = custom.card_file(planned.name).parent
                fix = (
                    f"it was added by `scanner detectors` where the scan was planned, so copy its "
                    f"folder {planned.name} from there to {place}"
                )
            raise PlanError(
                f"The scan asks for {planned.name} version {planned.version} "
                f"({planned.sha256[:12]}), this machine has {here}: {fix}"
            )


def _differ_in_lists(planned: str, here: str) -> bool:
    """Check whether two versions of a detector differ by the trust lists of a user alone."""
    plain = {version.partition(trust_lists.VERSION_SEPARATOR)[0] for version in (planned, here)}
    return planned != here and len(plain) == 1
