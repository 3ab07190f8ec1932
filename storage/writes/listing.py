"""The images that a scan lists, in batches.

Images and their batch are committed here before the batch is published.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

import sqlalchemy as sa

from storage.database.clauses import failed_images
from storage.database.schema import batch, collection, entry, finding, image, scan, verdict
from storage.database.store import BulkInsert, among, insert_one
from storage.records import Batch, BatchImage
from storage.sidecars import sidecars_from_json, sidecars_to_json
from storage.writes.kept import copy_answers, copy_verdicts, find_kept
from storage.writes.scans import lock_scan

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence

    from storage.database.store import Store
    from storage.records import ErrorKind, ListedImage, Sidecar
    from storage.writes.kept import EarlierScans
    from storage.writes.scans import Scan

# Paths that are read at once.
_PAGE = 10_000


def add_batch(
    store: Store, current: Scan, listed: Sequence[ListedImage], earlier: EarlierScans | None
) -> Batch | None:
    """Insert images and their batch in one transaction, and return the batch.

    Skips images that the scan already has. Images unchanged since the latest of the
    earlier scans that judged them get its verdict; the others make the batch. Returns None where
    there are no others.
    """
    return add_batches(store, current, [listed], earlier)[0]


def add_batches(
    store: Store,
    current: Scan,
    groups: Sequence[Sequence[ListedImage]],
    earlier: EarlierScans | None,
) -> list[Batch | None]:
    """Do the same for several batches, in one transaction."""
    with store.write() as connection:
        # Another producer of the same scan may be listing the same images.
        lock_scan(connection, current.scan_id)
        added = [_add_batch(connection, current, listed, earlier) for listed in groups]
        connection.execute(
            sa.update(scan)
            .where(scan.c.id == current.scan_id)
            .values(images=scan.c.images + sum(new for new, _ in added), finished_at=None)
        )
    return [batch for _, batch in added]


def _add_batch(
    connection: sa.Connection,
    current: Scan,
    listed: Sequence[ListedImage],
    earlier: EarlierScans | None,
) -> tuple[int, Batch | None]:
    """Return the number of images that are new to the scan, and their batch."""
    ids, added = _image_ids(connection, current.collection_id, listed)
    earlier_images = set(ids.values()) - added
    known = _in_scan(connection, current.scan_id, earlier_images)
    new = [item for item in listed if ids[item.path] not in known]
    kept: dict[int, int] = {}
    known_files = {ids[i.path]: i for i in new if ids[i.path] not in added}
    if earlier is not None and known_files:
        kept = find_kept(connection, known_files, earlier)
    fresh = [item for item in new if ids[item.path] not in kept]
    batch_id = _insert_batch(connection, current.scan_id, fresh)
    _insert_entries(connection, current.scan_id, batch_id, [(ids[i.path], i) for i in new], kept)
    if earlier is not None and known_files:
        copy_verdicts(connection, current.scan_id, kept)
        copy_answers(connection, current.scan_id, known_files, earlier)
    if batch_id is None:
        return len(new), None
    return len(new), Batch(batch_id, 1, tuple(batch_image(ids[i.path], i) for i in fresh))


def batch_image(image_id: int, listed: ListedImage) -> BatchImage:
    """Return a listed image as batches have it."""
    return BatchImage(
        image_id, listed.path, listed.size_bytes, listed.sidecars, listed.mtime_ns // 10**9
    )


def _in_scan(connection: sa.Connection, scan_id: int, images: Collection[int]) -> set[int]:
    """Return which of the images the scan has."""
    if not images:
        return set()
    is_listed = (entry.c.scan_id == scan_id) & among(connection, entry.c.image_id, images)
    return set(connection.scalars(sa.select(entry.c.image_id).where(is_listed)))


def retry_errors(
    store: Store,
    scan_id: int,
    max_images: int,
    stat: Callable[[bytes], tuple[int, int] | None],
    kind: ErrorKind | None = None,
) -> int:
    """Put every image that ended in `error` into new batches, and return their number.

    With a `kind`, only those with an error of this kind. Deletes their verdicts. `stat` returns the
    present size (bytes) and modification time (ns) of a path, or None: a file may have been
    repaired since it was listed.
    """
    failed = failed_images(scan_id)
    if kind is not None:
        failed = failed.where(verdict.c.error_kind == kind.value)
    next_images = (
        sa.select(image.c.id, image.c.path)
        .where(image.c.id.in_(failed))
        .order_by(image.c.id)
        .limit(max_images)
    )
    total = 0
    while True:
        with store.read() as connection:
            rows = connection.execute(next_images).all()
        # Outside any transaction: a network share that hangs must not block other writers.
        stats = {image_id: stat(bytes(path)) for image_id, path in rows}
        if not stats:
            return total
        with store.write() as connection:
            # Another process may have retried some of them in the meantime.
            lock_scan(connection, scan_id)
            ids = list(connection.scalars(failed.where(verdict.c.image_id.in_(stats))))
            if not ids:
                continue
            entries = (entry.c.scan_id == scan_id) & entry.c.image_id.in_(ids)
            _update_stats(connection, scan_id, {image_id: stats[image_id] for image_id in ids})
            size = connection.scalar(sa.select(sa.func.sum(entry.c.size_bytes)).where(entries))
            # Attempt 2, for the sandbox: one of them may have killed a worker.
            batch_id = insert_one(
                connection, batch, scan_id=scan_id, images=len(ids), size_bytes=size, attempt=2
            )
            connection.execute(sa.update(entry).where(entries).values(batch_id=batch_id))
            delete_verdicts(connection, scan_id, ids)
            total += len(ids)


def delete_verdicts(connection: sa.Connection, scan_id: int, images: Collection[int]) -> None:
    """Delete the verdicts of images with their findings; the scan is not finished then."""
    for table in (finding, verdict):
        connection.execute(
            sa.delete(table).where(table.c.scan_id == scan_id, table.c.image_id.in_(images))
        )
    connection.execute(sa.update(scan).where(scan.c.id == scan_id).values(finished_at=None))


def record_sidecars(
    store: Store, scan_id: int, sidecars: Mapping[int, tuple[Sidecar, ...]]
) -> None:
    """Replace the sidecars that a scan lists for images, by image id."""
    if not sidecars:
        return
    with store.write() as connection:
        for image_id, listed in sidecars.items():
            connection.execute(
                sa.update(entry)
                .where(entry.c.scan_id == scan_id, entry.c.image_id == image_id)
                .values(sidecars=sidecars_to_json(listed))
            )


def root_of_listed(
    store: Store, name: str, path: bytes, sidecar: bytes | None = None
) -> bytes | None:
    """Return the root folder of a collection if one of its scans lists the image.

    With the name of a sidecar, only if the latest of these scans lists it for the image.
    """
    with store.read() as connection:
        row = connection.execute(
            sa.select(collection.c.root, entry.c.sidecars)
            .select_from(collection.join(image).join(entry))
            .where(collection.c.name == name, image.c.path == path)
            .order_by(entry.c.scan_id.desc())
            .limit(1)
        ).first()
    if row is None:
        return None
    if sidecar is not None and not any(
        listed.name == sidecar for listed in sidecars_from_json(row.sidecars)
    ):
        return None
    return bytes(row.root)


def image_paths(store: Store, collection_id: int) -> Iterator[bytes]:
    """Yield the paths of a collection's images, of whatever scan, page by page."""
    after = 0
    while True:
        with store.read() as connection:
            rows = connection.execute(
                sa.select(image.c.id, image.c.path)
                .where(image.c.collection_id == collection_id, image.c.id > after)
                .order_by(image.c.id)
                .limit(_PAGE)
            ).all()
        if not rows:
            return
        yield from (bytes(row.path) for row in rows)
        after = rows[-1].id


