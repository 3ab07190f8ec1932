"""Prevalence: the share of AI-generated images, corrected for the detectors' error rates.

The share of flagged images differs from the share of AI-generated images: a detector flags
AI-generated images at its `sensitivity` and others at its `false_positive_rate`, both measured on a
sample (see its card). For one detector, Rogan and Gladen (1978):

    share = (flagged share - false-positive rate) / (sensitivity - false-positive rate), in [0, 1]

with the interval of Lang and Reiczigel (2014), which accounts for all three shares being estimates.
A scan covers the whole collection instead of a sample, so the interval is slightly too wide.

Detectors score different images (except images with a face, which count for each detector that
scored them): the overall share is the mean of theirs, weighted by the images each scored. Their
errors are independent, so the intervals are combined by MOVER (Zou and Donner 2008): the distances
from each estimate to its bounds, weighted and added as squares.

Images that no measured detector scored at full resolution are left out, and so is everything known
from metadata alone; reports give their number. No interval covers how far the collection resembles
the images that a detector was measured on.
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
    """The measured shares of AI-generated and of other images that a detector flags."""

    sensitivity: Share
    false_positive_rate: Share

    @property
    def informative(self) -> bool:
        """Return whether the detector flags AI-generated images more often than others."""
        return self.sensitivity.value > self.false_positive_rate.value


@dataclass(frozen=True, slots=True)
class DetectorShare:
    """The corrected share of AI-generated images among the `images` that one detector scored."""

    detector: str
    images: int
    flagged: int
    rates: Rates
    share: float
    interval: Interval

    @property
    def false_positives(self) -> float:
        """Return how many of the flagged images are expected not to be AI-generated."""
        expected = (1 - self.share) * self.images * self.rates.false_positive_rate.value
        return min(self.flagged, expected)

    @property
    def false_positives_interval(self) -> Interval:
        """Return bounds from those of the share and of the false-positive rate (Wilson)."""
        measured = self.rates.false_positive_rate
        rate = wilson(measured.part, measured.whole)
        low, high = (
            (1 - share) * self.images * bound
            for share, bound in zip(reversed(self.interval), rate, strict=True)
        )
        return Interval(min(self.flagged, low), min(self.flagged, high))


@dataclass(frozen=True, slots=True)
class CorrectedShare:
    """The corrected share among all `images` that measured detectors scored.

    `unmeasured` are the detectors without usable error rates, which are left out.
    """

    images: int
    flagged: int
    share: float
    interval: Interval
    by_detector: tuple[DetectorShare, ...]
    unmeasured: tuple[str, ...]

    @property
    def raw(self) -> float:
        """Return the share of images that were flagged."""
        return self.flagged / self.images

    @property
    def false_positives(self) -> float:
        """Return how many of the flagged images are expected not to be AI-generated."""
        return sum(each.false_positives for each in self.by_detector)

    @property
    def false_positives_interval(self) -> Interval:
        """Return the sums of the detectors' bounds, which are too wide rather than too narrow."""
        bounds = [each.false_positives_interval for each in self.by_detector]
        return Interval(sum(each.low for each in bounds), sum(each.high for each in bounds))


def corrected_share(
    scored: Iterable[tuple[str, int, int]], rates: Callable[[str], Rates | None]
) -> CorrectedShare | None:
    """Return the corrected share, from (detector, images scored, images flagged) of each detector.

    `rates` gives the error rates of a detector, from its card or from a reviewed sample; None if
    unknown. None if no measured detector scored an image.
    """
    shares, unmeasured = [], []
    for detector, images, flagged in scored:
        if not images:
            continue
        known = rates(detector)
        if known is None or not known.informative:
            unmeasured.append(detector)
            continue
        share = rogan_gladen(Share(flagged, images), known)
        interval = lang_reiczigel(Share(flagged, images), known)
        shares.append(DetectorShare(detector, images, flagged, known, share, interval))
    if not shares:
        return None
    images = sum(each.images for each in shares)
    share = sum(each.share * each.images for each in shares) / images
    return CorrectedShare(
        images=images,
        flagged=sum(each.flagged for each in shares),
        share=share,
        interval=_mover(share, shares, images),
        by_detector=tuple(shares),
        unmeasured=tuple(unmeasured),
    )


def rogan_gladen(flagged: Share, rates: Rates) -> float:
    """Return the share of AI-generated images that explains the flagged share.

    Rogan and Gladen 1978.
    """
    sensitivity, false_positive_rate = rates.sensitivity.value, rates.false_positive_rate.value
    return _clamped((flagged.value - false_positive_rate) / (sensitivity - false_positive_rate))


def lang_reiczigel(flagged: Share, rates: Rates) -> Interval:
    """Return the 95 % interval of `rogan_gladen` (Lang and Reiczigel 2014, equation 16)."""
    square = Z * Z
    n = flagged.whole + square
    apparent = (flagged.part + square / 2) / n
    n_sensitivity, n_specificity = rates.sensitivity.whole + 2, rates.false_positive_rate.whole + 2
    sensitivity = (rates.sensitivity.part + 1) / n_sensitivity
    false_positives = rates.false_positive_rate
    specificity = (false_positives.whole - false_positives.part + 1) / n_specificity
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
    return Interval(_clamped(share + shift - half), _clamped(share + shift + half))


def _mover(share: float, shares: Sequence[DetectorShare], images: int) -> Interval:
    below = (max(0.0, each.share - each.interval.low) * each.images / images for each in shares)
    above = (max(0.0, each.interval.high - each.share) * each.images / images for each in shares)
    return Interval(_clamped(share - math.hypot(*below)), _clamped(share + math.hypot(*above)))


def _clamped(share: float) -> float:
    return min(1.0, max(0.0, share))
