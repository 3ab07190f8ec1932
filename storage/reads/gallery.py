"""A scan's judged images in pages, for the gallery, the review and exports.

Flagged images come first, by descending score; then the others, the latest listed first. A page
begins at the position where the last one ended, so that the last page of a million verdicts loads
as quickly as the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.clauses import ENTRY_VERDICT, in_folder
from storage.database.schema import entry, host, image, run, verdict
from storage.reads.selection import FEW, FLAGGED, Sort, is_one_of, read_conditions
from storage.records import ErrorKind, Outcome
from storage.writes.reviews import Answer, last_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from storage.database.store import Store
    from storage.reads.selection import Selection
    from storage.writes.scans import Scan

# Images per page of an export.
EXPORT_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Position:
    """The position of an image in the order; `score` is None for images that are not flagged."""

    score: float | None
    image_id: int


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
        [verdict.c.scan_id == scan.scan_id, verdict.c.taken_at.is_not(None)],
    ),
    Sort.CHANGED: lambda scan: (entry.c.mtime_ns, entry, [entry.c.scan_id == scan.scan_id]),
    Sort.SIZE: lambda scan: (entry.c.size_bytes, entry, [entry.c.scan_id == scan.scan_id]),
}


def position_of(outcome: Outcome | None, score: float | None, image_id: int) -> Position:
    """Return the position of an image with that verdict."""
    return Position(score if outcome in FLAGGED else None, image_id)


@dataclass(frozen=True, slots=True)
class Tile:
    """One image of a page; `answer` is its last current review, if any."""

    image_id: int
    path: bytes
    outcome: Outcome
    score: float | None
    detector: str | None
    error: ErrorKind | None
    answer: Answer | None
    size_bytes: int = 0
    mtime_ns: int = 0
    taken_at: float | None = None
    digest: bytes | None = None
    look: int | None = None

    @property
    def position(self) -> Position:
        """Return the position of the image in the order."""
        return position_of(self.outcome, self.score, self.image_id)


def _by_position(tile: Tile) -> tuple[bool, float, int]:
    score = tile.position.score
    return score is None, -(score or 0.0), -tile.image_id


# The orders of pages, as keys of images.
_ORDERS: dict[Sort, Callable[[Tile], tuple[Any, ...]]] = {
    Sort.SCORE: _by_position,
    Sort.NAME: lambda tile: (tile.path, tile.image_id),
    Sort.TAKEN: lambda tile: (-(tile.taken_at or 0.0), -tile.image_id),
    Sort.CHANGED: lambda tile: (-tile.mtime_ns, -tile.image_id),
    Sort.SIZE: lambda tile: (-tile.size_bytes, -tile.image_id),
}


@dataclass(frozen=True, slots=True)
class _Step:
    """So many images after, or before, a position; None stands for the beginning, or the end."""

    position: Position | None
    limit: int
    forwards: bool


@dataclass(frozen=True, slots=True)
class ListedFile:
    """An image as its scan listed it; `digest` is the SHA-256 of its bytes, if it was read.

    With `has_error` its pixels could not be decoded, whatever its verdict.
    """

    path: bytes
    size_bytes: int
    mtime_ns: int
    outcome: Outcome | None
    has_error: bool
    digest: bytes | None


def page(
    store: Store, scan: Scan, selection: Selection, limit: int, after: Position | None = None
) -> list[Tile]:
    """Return the next `limit` images of a selection."""
    return _page(store, scan, selection, _Step(after, limit, not selection.is_reversed))


def page_before(
    store: Store, scan: Scan, selection: Selection, limit: int, before: Position
) -> list[Tile]:
    """Return the last `limit` images of a selection before a position, in the same order."""
    return _page(store, scan, selection, _Step(before, limit, selection.is_reversed))[::-1]


def iterate(store: Store, scan: Scan, selection: Selection) -> Iterator[Tile]:
    """Yield all images of a selection; each page is one transaction."""
    after: Position | None = None
    while tiles := page(store, scan, selection, EXPORT_ROWS, after):
        yield from tiles
        after = tiles[-1].position


def selected_images(store: Store, scan: Scan, selection: Selection, limit: int) -> list[int]:
    """Return the images of a selection in no order, `limit` of them at most."""
    with store.read() as connection:
        wanted = read_conditions(store, connection, scan, selection)
        return _any(connection, scan, selection, wanted, limit)


def read_tiles(store: Store, scan: Scan, images: Sequence[int]) -> list[Tile]:
    """Return the judged ones of these images, in their order."""
    with store.read() as connection:
        rows = _rows(connection, scan, images)
    return [_tile(rows[image_id]) for image_id in images if image_id in rows]


def matching_tiles(
    store: Store, scan: Scan, selection: Selection, images: sa.CompoundSelect[Any]
) -> list[Tile]:
    """Return those of some images that are in a selection, in no order."""
    with store.read() as connection:
        ids = list(connection.scalars(images))
        conditions = read_conditions(store, connection, scan, selection)
        if selection.sort is Sort.TAKEN:
            conditions.append(verdict.c.taken_at.is_not(None))
        # An expression: by the index on outcomes, all images would be read.
        outcome = sa.func.coalesce(verdict.c.outcome, "")
        conditions.append(outcome.in_(selection.wanted_outcomes))
        query = _details(scan.scan_id).where(is_one_of(ids), *conditions)
        return [_tile(row) for row in connection.execute(query)]


def in_order(selection: Selection, tiles: Sequence[Tile]) -> list[Tile]:
    """Return images in the order of a selection."""
    return sorted(tiles, key=_ORDERS[selection.sort], reverse=selection.is_reversed)


def find_image(store: Store, scan_id: int, image_id: int) -> ListedFile | None:
    """Return an image of a scan; None where the scan has no such image."""
    query = (
        sa.select(
            image.c.path,
            entry.c.size_bytes,
            entry.c.mtime_ns,
            verdict.c.outcome,
            verdict.c.error_kind,
            verdict.c.digest,
        )
        .select_from(entry.join(image).outerjoin(verdict, ENTRY_VERDICT))
        .where(entry.c.scan_id == scan_id, entry.c.image_id == image_id)
    )
    with store.read() as connection:
        row = connection.execute(query).first()
    if row is None:
        return None
    return ListedFile(
        path=bytes(row.path),
        size_bytes=row.size_bytes,
        mtime_ns=row.mtime_ns,
        outcome=None if row.outcome is None else Outcome(row.outcome),
        has_error=row.error_kind is not None,
        digest=None if row.digest is None else bytes(row.digest),
    )


def list_hosts(store: Store, scan_id: int) -> list[tuple[str, str]]:
    """Return the hosts that worked for a scan as (id, label), by label."""
    query = (
        sa.select(host.c.id, host.c.label)
        .where(host.c.id.in_(sa.select(run.c.host_id).where(run.c.scan_id == scan_id)))
        .order_by(host.c.label, host.c.id)
    )
    with store.read() as connection:
        return [(row.id, row.label) for row in connection.execute(query)]


def _page(store: Store, scan: Scan, selection: Selection, step: _Step) -> list[Tile]:
    with store.read() as connection:
        wanted = read_conditions(store, connection, scan, selection)
        if selection.sort is Sort.SCORE:
            ids = _by_score(connection, scan, selection, wanted, step)
        else:
            ids = _by_key(connection, scan, selection, wanted, step)
        rows = _rows(connection, scan, ids)
    return [_tile(rows[image_id]) for image_id in ids]


def _by_key(
    connection: sa.Connection, scan: Scan, selection: Selection, wanted: list[Any], step: _Step
) -> list[int]:
    """Return the first images beyond a position in an order other than that of scores."""
    key, table, of_scan = _KEYS[selection.sort](scan)
    start: tuple[Any, int] | None = None
    if step.position is not None:
        image_id = step.position.image_id
        at = table.c.id if table is image else table.c.image_id
        row = connection.execute(sa.select(key).where(*of_scan, at == image_id)).first()
        if row is None or row[0] is None:
            return []
        start = row[0], image_id
    # Names begin with the first, dates and sizes with the last.
    is_ascending = step.forwards is (selection.sort is Sort.NAME)
    joined = _joined(table)
    few = _few(connection, scan, selection, wanted)
    if few is not None:
        query = sa.select(key, verdict.c.image_id).select_from(joined)
        of_verdicts = verdict.c.scan_id == scan.scan_id, is_one_of(few)
        keyed = connection.execute(query.where(*of_scan, *of_verdicts))
        rows = [(value, image_id) for value, image_id in keyed if value is not None]
        if start is not None:
            rows = [row for row in rows if (row > start if is_ascending else row < start)]
        rows.sort(reverse=not is_ascending)
        return [image_id for _, image_id in rows[: step.limit]]
    order = key, table.c.id if table is image else table.c.image_id
    conditions = [*of_scan, verdict.c.scan_id == scan.scan_id, *wanted]
    # An expression: the index on outcomes would need all of them to be sorted.
    outcome = sa.func.coalesce(verdict.c.outcome, "")
    conditions.append(outcome.in_(selection.wanted_outcomes))
    if selection.sort is Sort.NAME and selection.folder:
        conditions.append(in_folder(image.c.path, selection.folder))
    if start is not None:
        columns, bound = sa.tuple_(*order), sa.tuple_(*start)
        conditions.append(columns > bound if is_ascending else columns < bound)
    query = (
        sa.select(verdict.c.image_id)
        .select_from(joined)
        .where(*conditions)
        .order_by(*(column if is_ascending else column.desc() for column in order))
        .limit(step.limit)
    )
    return list(connection.scalars(query))


def _few(
    connection: sa.Connection, scan: Scan, selection: Selection, wanted: list[Any]
) -> list[int] | None:
    """Return the images of a selection; None where there are more than FEW."""
    ids = _any(connection, scan, selection, wanted, FEW + 1)
    return ids if len(ids) <= FEW else None


def _any(
    connection: sa.Connection, scan: Scan, selection: Selection, wanted: list[Any], limit: int
) -> list[int]:
    """Return images of a selection, `limit` of them at most."""
    if selection.sort is Sort.TAKEN:
        wanted = [*wanted, verdict.c.taken_at.is_not(None)]
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
    connection: sa.Connection, scan: Scan, selection: Selection, wanted: list[Any], step: _Step
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


def _is_ahead(step: _Step, *, flagged: bool) -> bool:
    """Return whether a range may have images beyond a position: flagged images come first."""
    if step.position is None or flagged is (step.position.score is not None):
        return True
    return flagged is not step.forwards


def _part(conditions: list[Any], step: _Step, *, flagged: bool) -> sa.Select[Any]:
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


def _rows(connection: sa.Connection, scan: Scan, images: Sequence[int]) -> dict[int, sa.Row[Any]]:
    """Return what is shown of images, by their ids."""
    query = _details(scan.scan_id).where(is_one_of(images))
    return {row.image_id: row for row in connection.execute(query)}


def _details(scan_id: int) -> sa.Select[Any]:
    return (
        sa.select(
            verdict.c.image_id,
            image.c.path,
            verdict.c.outcome,
            verdict.c.score,
            verdict.c.detector,
            verdict.c.error_kind,
            last_answer().label("answer"),
            entry.c.size_bytes,
            entry.c.mtime_ns,
            verdict.c.taken_at,
            verdict.c.digest,
            verdict.c.look,
        )
        .select_from(
            entry.join(verdict, ENTRY_VERDICT).join(image, image.c.id == verdict.c.image_id)
        )
        .where(verdict.c.scan_id == scan_id)
    )


def _tile(row: sa.Row[Any]) -> Tile:
    return Tile(
        image_id=row.image_id,
        path=bytes(row.path),
        outcome=Outcome(row.outcome),
        score=row.score,
        detector=row.detector,
        error=None if row.error_kind is None else ErrorKind(row.error_kind),
        answer=None if row.answer is None else Answer(row.answer),
        size_bytes=row.size_bytes,
        mtime_ns=row.mtime_ns,
        taken_at=row.taken_at,
        digest=None if row.digest is None else bytes(row.digest),
        look=row.look,
    )
