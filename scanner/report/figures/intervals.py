"""How sure a share is: 95 % intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from workers.evaluation.wilson import wilson as ends

if TYPE_CHECKING:
    from scanner.report.figures.metrics import Confusion

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
    """Wilson's score interval of a share; None of nothing."""
    return Interval(*ends(part, whole)) if whole else None


def accuracy_interval(at: Confusion) -> Interval | None:
    """Wilson's interval of the accuracy that a confusion matrix comes to."""
    return wilson(at.tp + at.tn, at.images)
