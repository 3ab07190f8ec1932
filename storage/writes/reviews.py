"""Reviews: the answers of people about images, which never change a verdict.

An answer is current until the same person gives another one for the image, or withdraws it. All
answers stay in the store, with reviewer and time. Answers that were given together have the same
time, and are withdrawn together.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.schema import entry, review, verdict
from storage.database.store import among
from storage.errors import NotFound
from storage.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from storage.database.store import Store


# Images in a statement: stores limit the number of parameters.
_STATEMENT_IMAGES = 1_000


class Answer(StrEnum):
    """A reviewer's answer to whether an image is AI-generated."""

    AI = "ai"
    NOT_AI = "not_ai"
    CANT_TELL = "cant_tell"


class Agreed(StrEnum):
    """What the reviewers of an image agree on; "can't tell" contradicts nobody."""

    AI = "ai"
    NOT_AI = "not_ai"
    CANT_TELL = "cant_tell"
    CONTRADICTING = "contradicting"


@dataclass(frozen=True, slots=True)
class Review:
    """One answer; `is_current` unless it was replaced or withdrawn."""

    answer: Answer
    reviewer: str
    at: float
    is_current: bool


@dataclass(frozen=True, slots=True)
class LastAnswer:
    """What a reviewer answered last: for how many images at once, and when."""

    answer: Answer
    images: int
    at: float


@dataclass(frozen=True, slots=True)
class ReviewProgress:
    """The progress of a scan's review.

    `answers` counts images by (outcome, what their reviewers agree on), `disagreements` those where
    reviewers contradict the verdict or each other.
    """

    answers: Mapping[tuple[Outcome, Agreed], int]
    disagreements: int


def is_current() -> sa.ColumnElement[bool]:
    """Return the condition of an answer that was neither replaced nor withdrawn."""
    return review.c.ended_at.is_(None)


def agreed() -> sa.ScalarSelect[str]:
    """Return what the reviewers of a verdict's image agree on, NULL where there is no answer."""
    # With an alias, since queries around it may have `review` already.
    given = review.alias("given_review")

    def has(answer: Answer) -> sa.ColumnElement[bool]:
        return sa.func.max(sa.case((given.c.answer == answer, 1), else_=0)) == 1

    return (
        sa.select(
            sa.case(
                (has(Answer.AI) & has(Answer.NOT_AI), Agreed.CONTRADICTING),
                (has(Answer.AI), Agreed.AI),
                (has(Answer.NOT_AI), Agreed.NOT_AI),
                (has(Answer.CANT_TELL), Agreed.CANT_TELL),
            )
        )
        .where(
            given.c.scan_id == verdict.c.scan_id,
            given.c.image_id == verdict.c.image_id,
            given.c.ended_at.is_(None),
        )
        .correlate(verdict)
        .scalar_subquery()
    )


def disagrees() -> sa.ColumnElement[bool]:
    """Return the condition of a verdict that reviewers contradict, or on which they disagree.

    An `unsure` verdict contradicts no answer.
    """

    def has(answer: Answer) -> sa.Exists:
        other = review.alias(f"answered_{answer}")
        return sa.exists().where(
            other.c.scan_id == verdict.c.scan_id,
            other.c.image_id == verdict.c.image_id,
            other.c.ended_at.is_(None),
            other.c.answer == answer,
        )

    return sa.or_(
        (verdict.c.outcome == Outcome.AI) & has(Answer.NOT_AI),
        (verdict.c.outcome == Outcome.NO_EVIDENCE) & has(Answer.AI),
        has(Answer.AI) & has(Answer.NOT_AI),
    )


def record_answer(store: Store, scan_id: int, image_id: int, answer: Answer, reviewer: str) -> None:
    """Record an answer; it replaces the reviewer's earlier one for that image.

    Raises NotFound where the scan has no such image.
    """
    record_answers(store, scan_id, [image_id], answer, reviewer)


def record_answers(
    store: Store, scan_id: int, images: Sequence[int], answer: Answer, reviewer: str
) -> None:
    """Record the same answer for images, all or none; raises NotFound as `record_answer`."""
    now = time.time()
    values = {"scan_id": scan_id, "answer": answer, "reviewer": reviewer, "at": now}
    every = list(dict.fromkeys(images))
    with store.write() as connection:
        for first in range(0, len(every), _STATEMENT_IMAGES):
            part = every[first : first + _STATEMENT_IMAGES]
            listed = sa.select(entry.c.image_id).where(
                entry.c.scan_id == scan_id, entry.c.image_id.in_(part)
            )
            missing = set(part) - set(connection.scalars(listed))
            if missing:
                raise NotFound(f"Image not found: {min(missing)} in scan {scan_id}")
            connection.execute(
                sa.update(review)
                .where(_by_reviewer(scan_id, reviewer), review.c.image_id.in_(part), is_current())
                .values(ended_at=now)
            )
            rows = [values | {"image_id": image_id} for image_id in part]
            connection.execute(sa.insert(review), rows)


