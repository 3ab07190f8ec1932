"""Shares counted in a sample, and their 95 % intervals."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

# The normal deviate of a two-sided 95 % interval.
Z = 1.959963984540054


class Interval(NamedTuple):
    """The bounds of a 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Share:
    """`part` of `whole`, which was a sample."""

    part: int
    whole: int

    @property
    def value(self) -> float:
        """Return the share; 0 of nothing."""
        return self.part / self.whole if self.whole else 0.0


def wilson(hits: float, trials: float) -> Interval:
    """Return Wilson's score interval of a share (Wilson 1927, no continuity correction).

    (0, 1) where there were no trials. For a sample drawn without replacement from a finite
    population the interval is slightly wider than necessary.
    """
    if not trials:
        return Interval(0.0, 1.0)
    share = hits / trials
    middle = share + Z * Z / (2 * trials)
    width = Z * sqrt(share * (1 - share) / trials + Z * Z / (4 * trials * trials))
    scale = 1 + Z * Z / trials
    return Interval(max(0.0, (middle - width) / scale), min(1.0, (middle + width) / scale))
