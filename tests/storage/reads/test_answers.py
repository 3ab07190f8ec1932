"""Answers that a detector may learn from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from storage.reads.answers import agreed_answers
from storage.records import ErrorKind, ImageError, Outcome
from storage.writes.reviews import Answer, record_answer, withdraw_answer

if TYPE_CHECKING:
    from tests.storage.conftest import Fill


def test_agreed_answers(fill: Fill) -> None:
    """Current answers that all say the same count; contradictions, doubts and errors do not."""
    scan = fill.scan()
    batch = fill.batch(scan, *(b"%d.jpg" % number for number in range(7)))
    assert batch is not None
    ids = [image.image_id for image in batch.images]
    error = ImageError(ErrorKind.CRASHED, "killed the process that read it")
    crashed = replace(fill.verdict(ids[6], Outcome.AI), error=error)
    fill.judge(batch, *map(fill.verdict, ids[:6]), crashed)
    store, number = fill.store, scan.scan_id
    record_answer(store, number, ids[0], Answer.AI, "ann")
    record_answer(store, number, ids[0], Answer.AI, "bob")
    record_answer(store, number, ids[1], Answer.NOT_AI, "ann")
    record_answer(store, number, ids[1], Answer.CANT_TELL, "bob")
    record_answer(store, number, ids[2], Answer.AI, "ann")
    record_answer(store, number, ids[2], Answer.NOT_AI, "bob")
    record_answer(store, number, ids[3], Answer.CANT_TELL, "ann")
    record_answer(store, number, ids[4], Answer.AI, "ann")
    record_answer(store, number, ids[6], Answer.AI, "bob")
    withdraw_answer(store, number, "ann")

    answered = agreed_answers(store, number)
    assert [(ids[0], b"0.jpg", True), (ids[1], b"1.jpg", False)] == [
        (answer.image_id, answer.path, answer.is_ai) for answer in answered
    ]