def withdraw_answer(
    store: Store, scan_id: int, reviewer: str, at: float | None = None
) -> int | None:
    """Withdraw a reviewer's last answer in a scan, with those given together with it.

    Return its image (the last of several), None where there is no answer, or where the last one was
    given at another time than `at`. The reviewer's answers before become current again.
    """
    now = time.time()
    by_reviewer = _by_reviewer(scan_id, reviewer)
    with store.write() as connection:
        last = connection.execute(_last(scan_id, reviewer)).first()
        if last is None or at not in (None, last.at):
            return None
        connection.execute(
            sa.update(review).where(by_reviewer, review.c.ended_at == last.at).values(ended_at=None)
        )
        connection.execute(
            sa.update(review)
            .where(by_reviewer, is_current(), review.c.at == last.at)
            .values(ended_at=now)
        )
    return int(last.image_id)


def read_last_answer(store: Store, scan_id: int, reviewer: str) -> LastAnswer | None:
    """Return what a reviewer answered last in a scan, None where there is no answer."""
    with store.read() as connection:
        last = connection.execute(_last(scan_id, reviewer)).first()
        if last is None:
            return None
        together = sa.select(sa.func.count()).where(
            _by_reviewer(scan_id, reviewer), is_current(), review.c.at == last.at
        )
        number = connection.execute(together).scalar_one()
    return LastAnswer(Answer(last.answer), number, last.at)


def answered_by(store: Store, scan_id: int, reviewer: str) -> set[int]:
    """Return the images of a scan on which a reviewer has a current answer."""
    query = sa.select(review.c.image_id).where(_by_reviewer(scan_id, reviewer), is_current())
    with store.read() as connection:
        return set(connection.scalars(query))


def _by_reviewer(scan_id: int, reviewer: str) -> sa.ColumnElement[bool]:
    return (review.c.scan_id == scan_id) & (review.c.reviewer == reviewer)


def _last(scan_id: int, reviewer: str) -> sa.Select[Any]:
    return (
        sa.select(review)
        .where(_by_reviewer(scan_id, reviewer), is_current())
        .order_by(review.c.id.desc())
        .limit(1)
    )


def list_reviews(store: Store, scan_id: int, image_id: int) -> tuple[Review, ...]:
    """Return all answers for an image, the oldest first."""
    of_image = (review.c.scan_id == scan_id) & (review.c.image_id == image_id)
    with store.read() as connection:
        rows = connection.execute(sa.select(review).where(of_image).order_by(review.c.id))
        return tuple(map(_review, rows))


def current_reviews(
    connection: sa.Connection, scan_id: int, images: Sequence[int]
) -> dict[int, tuple[Review, ...]]:
    """Return the current answers for those of some images that have any, the oldest first."""
    of_images = among(connection, review.c.image_id, images)
    current = sa.select(review).where(review.c.scan_id == scan_id, of_images, is_current())
    found: dict[int, tuple[Review, ...]] = {}
    for row in connection.execute(current.order_by(review.c.id)):
        found[row.image_id] = (*found.get(row.image_id, ()), _review(row))
    return found


def _review(row: sa.Row[Any]) -> Review:
    return Review(Answer(row.answer), row.reviewer, row.at, row.ended_at is None)


def review_progress(store: Store, scan_id: int) -> ReviewProgress:
    """Return the progress of a scan's review."""
    reviewed = (
        sa.select(review.c.image_id)
        .where(review.c.scan_id == scan_id, is_current())
        .distinct()
        .subquery()
    )
    # From the few reviewed images to their verdicts, not the other way round.
    judged = reviewed.join(
        verdict, (verdict.c.scan_id == scan_id) & (verdict.c.image_id == reviewed.c.image_id)
    )
    answered = sa.select(verdict.c.outcome, agreed().label("answer")).select_from(judged).subquery()
    by_answer = sa.select(answered.c.outcome, answered.c.answer, sa.func.count()).group_by(
        answered.c.outcome, answered.c.answer
    )
    disagreements = sa.select(sa.func.count()).select_from(judged).where(disagrees())
    with store.read() as connection:
        return ReviewProgress(
            {
                (Outcome(outcome), Agreed(answer)): number
                for outcome, answer, number in connection.execute(by_answer)
            },
            connection.execute(disagreements).scalar_one(),
        )
