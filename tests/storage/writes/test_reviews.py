"""Reviews of images, stored beside the verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from storage.errors import NotFound
from storage.records import Outcome
from storage.writes import reviews
from storage.writes.reviews import Agreed, Answer

if TYPE_CHECKING:
    from storage.writes.scans import Scan
    from tests.storage.conftest import Fill


def judged(fill: Fill, *outcomes: Outcome) -> tuple[Scan, list[int]]:
    """Add a scan with an image of each outcome."""
    scan = fill.scan("photos")
    batch = fill.batch(scan, *(f"{n}.jpg".encode() for n in range(len(outcomes))))
    assert batch is not None
    ids = [image.image_id for image in batch.images]
    fill.judge(batch, *map(fill.verdict, ids, outcomes))
    return scan, ids


def test_an_answer_leaves_the_verdict_and_every_earlier_answer(fill: Fill) -> None:
    """A second answer of the same person replaces the first; both are stored, the verdict stays."""
    scan, (image,) = judged(fill, Outcome.UNSURE)
    for answer, who in ((Answer.AI, "ann"), (Answer.NOT_AI, "ann"), (Answer.CANT_TELL, "bob")):
        reviews.record_answer(fill.store, scan.scan_id, image, answer, who)
    found = reviews.list_reviews(fill.store, scan.scan_id, image)

    assert [
        (Answer.AI, "ann", False),
        (Answer.NOT_AI, "ann", True),
        (Answer.CANT_TELL, "bob", True),
    ] == [(one.answer, one.reviewer, one.is_current) for one in found]
    assert {b"0.jpg": "unsure"} == fill.outcomes(scan)


def test_undo_takes_back_ones_own_last_answer(fill: Fill) -> None:
    """Withdrawing an answer makes the one before current again, and changes no one else's."""
    scan, (first, second) = judged(fill, Outcome.AI, Outcome.AI)
    said = [
        (first, Answer.AI, "ann"),
        (second, Answer.AI, "ann"),
        (second, Answer.NOT_AI, "ann"),
        (second, Answer.AI, "bob"),
    ]
    for image, answer, who in said:
        reviews.record_answer(fill.store, scan.scan_id, image, answer, who)

    def standing(image: int) -> list[tuple[str, str]]:
        found = reviews.list_reviews(fill.store, scan.scan_id, image)
        return [(one.answer.value, one.reviewer) for one in found if one.is_current]

    assert second == reviews.withdraw_answer(fill.store, scan.scan_id, "ann")
    assert [("ai", "ann"), ("ai", "bob")] == standing(second)
    assert second == reviews.withdraw_answer(fill.store, scan.scan_id, "ann")
    assert [("ai", "bob")] == standing(second)
    assert first == reviews.withdraw_answer(fill.store, scan.scan_id, "ann")
    assert reviews.withdraw_answer(fill.store, scan.scan_id, "ann") is None


def test_answers_given_together_are_withdrawn_together(
    fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One undo takes back all of them, and makes current what they replaced, for no one else."""
    monkeypatch.setattr(reviews, "_STATEMENT_IMAGES", 2)
    scan, images = judged(fill, *[Outcome.AI] * 5)
    number = scan.scan_id
    reviews.record_answer(fill.store, number, images[1], Answer.AI, "ann")
    reviews.record_answers(fill.store, number, images, Answer.NOT_AI, "bob")
    reviews.record_answers(fill.store, number, images, Answer.NOT_AI, "ann")
    last = reviews.read_last_answer(fill.store, number, "ann")

    assert last is not None
    assert (Answer.NOT_AI, 5) == (last.answer, last.images)
    assert set(images) == reviews.answered_by(fill.store, number, "ann")
    assert reviews.withdraw_answer(fill.store, number, "ann", at=last.at + 1) is None
    assert images[4] == reviews.withdraw_answer(fill.store, number, "ann", at=last.at)
    assert {images[1]} == reviews.answered_by(fill.store, number, "ann")
    assert set(images) == reviews.answered_by(fill.store, number, "bob")
    assert reviews.withdraw_answer(fill.store, number, "ann", at=last.at) is None


def test_progress_counts_images_by_what_reviewers_agree_on(fill: Fill) -> None:
    """Each reviewed image counts once, whoever came last, and apart where reviewers contradict."""
    scan, (ai, unsure, other, clean, _) = judged(
        fill, Outcome.AI, Outcome.UNSURE, Outcome.UNSURE, Outcome.NO_EVIDENCE, Outcome.AI
    )
    for image, answer, who in (
        (ai, Answer.AI, "ann"),
        (ai, Answer.NOT_AI, "bob"),
        (unsure, Answer.AI, "ann"),
        (unsure, Answer.CANT_TELL, "bob"),
        (other, Answer.CANT_TELL, "ann"),
        (clean, Answer.AI, "ann"),
        (clean, Answer.NOT_AI, "ann"),
    ):
        reviews.record_answer(fill.store, scan.scan_id, image, answer, who)
    found = reviews.review_progress(fill.store, scan.scan_id)

    assert {
        (Outcome.AI, Agreed.CONTRADICTING): 1,
        (Outcome.UNSURE, Agreed.AI): 1,
        (Outcome.UNSURE, Agreed.CANT_TELL): 1,
        (Outcome.NO_EVIDENCE, Agreed.NOT_AI): 1,
    } == found.answers
    assert 1 == found.disagreements


def test_an_image_of_another_scan_cannot_be_reviewed(fill: Fill) -> None:
    """An image of another scan is not found, and no answer is stored."""
    scan, _ = judged(fill, Outcome.AI)

    with pytest.raises(NotFound, match="Image not found: 99 in scan"):
        reviews.record_answer(fill.store, scan.scan_id, 99, Answer.AI, "ann")
    assert {} == reviews.review_progress(fill.store, scan.scan_id).answers


def test_a_rescan_keeps_reviews(fill: Fill) -> None:
    """An unchanged image keeps its answers in the next scan, where they can be withdrawn."""
    scan, (image,) = judged(fill, Outcome.AI)
    reviews.record_answer(fill.store, scan.scan_id, image, Answer.NOT_AI, "ann")
    later = fill.scan("photos")
    fill.batch(later, b"0.jpg", keep_from=scan.scan_id)

    assert image == reviews.withdraw_answer(fill.store, later.scan_id, "ann")
    assert [True] == [
        one.is_current for one in reviews.list_reviews(fill.store, scan.scan_id, image)
    ]
    assert [False] == [
        one.is_current for one in reviews.list_reviews(fill.store, later.scan_id, image)
    ]
