"""Conditions and sub-queries that several modules share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from storage.database.schema import entry, verdict
from storage.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

SLASH = b"/"
# The byte after the slash: the paths of all files in a folder sort between the two.
AFTER_SLASH = b"0"

# Joins an entry to its verdict.
ENTRY_VERDICT = (verdict.c.scan_id == entry.c.scan_id) & (verdict.c.image_id == entry.c.image_id)


def failed_images(scan_id: int) -> sa.Select[int]:
    """Select the images of a scan that ended in `error`, by the index on outcomes.

    As a sub-query it keeps SQLite from reading every verdict to find these few.
    """
    return sa.select(verdict.c.image_id).where(
        verdict.c.scan_id == scan_id, verdict.c.outcome == Outcome.ERROR
    )


def settled_images(scan_id: int) -> sa.Select[int]:
    """Select the images of a scan that metadata settled, and whose pixels ended in an error."""
    return sa.select(verdict.c.image_id).where(
        verdict.c.scan_id == scan_id,
        verdict.c.outcome == Outcome.AI,
        verdict.c.examined.is_(False),
        verdict.c.error_kind.is_not(None),
    )


def in_folder(path: sa.ColumnElement[bytes], folder: bytes) -> sa.ColumnElement[bool]:
    """Return the condition of paths below a folder, at any depth: a range of an index on paths."""
    name = folder.rstrip(SLASH)
    return (path >= name + SLASH) & (path < name + AFTER_SLASH)


def first_columns(number: int) -> Sequence[sa.TextClause]:
    """Return the first columns of a SELECT, to group by.

    By position: Postgres takes an expression with bound parameters for two different ones.
    """
    return [sa.text(str(position)) for position in range(1, number + 1)]
