"""A scan's judged images in pages, for the gallery, the review and exports.

A page begins at the position where the last one ended, so that the last page of a million verdicts
loads as quickly as the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.clauses import ENTRY_VERDICT
from storage.database.schema import entry, host, image, run, verdict
from storage.reads.order import Position, Step, any_images, first_images, position_of
from storage.reads.selection import Sort, is_one_of, read_conditions
from storage.records import ErrorKind, Outcome
from storage.writes.reviews import current_reviews

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from storage.database.store import Store
    from storage.reads.selection import Selection
    from storage.writes.reviews import Review
    from storage.writes.scans import Scan

# Images per page of an export.
EXPORT_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Tile:
    """One image of a page, with its current reviews."""

    image_id: int
    path: bytes
    outcome: Outcome
    score: float | None
    detector: str | None
    error: ErrorKind | None
    reviews: tuple[Review, ...]
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
    return _page(store, scan, selection, Step(after, limit, not selection.is_reversed))


def page_before(
    store: Store, scan: Scan, selection: Selection, limit: int, before: Position
) -> list[Tile]:
    """Return the last `limit` images of a selection before a position, in the same order."""
    return _page(store, scan, selection, Step(before, limit, selection.is_reversed))[::-1]


def ids_after(
    store: Store, scan: Scan, selection: Selection, limit: int, after: Position | None
) -> list[int]:
    """Return the next `limit` images of a selection, and nothing about them."""
    return _ids(store, scan, selection, Step(after, limit, not selection.is_reversed))


def ids_before(
    store: Store, scan: Scan, selection: Selection, limit: int, before: Position
) -> list[int]:
    """Return the last `limit` images of a selection before a position, the nearest first."""
    return _ids(store, scan, selection, Step(before, limit, selection.is_reversed))


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
        return any_images(connection, scan, selection, wanted, limit)


def read_tiles(store: Store, scan: Scan, images: Sequence[int]) -> list[Tile]:
    """Return the judged ones of these images, in their order."""
    with store.read() as connection:
        tiles = _tiles(connection, scan, is_one_of(images))
    return [tiles[image_id] for image_id in images if image_id in tiles]


def matching_tiles(
    store: Store, scan: Scan, selection: Selection, images: sa.CompoundSelect[Any]
) -> list[Tile]:
    """Return those of some images that are in a selection, in no order."""
    with store.read() as connection:
        ids = list(connection.scalars(images))
        conditions = read_conditions(store, connection, scan, selection)
        # An expression: by the index on outcomes, all images would be read.
        outcome = sa.func.coalesce(verdict.c.outcome, "")
        conditions.append(outcome.in_(selection.wanted_outcomes))
        return list(_tiles(connection, scan, is_one_of(ids), *conditions).values())


def in_order(selection: Selection, tiles: Sequence[Tile]) -> list[Tile]:
    """Return images in the order of a selection."""
    ordered = sorted(tiles, key=_ORDERS[selection.sort], reverse=selection.is_reversed)
    if selection.sort is Sort.TAKEN:
        ordered.sort(key=lambda tile: tile.taken_at is None)
    return ordered


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


def _page(store: Store, scan: Scan, selection: Selection, step: Step) -> list[Tile]:
    with store.read() as connection:
        wanted = read_conditions(store, connection, scan, selection)
        ids = first_images(connection, scan, selection, wanted, step)
        tiles = _tiles(connection, scan, is_one_of(ids))
    return [tiles[image_id] for image_id in ids]


def _ids(store: Store, scan: Scan, selection: Selection, step: Step) -> list[int]:
    with store.read() as connection:
        wanted = read_conditions(store, connection, scan, selection)
        return first_images(connection, scan, selection, wanted, step)


def _tiles(
    connection: sa.Connection, scan: Scan, *conditions: sa.ColumnElement[bool]
) -> dict[int, Tile]:
    """Return what is shown of the images that meet all conditions, by their ids."""
    rows = connection.execute(_details(scan.scan_id).where(*conditions)).all()
    reviews = current_reviews(connection, scan.scan_id, [row.image_id for row in rows])
    return {row.image_id: _tile(row, reviews.get(row.image_id, ())) for row in rows}


def _details(scan_id: int) -> sa.Select[Any]:
    return (
        sa.select(
            verdict.c.image_id,
            image.c.path,
            verdict.c.outcome,
            verdict.c.score,
            verdict.c.detector,
            verdict.c.error_kind,
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


def _tile(row: sa.Row[Any], reviews: tuple[Review, ...]) -> Tile:
    return Tile(
        image_id=row.image_id,
        path=bytes(row.path),
        outcome=Outcome(row.outcome),
        score=row.score,
        detector=row.detector,
        error=None if row.error_kind is None else ErrorKind(row.error_kind),
        reviews=reviews,
        size_bytes=row.size_bytes,
        mtime_ns=row.mtime_ns,
        taken_at=row.taken_at,
        digest=None if row.digest is None else bytes(row.digest),
        look=row.look,
    )
