"""Differences between two scans of one collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from storage.database.clauses import first_columns
from storage.database.schema import entry, image, verdict
from storage.records import SCORE_THRESHOLD, Outcome

if TYPE_CHECKING:
    from storage.database.store import Store

# Images with a changed verdict that are listed.
EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Pair:
    """Images with the same outcomes in both scans, and the same label (None without one).

    `correct_before` and `correct_after`: whether the score agreed with the label; None without a
    label or a score.
    """

    before: Outcome
    after: Outcome
    label: bool | None
    correct_before: bool | None
    correct_after: bool | None
    images: int


@dataclass(frozen=True, slots=True)
class Change:
    """One image with a changed verdict."""

    path: bytes
    before: Outcome
    after: Outcome


@dataclass(frozen=True, slots=True)
class Changes:
    """The images that both scans judged, by outcomes; and some of those that changed."""

    pairs: tuple[Pair, ...]
    examples: tuple[Change, ...]


def compare_scans(store: Store, before: int, after: int) -> Changes:
    """Compare two scans; the result is empty where they are of different collections."""
    old, new = verdict.alias("old"), verdict.alias("new")
    listed = entry.alias("listed")
    both = old.join(
        new,
        (new.c.image_id == old.c.image_id) & (new.c.scan_id == after) & (old.c.scan_id == before),
    )
    correct = [(score >= SCORE_THRESHOLD) == listed.c.truth for score in (old.c.score, new.c.score)]
    key = (old.c.outcome, new.c.outcome, listed.c.truth, *correct)
    with store.read() as connection:
        rows = connection.execute(
            sa.select(*key, sa.func.count())
            .select_from(
                both.join(
                    listed,
                    (listed.c.scan_id == new.c.scan_id) & (listed.c.image_id == new.c.image_id),
                )
            )
            .group_by(*first_columns(len(key)))
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
                label=_flag(row[2]),
                correct_before=_flag(row[3]),
                correct_after=_flag(row[4]),
                images=row[5],
            )
            for row in rows
        ),
        examples=tuple(Change(bytes(row[0]), Outcome(row[1]), Outcome(row[2])) for row in changed),
    )


def _flag(value: bool | int | None) -> bool | None:  # noqa: FBT001 - SQLite has no booleans
    return None if value is None else bool(value)
