"""Prevalence: the share of AI-generated images, corrected for the detectors' error rates.

The share of flagged images differs from the share of AI-generated images: a detector flags
AI-generated images at its *sensitivity* and others at its *false-positive rate*. By Rogan and
Gladen (1978):

    share = (flagged share - false-positive rate) / (sensitivity - false-positive rate)

Both rates differ from generator to generator and from owner to owner, and nobody knows which a
collection is from. So each is a distribution (`scanner.report.figures.spread`), and the interval
has every share that explains the flagged number: those of which neither so many flagged images nor
so few have a probability under 2.5 %, over both distributions and the chance of counting (the
inversion of a test, as Lang and Reiczigel 2014 compare, there with the chance of counting alone).

Where no share explains the number, the collection is not like what the detectors were measured on.
Then there is no estimate, and neither where the interval says nothing.

Images that are seen by the same detectors are a part of their own, flagged where any of them flags
an image. Errors may be alike in all parts, so the bounds of the whole are the sums of theirs.

Left out are the images that no measured detector saw as it was measured: other than photographs,
resized or degraded ones; and those that metadata or marks settle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from scanner.report.figures.spread import RATES, of_any, rates_between
from workers.evaluation.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from storage.reads.coverage import Scored
    from workers.evaluation.intervals import Share

# The probability outside a 95 % interval, on each side.
TAIL = 0.025
# An interval that is wider says nothing of how many images are AI-generated.
WIDEST_INTERVAL = 0.5
# Of fewer images there is no estimate: people see them faster than they read it.
FEWEST_IMAGES = 50
# Halvings that find a bound.
_STEPS = 24


class Standing(StrEnum):
    """What the flagged images tell about the share of AI-generated ones."""

    BETWEEN = "between"  # it lies between two bounds
    AT_LEAST = "at_least"  # it is at least the lower bound
    TOO_WIDE = "too_wide"  # nothing
    TOO_FEW = "too_few"  # nothing, of so few images
    CONTRADICTED = "contradicted"  # the measured rates do not hold for these images


@dataclass(frozen=True, slots=True)
class Rates:
    """The measured shares of flagged images: of AI-generated ones by generator, others by owner."""

    sensitivity: tuple[Share, ...]
    false_positive_rate: tuple[Share, ...]

    @property
    def informative(self) -> bool:
        """Return whether AI-generated images of a new source are flagged more often than others."""
        found, false = (
            rates_between(each) for each in (self.sensitivity, self.false_positive_rate)
        )
        return bool(found.mean() > false.mean())


@dataclass(frozen=True, slots=True)
class Part:
    """Images that the same detectors scored, with the rates of these.

    `interval` is None where no share explains how many were flagged.
    """

    detectors: tuple[str, ...]
    images: int
    flagged: int
    rates: tuple[Rates, ...]
    interval: Interval | None

    @property
    def sensitivity(self) -> NDArray[np.float64]:
        """Return equally probable shares of AI-generated images that are flagged."""
        return of_any([rates_between(each.sensitivity) for each in self.rates])

    @property
    def false_positive_rate(self) -> NDArray[np.float64]:
        """Return equally probable shares of other images that are flagged."""
        return of_any([rates_between(each.false_positive_rate) for each in self.rates])

    @property
    def share(self) -> float:
        """Return the share at the mean rates, within its interval."""
        low, high = self.interval or Interval(0.0, 1.0)
        false, found = self.false_positive_rate.mean(), self.sensitivity.mean()
        return float(min(high, max(low, (self.flagged / self.images - false) / (found - false))))

    @property
    def false_positives(self) -> float:
        """Return how many of the flagged images are expected not to be AI-generated."""
        expected = (1 - self.share) * self.images * self.false_positive_rate.mean()
        return float(min(self.flagged, expected))

    @property
    def false_positives_interval(self) -> Interval:
        """Return bounds from those of the share and of the false-positive rate."""
        rates = rate_bounds(self.false_positive_rate)
        shares = reversed(self.interval or Interval(0.0, 1.0))
        low, high = (
            min(float(self.flagged), (1 - share) * self.images * rate)
            for share, rate in zip(shares, rates, strict=True)
        )
        return Interval(low, high)


@dataclass(frozen=True, slots=True)
class CorrectedShare:
    """The corrected share among all `images` that measured detectors scored.

    `share` and `interval` are None where the rates do not hold for the images of a part.
    `unmeasured` are the detectors without usable error rates, which are left out.
    """

    images: int
    flagged: int
    share: float | None
    interval: Interval | None
    parts: tuple[Part, ...]
    unmeasured: tuple[str, ...]

    @property
    def standing(self) -> Standing:
        """Return what the estimate tells."""
        if self.images < FEWEST_IMAGES:
            return Standing.TOO_FEW
        if self.interval is None:
            return Standing.CONTRADICTED
        if self.interval.high - self.interval.low <= WIDEST_INTERVAL:
            return Standing.BETWEEN
        return Standing.AT_LEAST if self.interval.low * self.images >= 1 else Standing.TOO_WIDE

    @property
    def too_many(self) -> bool:
        """Return whether more are flagged than the rates explain, where these do not hold."""
        return any(
            each.interval is None and each.flagged / each.images > each.false_positive_rate.mean()
            for each in self.parts
        )

    @property
    def raw(self) -> float:
        """Return the share of images that were flagged."""
        return self.flagged / self.images

    @property
    def false_positives(self) -> float:
        """Return how many of the flagged images are expected not to be AI-generated."""
        return sum(each.false_positives for each in self.parts)

    @property
    def false_positives_interval(self) -> Interval:
        """Return the sums of the parts' bounds."""
        bounds = [each.false_positives_interval for each in self.parts]
        return Interval(sum(each.low for each in bounds), sum(each.high for each in bounds))


