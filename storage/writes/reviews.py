"""What people say of images: beside the verdicts, never in their place.

An answer stands until the same person gives another one on that image, or takes it back. Every
answer stays in the store, with who gave it and when.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import sqlalchemy as sa

from storage.database.schema import entry, review, verdict
from storage.errors import NotFound
from storage.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.database.store import Store


class Answer(StrEnum):
    """What a person can say of an image."""

    AI = "ai"
    NOT_AI = "not_ai"
    CANT_TELL = "cant_tell"


@dataclass(frozen=True, slots=True)
class Review:
    """One answer; it `stands` unless another took its place or it was taken back."""

    answer: Answer
    reviewer: str
    at: float
    stands: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the review of a scan is.

    `answers` counts the images by (outcome, last answer that stands), `disagreements` those on
    which people contradict the verdict or each other.
    """

    answers: Mapping[tuple[Outcome, Answer], int]
    disagreements: int


def stands() -> sa.ColumnElement[bool]:
    """The condition of an answer that nothing has ended."""
    return review.c.ended_at.is_(None)


def last_answer() -> sa.ScalarSelect[str]:
    """The last answer that stands on the image of a verdict, NULL where there is none."""
    # Its own name: it also stands in queries that have `review` already.
    last = review.alias("last_review")
    return (
        sa.select(last.c.answer)
        .where(
            last.c.scan_id == verdict.c.scan_id,
            last.c.image_id == verdict.c.image_id,
            last.c.ended_at.is_(None),
        )
        .order_by(last.c.id.desc())
        .limit(1)
        .correlate(verdict)
        .scalar_subquery()
    )


def disagrees() -> sa.ColumnElement[bool]:
    """The condition of a verdict that an answer contradicts, or on whose image two people differ.

    A doubtful verdict contradicts nobody.
    """

    def said(answer: Answer) -> sa.Exists:
        other = review.alias(f"said_{answer}")
        return sa.exists().where(
            other.c.scan_id == verdict.c.scan_id,
            other.c.image_id == verdict.c.image_id,
            other.c.ended_at.is_(None),
            other.c.answer == answer,
        )

    return sa.or_(
        (verdict.c.outcome == Outcome.AI) & said(Answer.NOT_AI),
        (verdict.c.outcome == Outcome.NO_EVIDENCE) & said(Answer.AI),
        said(Answer.AI) & said(Answer.NOT_AI),
    )


def give(store: Store, scan_id: int, image_id: int, answer: Answer, reviewer: str) -> None:
    """Record an answer in the place of the reviewer's own on that image, if there is one.

    Raises NotFound where the scan has no such image.
    """
    now = time.time()
    ours = (review.c.scan_id == scan_id) & (review.c.image_id == image_id)
    with store.write() as connection:
        known = sa.select(entry.c.image_id).where(
            entry.c.scan_id == scan_id, entry.c.image_id == image_id
        )
        if connection.execute(known).first() is None:
            raise NotFound(f"Scan {scan_id} has no image {image_id}")
        connection.execute(
            sa.update(review)
            .where(ours, review.c.reviewer == reviewer, stands())
            .values(ended_at=now)
        )
        connection.execute(
            sa.insert(review).values(
                scan_id=scan_id, image_id=image_id, answer=answer, reviewer=reviewer, at=now
            )
        )


def take_back(store: Store, scan_id: int, reviewer: str) -> int | None:
    """Take a reviewer's last answer in a scan back; its image, or None where there is none.

    What he had said of that image before stands again.
    """
    now = time.time()
    with store.write() as connection:
        his = (review.c.scan_id == scan_id) & (review.c.reviewer == reviewer)
        last = connection.execute(
            sa.select(review).where(his, stands()).order_by(review.c.id.desc()).limit(1)
        ).first()
        if last is None:
            return None
        connection.execute(
            sa.update(review)
            .where(his, review.c.image_id == last.image_id, review.c.ended_at == last.at)
            .values(ended_at=None)
        )
        connection.execute(sa.update(review).where(review.c.id == last.id).values(ended_at=now))
    return int(last.image_id)


def reviews_of(store: Store, scan_id: int, image_id: int) -> tuple[Review, ...]:
    """Every answer on an image, the first one first."""
    query = (
        sa.select(review)
        .where(review.c.scan_id == scan_id, review.c.image_id == image_id)
        .order_by(review.c.id)
    )
    with store.read() as connection:
        return tuple(
            Review(Answer(row.answer), row.reviewer, row.at, row.ended_at is None)
            for row in connection.execute(query)
        )


def progress(store: Store, scan_id: int) -> Progress:
    """How far the review of a scan is."""
    reviewed = (
        sa.select(review.c.image_id)
        .where(review.c.scan_id == scan_id, stands())
        .distinct()
        .subquery()
    )
    # From the few that are reviewed to their verdicts, not the other way round.
    judged = reviewed.join(
        verdict, (verdict.c.scan_id == scan_id) & (verdict.c.image_id == reviewed.c.image_id)
    )
    said = (
        sa.select(verdict.c.outcome, last_answer().label("answer")).select_from(judged).subquery()
    )
    by_answer = sa.select(said.c.outcome, said.c.answer, sa.func.count()).group_by(
        said.c.outcome, said.c.answer
    )
    differ = sa.select(sa.func.count()).select_from(judged).where(disagrees())
    with store.read() as connection:
        return Progress(
            {
                (Outcome(outcome), Answer(answer)): number
                for outcome, answer, number in connection.execute(by_answer)
            },
            connection.execute(differ).scalar_one(),
        )
