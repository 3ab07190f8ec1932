"""How sure a share is: 95 % intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from scanner.report.metrics import Confusion

# The normal deviate of a two-sided 95 % interval.
Z = 1.959963984540054


class Interval(NamedTuple):
    """The ends of a 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Share:
    """`part` of `whole`, which was a sample."""

    part: int
    whole: int

    @property
    def value(self) -> float:
        """The share; 0 of nothing."""
        return self.part / self.whole if self.whole else 0.0


def wilson(part: float, whole: float) -> Interval | None:
    """Wilson's score interval of a share (Wilson 1927); None of nothing."""
    if whole == 0:
        return None
    share, square = part / whole, Z * Z
    middle = (share + square / (2 * whole)) / (1 + square / whole)
    half = Z * math.sqrt(share * (1 - share) / whole + square / (4 * whole * whole))
    half /= 1 + square / whole
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def accuracy_interval(at: Confusion) -> Interval | None:
    """Wilson's interval of the accuracy that a confusion matrix comes to."""
    return wilson(at.tp + at.tn, at.images)
