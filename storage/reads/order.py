"""The order of a scan's judged images: which come next after a position, read from indexes.

Flagged images come first, by descending score; then the others, the latest listed first. Or images
come by name, time of taking, time of change or size; those without a time of taking last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.clauses import ENTRY_VERDICT, in_folder
from storage.database.schema import entry, image, verdict
from storage.reads.selection import FEW, FLAGGED, Sort, is_one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from storage.reads.selection import Selection
    from storage.records import Outcome
    from storage.writes.scans import Scan


@dataclass(frozen=True, slots=True)
class Position:
    """The position of an image in the order; `score` is None for images that are not flagged."""

    score: float | None
    image_id: int


def position_of(outcome: Outcome | None, score: float | None, image_id: int) -> Position:
    """Return the position of an image with that verdict."""
    return Position(score if outcome in FLAGGED else None, image_id)


@dataclass(frozen=True, slots=True)
class Step:
    """So many images after, or before, a position; None stands for the beginning, or the end."""

    position: Position | None
    limit: int
    forwards: bool


_Key = tuple[sa.ColumnElement[Any], sa.Table, list[Any]]
# By what an order sorts: a column, its table, and the condition of the scan in it.
_KEYS: dict[Sort, Callable[[Scan], _Key]] = {
    Sort.NAME: lambda scan: (
        image.c.path,
        image,
        [image.c.collection_id == scan.collection_id],
    ),
    Sort.TAKEN: lambda scan: (
        verdict.c.taken_at,
        verdict,
        [verdict.c.scan_id == scan.scan_id],
    ),
    Sort.CHANGED: lambda scan: (entry.c.mtime_ns, entry, [entry.c.scan_id == scan.scan_id]),
    Sort.SIZE: lambda scan: (entry.c.size_bytes, entry, [entry.c.scan_id == scan.scan_id]),
}


def first_images(
    connection: sa.Connection, scan: Scan, selection: Selection, wanted: list[Any], step: Step
) -> list[int]:
    """Return the first images of a selection beyond a position.

    `wanted` are its conditions, but for outcomes and whether images were examined.
    """
    ordered = _by_score if selection.sort is Sort.SCORE else _by_key
    return ordered(connection, scan, selection, wanted, step)


def _by_key(
    connection: sa.Connection, scan: Scan, selection: Selection, wanted: list[Any], step: Step
) -> list[int]:
    """Return the first images beyond a position in an order other than that of scores."""
    key, table, of_scan = _KEYS[selection.sort](scan)
    start: tuple[Any, int] | None = None
    if step.position is not None:
        image_id = step.position.image_id
        at = table.c.id if table is image else table.c.image_id
        row = connection.execute(sa.select(key).where(*of_scan, at == image_id)).first()
        if row is None:
            return []
        start = row[0], image_id
    # Names begin with the first, dates and sizes with the last.
    is_ascending = step.forwards is (selection.sort is Sort.NAME)
    # Images without a date are the last ones in either direction.
    parts = [False, True] if step.forwards is not selection.is_reversed else [True, False]
    few = any_images(connection, scan, selection, wanted, FEW + 1)
    if len(few) <= FEW:
        of_few = sa.select(key, verdict.c.image_id).select_from(_joined(table))
        of_few = of_few.where(*of_scan, verdict.c.scan_id == scan.scan_id, is_one_of(few))
        known = [(value, image_id) for value, image_id in connection.execute(of_few)]
        return _first_of_few(known, parts, start, is_ascending=is_ascending)[: step.limit]
    conditions = [*of_scan, verdict.c.scan_id == scan.scan_id, *wanted]
    # An expression: the index on outcomes would need all of them to be sorted.
    outcome = sa.func.coalesce(verdict.c.outcome, "")
    conditions.append(outcome.in_(selection.wanted_outcomes))
    if selection.sort is Sort.NAME and selection.folder:
        conditions.append(in_folder(image.c.path, selection.folder))
    ids: list[int] = []
    for undated in parts if selection.sort is Sort.TAKEN else [False]:
        image_id_of = table.c.id if table is image else table.c.image_id
        order: list[sa.ColumnElement[Any]] = [image_id_of] if undated else [key, image_id_of]
        of_part = [*conditions]
        if selection.sort is Sort.TAKEN:
            of_part.append(key.is_(None) if undated else key.is_not(None))
        if start is not None and undated is (start[0] is None):
            columns, bound = sa.tuple_(*order), sa.tuple_(*start[-len(order) :])
            of_part.append(columns > bound if is_ascending else columns < bound)
        elif start is not None and parts.index(undated) < parts.index(start[0] is None):
            continue
        query = (
            sa.select(verdict.c.image_id)
            .select_from(_joined(table))
            .where(*of_part)
            .order_by(*(column if is_ascending else column.desc() for column in order))
            .limit(step.limit - len(ids))
        )
        ids += connection.scalars(query)
        if len(ids) == step.limit:
            break
    return ids


def _first_of_few(
    known: list[tuple[Any, int]],
    parts: list[bool],
    start: tuple[Any, int] | None,
    *,
    is_ascending: bool,
) -> list[int]:
    """Return images by their keys, those beyond a start; `parts` says where None is."""
    ids: list[int] = []
    for undated in parts:
        rows = [(0 if undated else row[0], row[1]) for row in known if undated is (row[0] is None)]
        if start is not None and undated is (start[0] is None):
            bound = (0 if undated else start[0], start[1])
            rows = [row for row in rows if (row > bound if is_ascending else row < bound)]
            start = None
        elif start is not None:
            continue
        ids += [image_id for _, image_id in sorted(rows, reverse=not is_ascending)]
    return ids


def any_images(
    connection: sa.Connection, scan: Scan, selection: Selection, wanted: list[Any], limit: int
) -> list[int]:
    """Return images of a selection, `limit` of them at most."""
    parts = [
        sa.select(verdict.c.image_id).where(*conditions, *wanted).limit(limit)
        for conditions, _ in _ranges(scan, selection)
    ]
    if not parts:
        return []
    every = sa.union_all(*(sa.select(part.subquery()) for part in parts))
    return list(connection.scalars(sa.select(every.subquery()).limit(limit)))


def _joined(table: sa.Table) -> sa.FromClause:
    """Return a table joined to its verdicts."""
    if table is verdict:
        return verdict
    on = verdict.c.image_id == image.c.id if table is image else ENTRY_VERDICT
    return table.join(verdict, on)


def _by_score(
    connection: sa.Connection, scan: Scan, selection: Selection, wanted: list[Any], step: Step
) -> list[int]:
    """Return the first images beyond a position, flagged ones by score."""
    parts = [
        _part(conditions + wanted, step, flagged=flagged)
        for conditions, flagged in _ranges(scan, selection)
        if _is_ahead(step, flagged=flagged)
    ]
    if not parts:
        return []
    # Each part comes from an index, in its order; the first of all are the first of their parts.
    candidates = sa.union_all(*(sa.select(part.subquery()) for part in parts)).subquery()
    order: list[sa.ColumnElement[Any]] = [
        sa.case((candidates.c.score.is_(None), 1), else_=0),
        -candidates.c.score,
        -candidates.c.image_id,
    ]
    first = sa.select(candidates.c.image_id).limit(step.limit)
    first = first.order_by(*(key if step.forwards else key.desc() for key in order))
    return list(connection.scalars(first))


def _ranges(scan: Scan, selection: Selection) -> Iterator[tuple[list[Any], bool]]:
    """Yield the ranges of indexes with a selection, and whether their images are flagged."""
    for outcome in selection.wanted_outcomes:
        of_outcome = [verdict.c.scan_id == scan.scan_id, verdict.c.outcome == outcome]
        if outcome in FLAGGED:
            # As the condition of the partial index, word for word.
            yield [*of_outcome, sa.text("verdict.outcome IN ('ai', 'unsure')")], True
            continue
        for examined in (True, False):
            if selection.is_examined is (not examined):
                continue
            yield [*of_outcome, verdict.c.examined.is_(examined)], False


def _is_ahead(step: Step, *, flagged: bool) -> bool:
    """Return whether a range may have images beyond a position: flagged images come first."""
    if step.position is None or flagged is (step.position.score is not None):
        return True
    return flagged is not step.forwards


def _part(conditions: list[Any], step: Step, *, flagged: bool) -> sa.Select[Any]:
    """Select the first images of a range beyond a position; without scores if not flagged."""
    position, image_id = step.position, verdict.c.image_id
    score: sa.ColumnElement[Any] = verdict.c.score if flagged else sa.null()
    order = (verdict.c.score, image_id) if flagged else (image_id,)
    if position is not None and flagged is (position.score is not None):
        columns = sa.tuple_(*order)
        values = (position.score, position.image_id) if flagged else (position.image_id,)
        bound = sa.tuple_(*values)
        conditions = [*conditions, columns < bound if step.forwards else columns > bound]
    return (
        sa.select(image_id, sa.cast(score, sa.Float).label("score"))
        .where(*conditions)
        .order_by(*(column.desc() if step.forwards else column for column in order))
        .limit(step.limit)
    )
