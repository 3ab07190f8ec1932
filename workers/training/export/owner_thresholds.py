"""Thresholds from held-out images of many owners, bounded by resampling the owners.

Images of one owner are alike: the same camera, the same editing, the same generator. How far a rate
may be from that of other people's images is told by drawing owners with replacement, all images of
an owner together (the cluster bootstrap, Field and Welsh 2007), not by drawing images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from storage.records import NEVER
from workers.detectors.card import HeldOutSource, Thresholds
from workers.evaluation.intervals import wilson
from workers.training.export.calibration import FALSE_POSITIVE_RATE, MIN_PRECISION, PREVALENCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 1000
# Fixed, so that thresholds are the same each time.
SEED = 7
# Bounds of 95 % intervals, in percent.
LOW, HIGH = 2.5, 97.5
# Each owner of at least so many real images has at most this share of false positives.
MANY_IMAGES, MAX_OF_OWNER = 30, 0.03


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Scores of images, (n,), by a model that saw none of their owners' images.

    `labels`, (n,), are 1 for AI; `owners`, (n,), are names.
    """

    scores: NDArray[np.float64]
    labels: NDArray[np.uint8]
    owners: NDArray[np.str_]


def by_owner(held_out: HeldOut, flagged_from: float) -> tuple[HeldOutSource, ...]:
    """Return how many images of each owner reach a score, AI first, for the detector's card."""
    owners = []
    kinds: tuple[tuple[int, Literal["ai", "real"]], ...] = ((1, "ai"), (0, "real"))
    for label, kind in kinds:
        reached = _reached(held_out, label, np.array([flagged_from]))
        counts = zip(reached.images.tolist(), reached.counts[:, 0].tolist(), strict=True)
        owners += [HeldOutSource(kind, images, flagged) for images, flagged in counts]
    return tuple(owners)


def thresholds(held_out: HeldOut) -> Thresholds:
    """Return the lowest thresholds that keep a detector's promises to owners it has not seen.

    `unsure`: at most FALSE_POSITIVE_RATE of real images reach it by the upper bound, and of no
    owner of MANY_IMAGES more than MAX_OF_OWNER. `ai`: besides, its precision at PREVALENCE would be
    at least MIN_PRECISION by the unfavourable bounds of both rates. NEVER where no score keeps it.
    """
    candidates = np.unique(np.append(held_out.scores, NEVER))
    real, ai = (_reached(held_out, label, candidates) for label in (0, 1))
    false, found = real.bound(HIGH), ai.bound(LOW)
    many = real.images >= MANY_IMAGES
    worst = (real.counts[many] / real.images[many, None]).max(axis=0, initial=0.0)
    few = (false <= FALSE_POSITIVE_RATE) & (worst <= MAX_OF_OWNER)
    unsure = _first(candidates, few)
    right, wrong = PREVALENCE * found, (1 - PREVALENCE) * false
    precise = (right > 0) & (right >= MIN_PRECISION * (right + wrong))
    ai_from = _first(candidates, few & precise)
    flagged_from = ai_from if ai_from < NEVER else unsure
    scores = held_out.scores[held_out.labels == 0]
    return Thresholds(unsure, ai_from, float(np.mean(scores >= flagged_from)), len(scores))


@dataclass(frozen=True, slots=True)
class _Reached:
    """Images of each owner, (owners,), and how many reach each score, (owners, scores)."""

    images: NDArray[np.int64]
    counts: NDArray[np.int64]

    def bound(self, percent: float) -> NDArray[np.float64]:
        """Return a bound of the share of images that reach each score, (scores,).

        Of the bound by resampling owners and Wilson's the less favourable one: owners that have
        no false positive at all say nothing about the next.
        """
        random = np.random.default_rng(SEED)
        owners, total = len(self.images), int(self.images.sum())
        drawn = random.multinomial(owners, np.full(owners, 1 / owners), RESAMPLES)
        # In floats, whose products are many times as fast.
        weights = drawn.astype(np.float64)
        shares = weights @ self.counts.astype(np.float64) / (weights @ self.images)[:, None]
        resampled = np.asarray(np.percentile(shares, percent, axis=0), np.float64)
        intervals = [wilson(count, total) for count in self.counts.sum(axis=0).tolist()]
        if percent == HIGH:
            return np.array([*map(max, resampled, (interval.high for interval in intervals))])
        return np.array([*map(min, resampled, (interval.low for interval in intervals))])


def _reached(held_out: HeldOut, label: int, candidates: NDArray[np.float64]) -> _Reached:
    of_class = held_out.labels == label
    scores, owners = held_out.scores[of_class], held_out.owners[of_class]
    groups = [np.sort(scores[owners == owner]) for owner in np.unique(owners)]
    counts = [len(group) - np.searchsorted(group, candidates, side="left") for group in groups]
    return _Reached(np.array([len(group) for group in groups]), np.array(counts))


def _first(candidates: NDArray[np.float64], kept: NDArray[np.bool_]) -> float:
    """Return the lowest candidate that keeps a promise, or NEVER."""
    return float(candidates[np.argmax(kept)]) if kept.any() else NEVER
