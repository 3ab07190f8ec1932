"""Thresholds that are bounded by resampling owners."""

from __future__ import annotations

import numpy as np

from storage.records import NEVER
from workers.detectors.card import HeldOutSource
from workers.training.export.owner_thresholds import MAX_OF_OWNER, HeldOut, by_owner, thresholds

OWNERS, OF_EACH = 100, 29


def held_out(real: np.ndarray, ai: np.ndarray) -> HeldOut:
    """Return scores, (owners, images of each), of both classes."""
    scores = np.concatenate([real.ravel(), ai.ravel()])
    labels = np.repeat([0, 1], [real.size, ai.size]).astype(np.uint8)
    owners = [
        f"{kind}-{owner}"
        for kind, each in (("real", real), ("ai", ai))
        for owner in range(len(each))
        for _ in range(each.shape[1])
    ]
    return HeldOut(scores, labels, np.array(owners))


def overlapping() -> tuple[np.ndarray, np.ndarray]:
    """Return scores of real images below 0.8, and of AI-generated ones above 0.3."""
    random = np.random.default_rng(1)
    shape = (OWNERS, OF_EACH)
    return random.uniform(0, 0.8, shape), random.uniform(0.3, 1, shape)


def test_few_real_images_are_flagged() -> None:
    """The share of false positives is below its limit by more than the images alone would ask."""
    real, ai = overlapping()
    chosen = thresholds(held_out(real, ai))

    assert chosen.unsure <= chosen.ai < NEVER
    assert 0.004 < np.mean(real >= chosen.unsure) < 0.01
    assert (np.mean(real >= chosen.ai), real.size) == (chosen.false_alarm_rate, chosen.real_images)


def test_nine_in_ten_are_right_at_a_prevalence_of_one_in_ten() -> None:
    """The precision that follows from both rates at `ai` is kept with something to spare."""
    real, ai = overlapping()
    chosen = thresholds(held_out(real, ai))
    right, wrong = 0.1 * np.mean(ai >= chosen.ai), 0.9 * np.mean(real >= chosen.ai)

    assert 0.9 < right / (right + wrong)


def test_alike_images_of_an_owner_are_no_independent_evidence() -> None:
    """The same false positives in few owners' images raise the threshold."""
    spread, ai = overlapping()
    gathered = np.sort(spread.ravel()).reshape(spread.shape)

    assert thresholds(held_out(spread, ai)).unsure < thresholds(held_out(gathered, ai)).unsure


def test_no_owner_of_many_images_is_flagged_often() -> None:
    """Two of forty images are too many, though they are few of all."""
    real, ai = overlapping()
    more = np.full((1, 40), 0.1)
    more[0, :2] = 0.9
    one = held_out(more, ai[:0])
    rest = held_out(real, ai)
    chosen = thresholds(
        HeldOut(
            np.append(one.scores, rest.scores),
            np.append(one.labels, rest.labels),
            np.append(np.full(40, "one"), rest.owners),
        )
    )

    assert np.mean(more >= chosen.unsure) <= MAX_OF_OWNER
    assert 0.9 < chosen.unsure


def test_classes_that_cannot_be_told_apart_are_never_called_ai() -> None:
    """There is no score from which nine in ten would be right."""
    real, _ = overlapping()

    assert NEVER == thresholds(held_out(real, real)).ai


def test_flagged_images_are_counted_by_owner() -> None:
    """Both of one generator's images reach 0.5, one of the other's, and none of the owner's."""
    counted = by_owner(held_out(np.array([[0.1, 0.2]]), np.array([[0.5, 0.9], [0.4, 0.6]])), 0.5)

    assert (
        HeldOutSource("ai", 2, 2),
        HeldOutSource("ai", 2, 1),
        HeldOutSource("real", 2, 0),
    ) == counted
