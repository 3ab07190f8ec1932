"""Conditions that select images of a scan, as SQL."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.clauses import in_folder
from storage.database.schema import entry, host, image, verdict
from storage.writes.reviews import agreed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PENDING = "pending"
# The value for images without a review.
NOT_REVIEWED = "no"
# The columns of the fields of conditions, in the query of `storage.reads.verdicts`.
COLUMNS: Mapping[str, sa.ColumnElement[Any]] = {
    "verdict": sa.func.coalesce(verdict.c.outcome, PENDING),
    "score": verdict.c.score,
    "detector": verdict.c.detector,
    "error": verdict.c.error_kind,
    "host": host.c.label,
    "truth": entry.c.truth,
    "folder": image.c.path,
    "reviewed": sa.func.coalesce(agreed(), NOT_REVIEWED),
    "edited": entry.c.edited.is_not(None),
}
OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A field, an operator (a key of OPERATORS, or `!=`), and values, one of which has to match.

    A `folder` matches all images in it, at any depth. Its values are bytes, those of `score`
    numbers, of `truth` and `edited` booleans, of the others text.
    """

    field: str
    comparison: str
    values: tuple[Any, ...]


def to_sql(condition: Condition) -> sa.ColumnElement[bool]:
    """Return the condition as SQL; images without a value match only `!=`."""
    column = COLUMNS[condition.field]
    if condition.comparison == "!=":
        return ~sa.func.coalesce(_any(column, condition, "="), sa.false())
    return _any(column, condition, condition.comparison)


def _any(
    column: sa.ColumnElement[Any], condition: Condition, comparison: str
) -> sa.ColumnElement[bool]:
    if condition.field == "folder":
        return sa.or_(*(in_folder(column, folder) for folder in condition.values))
    compare = OPERATORS[comparison]
    return sa.or_(*(compare(column, value) for value in condition.values))