def _update_stats(
    connection: sa.Connection, scan_id: int, stats: Mapping[int, tuple[int, int] | None]
) -> None:
    """Update the sizes and modification times of images, where they are known."""
    for image_id, stat in stats.items():
        if stat is not None:
            connection.execute(
                sa.update(entry)
                .where(entry.c.scan_id == scan_id, entry.c.image_id == image_id)
                .values(size_bytes=stat[0], mtime_ns=stat[1])
            )


def _image_ids(
    connection: sa.Connection, collection_id: int, listed: Sequence[ListedImage]
) -> tuple[dict[bytes, int], set[int]]:
    """Return the ids of images by path, and those that were added now."""
    paths = [item.path for item in listed]
    ids = {}
    if _has_between(connection, collection_id, min(paths, default=b""), max(paths, default=b"")):
        ids = _read_ids(connection, collection_id, paths)
    new = [path for path in paths if path not in ids]
    added = _insert_images(connection, collection_id, new)
    # Another producer added the others at the same time.
    others = [path for path in new if path not in added]
    return ids | added | _read_ids(connection, collection_id, others), set(added.values())


def _has_between(connection: sa.Connection, collection_id: int, first: bytes, last: bytes) -> bool:
    """Return whether the collection has any path between two; in a first scan it has none."""
    is_between = image.c.path.between(first, last)
    query = sa.select(sa.true()).where(image.c.collection_id == collection_id, is_between).limit(1)
    return connection.scalar(query) is not None


