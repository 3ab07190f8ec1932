"""Random samples: uniform, repeatable, and with the answers of reviewers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from storage.errors import StoreError
from storage.records import ErrorKind, ImageError, Outcome
from storage.writes import reviews, samples, scans
from storage.writes.reviews import Answer

if TYPE_CHECKING:
    from storage.writes.scans import Scan
    from tests.storage.conftest import Fill


def finished(fill: Fill, readable: int, failed: int = 0) -> Scan:
    """Add a finished scan with so many readable and unreadable images."""
    scan = fill.scan()
    batch = fill.batch(scan, *(f"{n}.jpg".encode() for n in range(readable + failed)))
    assert batch is not None
    trouble = ImageError(ErrorKind.DAMAGED, "damaged")
    ids = [image.image_id for image in batch.images]
    good = [fill.verdict(one) for one in ids[failed:]]
    fill.judge(batch, *good, *(fill.failed(one, trouble) for one in ids[:failed]))
    scans.mark_listed(fill.store, scan.scan_id, {}, 0)
    return scan


def test_a_sample_has_readable_images(fill: Fill) -> None:
    """A sample has distinct, readable images; a sample of all has all of them."""
    scan = finished(fill, readable=12, failed=5)
    drawn = samples.draw_sample(fill.store, scan.scan_id, 200, seed=1)
    images = [image for image, _ in samples.sample_images(fill.store, drawn)]

    assert (12, 12, 12) == (drawn.size, drawn.population, drawn.unanswered)
    assert {one for one, outcome in _ids(fill, scan) if outcome is not Outcome.ERROR} == set(images)


def test_a_seed_draws_the_same_again(fill: Fill) -> None:
    """The same seed draws the same images in the same order, another seed others."""
    scan = finished(fill, readable=200)
    first, again, other = (
        samples.sample_images(fill.store, samples.draw_sample(fill.store, scan.scan_id, 20, seed))
        for seed in (7, 7, 8)
    )

    assert first == again
    assert first != other


def test_every_image_is_as_likely(sqlite_fill: Fill) -> None:
    """Over 600 seeds, each of 10 images is drawn about equally often at every position."""
    scan = finished(sqlite_fill, readable=10)
    firsts: Counter[int] = Counter()
    for seed in range(600):
        drawn = samples.draw_sample(sqlite_fill.store, scan.scan_id, 3, seed)
        firsts[samples.sample_images(sqlite_fill.store, drawn)[0][0]] += 1

    # 60 each, with a standard deviation of 7.3; the seeds are fixed, so this never flickers.
    assert 10 == len(firsts)
    assert all(30 < number < 90 for number in firsts.values())


def test_the_outcome_counts_answers_of_the_latest_sample(fill: Fill) -> None:
    """Each sampled image counts by what reviewers agree on; answers elsewhere do not."""
    scan = finished(fill, readable=10)
    drawn = samples.draw_sample(fill.store, scan.scan_id, 5, seed=3)
    images = [image for image, _ in samples.sample_images(fill.store, drawn)]
    outside = next(one for one, _ in _ids(fill, scan) if one not in images)
    for image, answer in (
        (images[0], Answer.NOT_AI),
        (images[0], Answer.AI),
        (images[1], Answer.NOT_AI),
        (images[2], Answer.CANT_TELL),
        (images[3], Answer.NOT_AI),
        (outside, Answer.AI),
    ):
        reviews.record_answer(fill.store, scan.scan_id, image, answer, "ann")
    reviews.record_answer(fill.store, scan.scan_id, images[3], Answer.AI, "bob")
    outcome = samples.read_sample(fill.store, scan.scan_id)

    assert outcome is not None
    assert (10, 5) == (outcome.population, outcome.size)
    assert (1, 1, 1) == (outcome.ai, outcome.not_ai, outcome.cant_tell)
    assert (1, 1) == (outcome.contradicting, outcome.unanswered)


def test_answers_count_up_to_the_first_open_image(fill: Fill) -> None:
    """Earlier answers count once all images that were drawn before them have one."""
    scan = finished(fill, readable=10)
    flagged = [one for one, _ in _ids(fill, scan)][:6]
    for image in flagged:
        reviews.record_answer(fill.store, scan.scan_id, image, Answer.AI, "ann")
    drawn = samples.draw_sample(fill.store, scan.scan_id, 10, seed=1)
    images = [image for image, _ in samples.sample_images(fill.store, drawn)]
    leading = next(n for n, image in enumerate(images) if image not in flagged)
    outcome = samples.read_sample(fill.store, scan.scan_id)

    assert outcome is not None
    assert (leading, 6 - leading, 4) == (outcome.ai, outcome.uncounted, outcome.unanswered)

    for image in set(images) - set(flagged):
        reviews.record_answer(fill.store, scan.scan_id, image, Answer.NOT_AI, "ann")
    outcome = samples.read_sample(fill.store, scan.scan_id)

    assert outcome is not None
    assert (6, 4, 0, 0) == (outcome.ai, outcome.not_ai, outcome.uncounted, outcome.unanswered)


def test_no_sample_of_half_a_scan(fill: Fill) -> None:
    """An unfinished scan, and one without readable images, raise one sentence."""
    unfinished, unreadable = fill.scan(), finished(fill, readable=0, failed=2)
    for scan, words in ((unfinished, "is not finished"), (unreadable, "has no readable images")):
        with pytest.raises(StoreError, match=words):
            samples.draw_sample(fill.store, scan.scan_id, 5, seed=1)

    assert samples.read_sample(fill.store, unfinished.scan_id) is None


def _ids(fill: Fill, scan: Scan) -> list[tuple[int, Outcome]]:
    from storage.reads.verdicts import verdict_rows  # noqa: PLC0415

    return [
        (row.image_id, row.verdict.outcome)
        for row in verdict_rows(fill.store, scan.scan_id)
        if row.verdict is not None
    ]
