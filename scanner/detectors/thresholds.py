"""Custom thresholds, calibrated on photos that the user knows to be real, kept in a file.

Thresholds hold for one model only: an upgraded detector uses those of its card, until it is
calibrated again.
"""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scanner.config import config_file
from scanner.processes.atomic_write import atomic_write
from storage.errors import ScannerError
from storage.private import make_private_folder
from storage.records import NEVER, Thresholds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from storage.records import Plan, PlannedDetector

# The probability that the true false-positive rate is below the requested one.
CONFIDENCE = 0.95


class ThresholdError(ScannerError):
    """The file of thresholds cannot be read or written."""


@dataclass(frozen=True, slots=True)
class CustomThresholds:
    """One detector's thresholds, for the model with this checksum."""

    sha256: str
    unsure: float
    ai: float

    @property
    def thresholds(self) -> Thresholds:
        """Return them as a plan has them."""
        return Thresholds(self.unsure, self.ai)


def thresholds_file() -> Path:
    """Return the path of the file, next to the config file."""
    return config_file().with_name("thresholds.toml")


def read_thresholds() -> dict[str, CustomThresholds]:
    """Return the custom thresholds by detector; raise ThresholdError for a damaged file."""
    file = thresholds_file()
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
        return {
            name: CustomThresholds(
                str(table["sha256"]), _probability(table["unsure"]), _probability(table["ai"])
            )
            for name, table in tables.items()
        }
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ThresholdError(f"{file} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise ThresholdError(
            f"{file} is damaged ({error}): `scanner calibrate --forget` removes it"
        ) from error


def write_thresholds(thresholds: Mapping[str, CustomThresholds]) -> None:
    """Replace the file by these thresholds; raise ThresholdError where it cannot be written."""
    file = thresholds_file()
    lines = [
        "# Written by `scanner calibrate`; `scanner calibrate --forget` goes back to the cards."
    ]
    for name, custom in sorted(thresholds.items()):
        lines += ["", f"[{json.dumps(name)}]", f'sha256 = "{custom.sha256}"']
        lines += [f"unsure = {custom.unsure!r}", f"ai = {custom.ai!r}"]
    try:
        make_private_folder(file.parent)
        with atomic_write(file) as stream:
            stream.write(("\n".join(lines) + "\n").encode())
    except OSError as error:
        raise ThresholdError(f"{file} cannot be written: {error.strerror}") from error


def with_custom(plan: Plan) -> Plan:
    """Return the plan with the custom thresholds of those of its models that they were set for."""
    custom = read_thresholds()
    return replace(plan, detectors=tuple(_customised(each, custom) for each in plan.detectors))


def _customised(
    detector: PlannedDetector, thresholds: Mapping[str, CustomThresholds]
) -> PlannedDetector:
    custom = thresholds.get(detector.name)
    if custom is None or custom.sha256 != detector.sha256:
        return detector
    return replace(detector, thresholds=custom.thresholds)


def custom_for(planned: PlannedDetector, threshold: float) -> CustomThresholds:
    """Return thresholds by which a real photo that scores below `threshold` is not flagged.

    A detector that never returns `ai` still never does: it flags by `unsure`. The threshold of
    `ai` does not fall below the card's of `unsure`.
    """
    if planned.thresholds.ai >= NEVER:
        return CustomThresholds(planned.sha256, threshold, NEVER)
    unsure = planned.thresholds.unsure
    return CustomThresholds(planned.sha256, unsure, max(threshold, unsure))


def allowed_false_positives(photos: int, rate: float) -> int | None:
    """Return how many of so many real photos may be flagged for a rate to be reached for certain.

    The largest count that would be seen, or a smaller one, with a probability of at most
    1 - CONFIDENCE if the true rate were `rate` (Clopper and Pearson 1934, one-sided); None where
    there is none.
    """
    if photos == 0 or rate >= 1:
        return None
    # In logarithms: the chance of no false positive among many photos is smaller than any float.
    chance = photos * math.log1p(-rate)
    odds = math.log(rate) - math.log1p(-rate)
    total, flagged = math.exp(chance), -1
    while total <= 1 - CONFIDENCE:
        flagged += 1
        chance += math.log((photos - flagged) / (flagged + 1)) + odds
        total += math.exp(chance)
    return flagged if flagged >= 0 else None


def minimum_photos(rate: float) -> int:
    """Return how many photos without a false positive it takes to be certain of a rate."""
    return math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-rate))


def lowest_threshold(scores: Sequence[float], allowed: int) -> float:
    """Return the lowest threshold that at most `allowed` scores reach; 1.0 where there is none."""
    highest = sorted(scores, reverse=True)
    return min(math.nextafter(highest[allowed], 2.0), 1.0) if allowed < len(highest) else 0.0


def _probability(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)) or not 0 <= raw <= 1:
        raise ValueError(f"invalid probability {raw!r}: expected a number from 0 to 1")
    return float(raw)
