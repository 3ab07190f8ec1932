"""The images on which reviewers have answered and agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from storage.database.schema import image, review, verdict
from storage.writes.reviews import Answer, is_current

if TYPE_CHECKING:
    from storage.database.store import Store


@dataclass(frozen=True, slots=True)
class AnsweredImage:
    """An image, the digest of the file that was judged, and whether people say that it is AI."""

    image_id: int
    path: bytes
    digest: bytes
    is_ai: bool


def agreed_answers(store: Store, scan_id: int) -> list[AnsweredImage]:
    """Return the images of a scan with current answers that all say the same, by id.

    "Can't tell" does not count; images that could not be decoded are left out.
    """
    is_ai = sa.func.min(sa.case((review.c.answer == Answer.AI, 1), else_=0))
    is_any_ai = sa.func.max(sa.case((review.c.answer == Answer.AI, 1), else_=0))
    query = (
        sa.select(review.c.image_id, image.c.path, verdict.c.digest, is_ai.label("is_ai"))
        .join(image, image.c.id == review.c.image_id)
        .join(
            verdict,
            (verdict.c.scan_id == review.c.scan_id) & (verdict.c.image_id == review.c.image_id),
        )
        .where(
            review.c.scan_id == scan_id,
            is_current(),
            review.c.answer.in_((Answer.AI, Answer.NOT_AI)),
            verdict.c.digest.is_not(None),
            # What killed a worker's sandbox would kill any process that decodes it.
            verdict.c.error_kind.is_(None),
        )
        .group_by(review.c.image_id, image.c.path, verdict.c.digest)
        .having(is_ai == is_any_ai)
        .order_by(review.c.image_id)
    )
    with store.read() as connection:
        return [
            AnsweredImage(row.image_id, bytes(row.path), bytes(row.digest), bool(row.is_ai))
            for row in connection.execute(query)
        ]
