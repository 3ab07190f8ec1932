"""What two scans of one collection say of the same images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from storage.database.schema import entry, image, verdict
from storage.records import SCORE_THRESHOLD, Outcome

if TYPE_CHECKING:
    from storage.database.store import Store

# Images named whose verdict changed.
EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Pair:
    """Images that one scan judged `before` and the other `after`; their label, None without one.

    `right_before` and `right_after` say whether the score was on the label's side; None where
    there is no label or no score.
    """

    before: Outcome
    after: Outcome
    truth: bool | None
    right_before: bool | None
    right_after: bool | None
    images: int


@dataclass(frozen=True, slots=True)
class Change:
    """One image whose verdict changed."""

    path: bytes
    before: Outcome
    after: Outcome


@dataclass(frozen=True, slots=True)
class Changes:
    """How the images that both scans judged went over; and some of those that changed."""

    pairs: tuple[Pair, ...]
    examples: tuple[Change, ...]


def changes(store: Store, before: int, after: int) -> Changes:
    """What changed from one scan to another; nothing where they are of different collections."""
    old, new = verdict.alias("old"), verdict.alias("new")
    listed = entry.alias("listed")
    both = old.join(
        new,
        (new.c.image_id == old.c.image_id) & (new.c.scan_id == after) & (old.c.scan_id == before),
    )
    right = [(score >= SCORE_THRESHOLD) == listed.c.truth for score in (old.c.score, new.c.score)]
    same = (old.c.outcome, new.c.outcome, listed.c.truth, *right)
    with store.read() as connection:
        rows = connection.execute(
            sa.select(*same, sa.func.count())
            .select_from(
                both.join(
                    listed,
                    (listed.c.scan_id == new.c.scan_id) & (listed.c.image_id == new.c.image_id),
                )
            )
            .group_by(*(sa.text(str(place)) for place in range(1, len(same) + 1)))
        ).all()
        changed = connection.execute(
            sa.select(image.c.path, old.c.outcome, new.c.outcome)
            .select_from(both.join(image, image.c.id == old.c.image_id))
            .where(old.c.outcome != new.c.outcome)
            .order_by(old.c.image_id)
            .limit(EXAMPLES)
        ).all()
    return Changes(
        pairs=tuple(
            Pair(
                before=Outcome(row[0]),
                after=Outcome(row[1]),
                truth=_truth(row[2]),
                right_before=_truth(row[3]),
                right_after=_truth(row[4]),
                images=row[5],
            )
            for row in rows
        ),
        examples=tuple(Change(bytes(row[0]), Outcome(row[1]), Outcome(row[2])) for row in changed),
    )


def _truth(value: bool | int | None) -> bool | None:  # noqa: FBT001 - SQLite has no booleans
    return None if value is None else bool(value)