def corrected_share(
    scored: Iterable[Scored], rates: Callable[[str], Rates | None]
) -> CorrectedShare | None:
    """Return the corrected share of images by the detectors that scored them.

    `rates` gives the error rates of a detector, by source; None if unknown. None if measured
    detectors scored no image.
    """
    parts, unmeasured = [], set()
    for group in scored:
        known = {name: rates(name) for name in group.detectors}
        usable = [one for one in known.values() if one is not None and one.informative]
        if len(usable) < len(known):
            unmeasured |= {name for name, one in known.items() if one not in usable}
        elif group.images:
            parts.append(_part(group, usable))
    if not parts:
        return None
    images = sum(each.images for each in parts)
    intervals = [(each.interval, each.images / images) for each in parts]
    known_bounds = [(bounds, weight) for bounds, weight in intervals if bounds is not None]
    holds = len(known_bounds) == len(parts)
    return CorrectedShare(
        images=images,
        flagged=sum(each.flagged for each in parts),
        share=sum(each.share * each.images for each in parts) / images if holds else None,
        interval=Interval(
            sum(bounds.low * weight for bounds, weight in known_bounds),
            min(1.0, sum(bounds.high * weight for bounds, weight in known_bounds)),
        )
        if holds
        else None,
        parts=tuple(parts),
        unmeasured=tuple(sorted(unmeasured)),
    )


def rate_bounds(rates: NDArray[np.float64]) -> Interval:
    """Return the bounds of 95 % of equally probable rates."""
    low, high = np.quantile(rates, (TAIL, 1 - TAIL))
    return Interval(float(low), float(high))


def _part(group: Scored, rates: list[Rates]) -> Part:
    part = Part(group.detectors, group.images, group.flagged, tuple(rates), None)
    bounds = interval(part.flagged, part.images, part.sensitivity, part.false_positive_rate)
    return replace(part, interval=bounds)


def interval(
    flagged: int, images: int, found: NDArray[np.float64], false: NDArray[np.float64]
) -> Interval | None:
    """Return the 95 % interval of the share that explains the `flagged` of `images`; None if none.

    `found` and `false` are equally probable rates at which AI-generated and other images are
    flagged, `RATES` of each.
    """

    def at_most(number: int, share: float) -> float:
        """Return the probability of at most that many flagged images."""
        every = np.sort(np.add.outer(share * found, (1 - share) * false), axis=None)
        rates = every[RATES // 2 :: RATES]
        return sum(binomial_at_most(number, images, float(rate)) for rate in rates) / RATES

    def many(share: float) -> bool:
        """Return whether so many flagged images are explained."""
        return 1 - at_most(flagged - 1, share) >= TAIL

    def few(share: float) -> bool:
        """Return whether so few flagged images are explained."""
        return at_most(flagged, share) >= TAIL

    if not many(1.0) or not few(0.0):
        return None
    low = 0.0 if many(0.0) else _first(many, 0.0, 1.0)
    high = 1.0 if few(1.0) else _first(few, 1.0, 0.0)
    return Interval(low, high) if low <= high else None


def _first(holds: Callable[[float], bool], false: float, true: float) -> float:
    """Return the share next to `false` from which on it holds."""
    for _ in range(_STEPS):
        middle = (false + true) / 2
        false, true = (false, middle) if holds(middle) else (middle, true)
    return true


def binomial_at_most(number: int, trials: int, rate: float) -> float:
    """Return the probability of at most `number` hits, within about 0.001.

    By the normal approximation of Peizer and Pratt (1968, Journal of the American Statistical
    Association 63).
    """
    if number < 0:
        return 0.0
    if number >= trials:
        return 1.0
    rest = 1 - rate
    if not 0 < rate < 1:
        return float(rate == 0)
    below, above = number + 0.5, trials - number - 0.5
    distance = number + 2 / 3 - (trials + 1 / 3) * rate
    distance += 0.02 * (
        rest / (number + 1) - rate / (trials - number) + (0.5 - rate) / (trials + 1)
    )
    skew = 1 + rest * _deviance(below / (trials * rate)) + rate * _deviance(above / (trials * rest))
    return NormalDist().cdf(distance * sqrt(skew / ((trials + 1 / 6) * rate * rest)))


def _deviance(ratio: float) -> float:
    if abs(ratio - 1) < 1e-4:  # noqa: PLR2004 - its limit, where the quotient is 0 by 0
        return (1 - ratio) / 3
    return (1 - ratio * ratio + 2 * ratio * float(np.log(ratio))) / (1 - ratio) ** 2
