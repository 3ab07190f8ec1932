"""Thresholds of one's own: set by photos that their user knows to be real, kept in a file.

They hold for one model only: an upgraded detector goes by its card again, until it is calibrated.
"""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scanner.config import config_file
from scanner.processes.atomic_write import atomic_write
from storage.records import NEVER, Thresholds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from storage.records import Plan, PlannedDetector

# The share of cases in which the true rate of false alarms is below the one that is asked for.
CERTAINTY = 0.95


class ThresholdError(Exception):
    """The file of thresholds cannot be used; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Own:
    """One detector's thresholds, for the model of that checksum."""

    sha256: str
    unsure: float
    ai: float

    @property
    def thresholds(self) -> Thresholds:
        """Return them as a plan has them."""
        return Thresholds(self.unsure, self.ai)


def file() -> Path:
    """Where they are kept, beside the config file."""
    return config_file().with_name("thresholds.toml")


def kept() -> dict[str, Own]:
    """Give them by the detector's name; ThresholdError for a damaged file."""
    try:
        table = tomllib.loads(file().read_text(encoding="utf-8"))
        return {
            name: Own(str(one["sha256"]), _probability(one["unsure"]), _probability(one["ai"]))
            for name, one in table.items()
        }
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ThresholdError(f"{file()} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise ThresholdError(
            f"{file()} is damaged ({error}): `scanner calibrate --forget` removes it"
        ) from error


def keep(thresholds: Mapping[str, Own]) -> None:
    """Write them, in place of all that were kept before; ThresholdError where that cannot be."""
    lines = [
        "# Written by `scanner calibrate`; `scanner calibrate --forget` goes back to the cards."
    ]
    for name, own in sorted(thresholds.items()):
        lines += ["", f"[{json.dumps(name)}]", f'sha256 = "{own.sha256}"']
        lines += [f"unsure = {own.unsure!r}", f"ai = {own.ai!r}"]
    try:
        file().parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file()) as made:
            made.write(("\n".join(lines) + "\n").encode())
    except OSError as error:
        raise ThresholdError(f"{file()} cannot be written: {error.strerror}") from error


def with_own(plan: Plan) -> Plan:
    """The plan with one's own thresholds, for those of its models that they were set for."""
    own = kept()
    return replace(
        plan,
        detectors=tuple(
            replace(one, thresholds=own[one.name].thresholds)
            if one.name in own and own[one.name].sha256 == one.sha256
            else one
            for one in plan.detectors
        ),
    )


def own_for(planned: PlannedDetector, at: float) -> Own:
    """Thresholds by which a real photo that scores under `at` raises no alarm.

    A detector that calls nothing AI-made goes on so: its alarms are the doubtful ones. Nothing is
    called AI that is more probably real.
    """
    if planned.thresholds.ai >= NEVER:
        return Own(planned.sha256, at, NEVER)
    unsure = planned.thresholds.unsure
    return Own(planned.sha256, unsure, max(at, unsure))


def allowed(photos: int, rate: float) -> int | None:
    """How many of so many real photos may raise an alarm for the rate to be as certain as it is.

    The largest count that would be seen, or a smaller one, in at most 1 - CERTAINTY of cases were
    the true rate `rate` (Clopper and Pearson 1934, one-sided); None where none would do.
    """
    if photos == 0 or rate >= 1:
        return None
    # In logarithms: the chance of no alarm among many photos is smaller than any float.
    chance = photos * math.log1p(-rate)
    odds = math.log(rate) - math.log1p(-rate)
    total, alarms = math.exp(chance), -1
    while total <= 1 - CERTAINTY:
        alarms += 1
        chance += math.log((photos - alarms) / (alarms + 1)) + odds
        total += math.exp(chance)
    return alarms if alarms >= 0 else None


def least_photos(rate: float) -> int:
    """How many photos without a single alarm it takes to be certain of a rate."""
    return math.ceil(math.log(1 - CERTAINTY) / math.log1p(-rate))


def threshold(scores: Sequence[float], alarms: int) -> float:
    """The lowest threshold that at most so many of the scores reach; 1.0 where none would do."""
    highest = sorted(scores, reverse=True)
    return min(math.nextafter(highest[alarms], 2.0), 1.0) if alarms < len(highest) else 0.0


def _probability(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)) or not 0 <= raw <= 1:
        raise ValueError(f"{raw!r} is no probability")
    return float(raw)
