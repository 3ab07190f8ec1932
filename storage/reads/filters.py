"""Which images of a scan are asked for: conditions on their verdicts, as SQL."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.schema import entry, host, image, verdict
from storage.writes.reviews import last_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PENDING = "pending"
# What stands for no answer of a person.
NOT_REVIEWED = "no"
# The columns that the fields of conditions stand for, as the query of the rows has them.
COLUMNS: Mapping[str, sa.ColumnElement[Any]] = {
    "verdict": sa.func.coalesce(verdict.c.outcome, PENDING),
    "score": verdict.c.score,
    "detector": verdict.c.detector,
    "error": verdict.c.error_kind,
    "host": host.c.label,
    "truth": entry.c.truth,
    "folder": image.c.path,
    "reviewed": sa.func.coalesce(last_answer(), NOT_REVIEWED),
}
COMPARED: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A field, how it is compared (a key of COMPARED, or `!=`), and the values: any will do.

    `folder` is met by all that lies in the folder, however deep; its values are bytes, those of
    `score` numbers, of `truth` booleans, of the others texts.
    """

    field: str
    comparison: str
    values: tuple[Any, ...]


def clause(condition: Condition) -> sa.ColumnElement[bool]:
    """The condition as SQL; of images without a value `!=` is met, nothing else."""
    column = COLUMNS[condition.field]
    if condition.comparison == "!=":
        return ~sa.func.coalesce(_any(column, condition, "="), sa.false())
    return _any(column, condition, condition.comparison)


def _any(
    column: sa.ColumnElement[Any], condition: Condition, comparison: str
) -> sa.ColumnElement[bool]:
    if condition.field == "folder":
        # Between the slash and the byte after it lies all that is in the folder.
        return sa.or_(
            *((column >= folder + b"/") & (column < folder + b"0") for folder in condition.values)
        )
    compare = COMPARED[comparison]
    return sa.or_(*(compare(column, value) for value in condition.values))
