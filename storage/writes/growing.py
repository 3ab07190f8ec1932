"""A scan that grows: which listed images it does not have as they are now, and the changed ones."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.clauses import ENTRY_VERDICT
from storage.database.schema import batch, entry, image, review, verdict
from storage.database.store import insert_one
from storage.records import Batch
from storage.sidecars import sidecars_to_json
from storage.writes.listing import batch_image, delete_verdicts
from storage.writes.scans import lock_scan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.database.store import Store
    from storage.records import ListedImage
    from storage.writes.scans import Scan


def read_differing(
    store: Store, current: Scan, listed: Sequence[ListedImage]
) -> tuple[list[ListedImage], list[ListedImage]]:
    """Return the images that a scan does not have, and those that it has judged otherwise.

    Otherwise is with another size, time of change or sidecars. Images that differ and are pending
    belong to neither: they are judged first.
    """
    with store.read() as connection:
        known = _known(connection, current, [item.path for item in listed])
    new = [item for item in listed if item.path not in known]
    changed = [
        item
        for item in listed
        if (row := known.get(item.path)) is not None
        and row.outcome is not None
        and (
            (row.size_bytes, row.mtime_ns) != (item.size_bytes, item.mtime_ns)
            or row.sidecars != sidecars_to_json(item.sidecars)
        )
    ]
    return new, changed


def add_changed(store: Store, current: Scan, changed: Sequence[ListedImage]) -> Batch | None:
    """Put images that a scan has judged into a new batch, with their present size and time.

    In one transaction. Their verdicts are deleted, and the answers about those end whose file is
    another one: whatever their sidecars say, people have looked at the same pixels. Return None
    where another process has done it.
    """
    with store.write() as connection:
        lock_scan(connection, current.scan_id)
        known = _known(connection, current, [item.path for item in changed])
        judged = {
            known[item.path].image_id: item
            for item in changed
            if item.path in known and known[item.path].outcome is not None
        }
        if not judged:
            return None
        batch_id = insert_one(
            connection,
            batch,
            scan_id=current.scan_id,
            images=len(judged),
            size_bytes=sum(item.size_bytes for item in judged.values()),
        )
        replaced = [
            image_id
            for image_id, item in judged.items()
            if (known[item.path].size_bytes, known[item.path].mtime_ns)
            != (item.size_bytes, item.mtime_ns)
        ]
        for image_id, item in judged.items():
            connection.execute(
                sa.update(entry)
                .where(entry.c.scan_id == current.scan_id, entry.c.image_id == image_id)
                .values(
                    batch_id=batch_id,
                    size_bytes=item.size_bytes,
                    mtime_ns=item.mtime_ns,
                    sidecars=sidecars_to_json(item.sidecars),
                )
            )
        delete_verdicts(connection, current.scan_id, judged)
        connection.execute(
            sa.update(review)
            .where(
                review.c.scan_id == current.scan_id,
                review.c.image_id.in_(replaced),
                review.c.ended_at.is_(None),
            )
            .values(ended_at=time.time())
        )
    return Batch(batch_id, 1, tuple(batch_image(*pair) for pair in judged.items()))


def _known(
    connection: sa.Connection, current: Scan, paths: Sequence[bytes]
) -> dict[bytes, sa.Row[Any]]:
    """Return the images of a scan by path: as they were listed, and their outcome if judged."""
    query: sa.Select[Any] = (
        sa.select(
            entry.c.image_id,
            image.c.path,
            entry.c.size_bytes,
            entry.c.mtime_ns,
            entry.c.sidecars,
            verdict.c.outcome,
        )
        .select_from(entry.join(image).outerjoin(verdict, ENTRY_VERDICT))
        .where(
            entry.c.scan_id == current.scan_id,
            image.c.collection_id == current.collection_id,
            image.c.path.in_(paths),
        )
    )
    return {bytes(row.path): row for row in connection.execute(query)}