def _read_ids(
    connection: sa.Connection, collection_id: int, paths: Sequence[bytes]
) -> dict[bytes, int]:
    """Return the ids of those of the paths that the collection has."""
    if not paths:
        return {}
    query = "SELECT path, id FROM image WHERE collection_id = "
    if connection.dialect.name == "postgresql":
        rows = connection.exec_driver_sql(
            query + "%s AND path = ANY(%b)", (collection_id, list(paths))
        )
    else:
        marks = ",".join("?" * len(paths))
        rows = connection.exec_driver_sql(
            query + f"? AND path IN ({marks})", (collection_id, *paths)
        )
    return {bytes(path): image_id for path, image_id in rows.all()}


def _insert_images(
    connection: sa.Connection, collection_id: int, paths: Sequence[bytes]
) -> dict[bytes, int]:
    """Insert images, and return the ids of those that were not there."""
    if not paths:
        return {}
    into, end = "INSERT INTO image (collection_id, path) ", " ON CONFLICT DO NOTHING "
    end += "RETURNING path, id"
    if connection.dialect.name == "postgresql":
        rows = connection.exec_driver_sql(
            into + "SELECT %s, unnest(%b::bytea[])" + end, (collection_id, list(paths))
        )
    else:
        marks = ",".join(["(?,?)"] * len(paths))
        values = tuple(value for path in paths for value in (collection_id, path))
        rows = connection.exec_driver_sql(into + f"VALUES {marks}" + end, values)
    return {bytes(path): image_id for path, image_id in rows.all()}


def _insert_batch(
    connection: sa.Connection, scan_id: int, fresh: Sequence[ListedImage]
) -> int | None:
    if not fresh:
        return None
    size_bytes = sum(item.size_bytes for item in fresh)
    return insert_one(connection, batch, scan_id=scan_id, images=len(fresh), size_bytes=size_bytes)


def _insert_entries(
    connection: sa.Connection,
    scan_id: int,
    batch_id: int | None,
    images: Sequence[tuple[int, ListedImage]],
    kept: Container[int],
) -> None:
    into_entry = _into_entry(connection.dialect)
    into_entry.run(
        connection,
        [
            (
                scan_id,
                image_id,
                None if image_id in kept else batch_id,
                item.size_bytes,
                item.mtime_ns,
                item.label,
                _sidecars_text(item.sidecars),
                item.edited or None,
            )
            for image_id, item in images
        ],
    )


@cache
def _into_entry(dialect: sa.Dialect) -> BulkInsert:
    return BulkInsert(entry, dialect)


def _sidecars_text(sidecars: Sequence[Sidecar]) -> str | None:
    return json.dumps(sidecars_to_json(sidecars)) if sidecars else None
