"""How much of a collection is AI-made, when detectors miss some and accuse others falsely.

The share of flagged images is not the share of AI images: of the AI images a detector flags its
`sensitivity`, of the others its `false_alarm` rate, and both were measured on a sample (its card).
For one detector, Rogan and Gladen (1978):

    share = (flagged share - false_alarm) / (sensitivity - false_alarm), within [0, 1]

with the interval of Lang and Reiczigel (2014), which takes into account that all three shares come
from samples. A scan is of the whole collection, not of a sample of it, so the interval is a little
wider than it need be.

Of several detectors, each looks at other images (but for pictures with a face in them, which count
with each that looked): the share of all is the mean of theirs, by the images that each looked at.
Their errors are independent, so the intervals are joined by MOVER (Zou and Donner 2008): the
distances from each estimate to its ends, weighted and added as squares.

Left out are images that no measured detector has scored at their native size, and so all that is
known from metadata alone; how many these are stands beside the figure. What nobody can put into an
interval is how far the collection is like the pictures that a detector was measured on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workers.evaluation.intervals import Interval, Share, Z, wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Rates:
    """What was measured of a detector at its threshold: of AI images, and of others, flagged."""

    sensitivity: Share
    false_alarm: Share

    @property
    def informative(self) -> bool:
        """Whether it flags AI images more often than others; else it can tell nothing of them."""
        return self.sensitivity.value > self.false_alarm.value


@dataclass(frozen=True, slots=True)
class DetectorShare:
    """The corrected share of AI images among the `images` that one detector looked at."""

    detector: str
    images: int
    flagged: int
    rates: Rates
    share: float
    interval: Interval

    @property
    def false_accusations(self) -> float:
        """How many of the flagged images are to be expected not to be AI-made."""
        return min(self.flagged, (1 - self.share) * self.images * self.rates.false_alarm.value)

    @property
    def false_accusations_interval(self) -> Interval:
        """Its ends, from those of the share and of the false-alarm rate (Wilson's) together."""
        alarm = self.rates.false_alarm
        rate = wilson(alarm.part, alarm.whole)
        low, high = (
            (1 - share) * self.images * end
            for share, end in zip(reversed(self.interval), rate, strict=True)
        )
        return Interval(min(self.flagged, low), min(self.flagged, high))


@dataclass(frozen=True, slots=True)
class CorrectedShare:
    """The corrected share of AI images among all `images` that measured detectors looked at.

    `raw` is the share of them that was flagged; `unmeasured` are the detectors that were left out.
    """

    images: int
    flagged: int
    share: float
    interval: Interval
    by_detector: tuple[DetectorShare, ...]
    unmeasured: tuple[str, ...]

    @property
    def raw(self) -> float:
        """The share of images that were flagged."""
        return self.flagged / self.images

    @property
    def false_accusations(self) -> float:
        """How many of the flagged images are to be expected not to be AI-made."""
        return sum(one.false_accusations for one in self.by_detector)

    @property
    def false_accusations_interval(self) -> Interval:
        """The sum of the detectors' ends, which is wide rather than narrow."""
        ends = [one.false_accusations_interval for one in self.by_detector]
        return Interval(sum(one.low for one in ends), sum(one.high for one in ends))


def corrected_share(
    looked: Iterable[tuple[str, int, int]], rates: Callable[[str], Rates | None]
) -> CorrectedShare | None:
    """The corrected share, from (detector, images looked at, images flagged) of each.

    `rates` says what is known of a detector, be it from its card or from a sample that people have
    reviewed; None where nothing is. None as a whole where no measured detector looked at anything.
    """
    found, unmeasured = [], []
    for detector, images, flagged in looked:
        if not images:
            continue
        known = rates(detector)
        if known is None or not known.informative:
            unmeasured.append(detector)
            continue
        share = rogan_gladen(Share(flagged, images), known)
        interval = lang_reiczigel(Share(flagged, images), known)
        found.append(DetectorShare(detector, images, flagged, known, share, interval))
    if not found:
        return None
    images = sum(one.images for one in found)
    share = sum(one.share * one.images for one in found) / images
    return CorrectedShare(
        images=images,
        flagged=sum(one.flagged for one in found),
        share=share,
        interval=_mover(share, found, images),
        by_detector=tuple(found),
        unmeasured=tuple(unmeasured),
    )


def rogan_gladen(flagged: Share, rates: Rates) -> float:
    """The share of AI images that explains the share flagged (Rogan and Gladen 1978)."""
    sensitivity, false_alarm = rates.sensitivity.value, rates.false_alarm.value
    return _within((flagged.value - false_alarm) / (sensitivity - false_alarm))


def lang_reiczigel(flagged: Share, rates: Rates) -> Interval:
    """Its 95 % interval (Lang and Reiczigel 2014, equation 16)."""
    square = Z * Z
    n = flagged.whole + square
    apparent = (flagged.part + square / 2) / n
    n_sensitivity, n_specificity = rates.sensitivity.whole + 2, rates.false_alarm.whole + 2
    sensitivity = (rates.sensitivity.part + 1) / n_sensitivity
    specificity = (rates.false_alarm.whole - rates.false_alarm.part + 1) / n_specificity
    youden = sensitivity + specificity - 1
    if youden <= 0:
        return Interval(0.0, 1.0)
    share = (apparent + specificity - 1) / youden
    of_sensitivity = sensitivity * (1 - sensitivity) / n_sensitivity
    of_specificity = specificity * (1 - specificity) / n_specificity
    shift = 2 * square * (share * of_sensitivity - (1 - share) * of_specificity)
    variance = (
        apparent * (1 - apparent) / n
        + share * share * of_sensitivity
        + (1 - share) ** 2 * of_specificity
    )
    half = Z * math.sqrt(variance) / youden
    return Interval(_within(share + shift - half), _within(share + shift + half))


def _mover(share: float, found: Sequence[DetectorShare], images: int) -> Interval:
    below = (max(0.0, one.share - one.interval.low) * one.images / images for one in found)
    above = (max(0.0, one.interval.high - one.share) * one.images / images for one in found)
    return Interval(_within(share - math.hypot(*below)), _within(share + math.hypot(*above)))


def _within(share: float) -> float:
    return min(1.0, max(0.0, share))
