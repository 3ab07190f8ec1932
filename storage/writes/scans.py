"""Collections, plans and scans."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.schema import batch, collection, entry, image, plan, scan
from storage.database.store import insert_one, upsert
from storage.errors import NameTaken, NotFound, ScanExists, StoreError
from storage.paths import shown
from storage.records import Plan, PlanError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.database.store import Store

UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class Scan:
    """One pass over a collection with a fixed plan.

    Its `owner` requeues its lost batches: "fleet", or the token of the `scan` command that runs it
    on an embedded broker.
    """

    scan_id: int
    collection_id: int
    collection: str
    root: bytes
    plan_id: int
    plan: Plan
    owner: str
    created_at: float
    listed_at: float | None
    finished_at: float | None
    cancelled_at: float | None
    images: int
    enqueue_seconds: float
    skipped: Mapping[str, int]
    unreadable_folders: int
    choices: str
    keep_from: int | None

    @property
    def state(self) -> str:
        """Return `finished`, `cancelled`, or `unfinished` (running, waiting or interrupted)."""
        if self.finished_at is not None:
            return "finished"
        return UNFINISHED if self.cancelled_at is None else "cancelled"


_SCANS: sa.Select[Any] = sa.select(
    scan.c.id.label("scan_id"),
    scan.c.collection_id,
    collection.c.name.label("collection"),
    collection.c.root,
    scan.c.plan_id,
    plan.c.body.label("plan"),
    scan.c.owner.label("owner"),
    scan.c.created_at,
    scan.c.listed_at,
    scan.c.finished_at,
    scan.c.cancelled_at,
    scan.c.images,
    scan.c.enqueue_seconds,
    scan.c.skipped,
    scan.c.unreadable_folders,
    scan.c.choices,
    scan.c.keep_from,
).select_from(scan.join(collection).join(plan))


def ensure_collection(store: Store, name: str, root: bytes) -> int:
    """Record a collection if it is new, and return its id; NameTaken if it has another root."""
    with store.write() as connection:
        # Insert before reading: two producers may record it at the same time.
        insert = upsert(connection.dialect.name, collection)
        values = insert.values(name=name, root=root, created_at=time.time())
        connection.execute(values.on_conflict_do_nothing())
        row = connection.execute(
            sa.select(collection.c.id, collection.c.root).where(collection.c.name == name)
        ).one()
    if bytes(row.root) != root:
        raise NameTaken(
            f"The name {name!r} is already used for {shown(bytes(row.root))}: "
            f"choose another one for {shown(root)} with --name"
        )
    return int(row.id)


def ensure_plan(store: Store, planned: Plan) -> int:
    """Record a plan if it is new, and return its id."""
    digest = planned.digest()
    with store.write() as connection:
        insert = upsert(connection.dialect.name, plan)
        values = insert.values(digest=digest, body=planned.to_json())
        connection.execute(values.on_conflict_do_nothing())
        plan_id = sa.select(plan.c.id).where(plan.c.digest == digest)
        return int(connection.execute(plan_id).scalar_one())


def new_scan(  # noqa: PLR0913 - a scan's columns
    store: Store,
    collection_id: int,
    plan_id: int,
    owner: str,
    *,
    choices: str = "",
    keep_from: int | None = None,
    after: int | None = None,
) -> Scan:
    """Insert a scan, which keeps verdicts on unchanged images if there is a scan to `keep_from`.

    That is the latest earlier scan of the same plan, or None. `choices` is a digest of the options
    that select and label files. Raises ScanExists where a scan of the same collection and plan is
    later than the scan `after`.
    """
    with store.write() as connection:
        if after is not None:
            _require_latest(connection, collection_id, plan_id, after)
        scan_id = insert_one(
            connection,
            scan,
            collection_id=collection_id,
            plan_id=plan_id,
            owner=owner,
            created_at=time.time(),
            skipped={},
            choices=choices,
            keep_from=keep_from,
        )
    return find_scan(store, scan_id)


def _require_latest(
    connection: sa.Connection, collection_id: int, plan_id: int, after: int
) -> None:
    # Locks the collection, so that the second of two processes sees the scan of the first. Images,
    # which refer to the row, can still be inserted.
    row = sa.select(collection.c.id).where(collection.c.id == collection_id)
    connection.execute(row.with_for_update(key_share=True))
    later = sa.select(scan.c.id).where(
        scan.c.collection_id == collection_id, scan.c.plan_id == plan_id, scan.c.id > after
    )
    if connection.scalar(later.limit(1)) is not None:
        raise ScanExists("Another process has just begun the same scan: run the command again")


def find_scan(store: Store, scan_id: int | None = None) -> Scan:
    """Return a scan by its id, or the latest; NotFound where there is none."""
    query = _SCANS.order_by(scan.c.id.desc()).limit(1)
    if scan_id is not None:
        query = query.where(scan.c.id == scan_id)
    with store.read() as connection:
        row = connection.execute(query).first()
    if row is None and scan_id is None:
        raise NotFound("The store has no scans yet: start one with `scanner scan FOLDER`")
    if row is None:
        raise NotFound(f"Scan not found: {scan_id} (`scanner scans` lists all scans)")
    return _scan(row)


def _scan(row: sa.Row[Any]) -> Scan:
    return Scan(**{**row._mapping, "plan": read_plan(row.plan)})


def read_plan(body: object) -> Plan:
    """Return the plan in a column; StoreError where it is malformed."""
    try:
        return Plan.from_json(body)
    except PlanError as error:
        raise StoreError(f"The store is damaged: {error}") from error


def list_scans(store: Store, collection_id: int | None = None) -> list[Scan]:
    """Return all scans, or those of one collection, the latest first."""
    query = _SCANS.order_by(scan.c.id.desc())
    if collection_id is not None:
        query = query.where(scan.c.collection_id == collection_id)
    with store.read() as connection:
        return [_scan(row) for row in connection.execute(query)]


def change_owner(store: Store, scan_id: int, owner: str) -> None:
    """Give a scan to another owner, and clear its cancellation."""
    _update(store, scan_id, owner=owner, cancelled_at=None)


def mark_listed(
    store: Store, scan_id: int, skipped: Mapping[str, int], unreadable_folders: int
) -> None:
    """Record that the walk is complete; a scan without unfinished batches is then finished."""
    with store.write() as connection:
        connection.execute(
            sa.update(scan)
            .where(scan.c.id == scan_id)
            .values(
                listed_at=time.time(),
                skipped=dict(skipped),
                unreadable_folders=unreadable_folders,
            )
        )
        finish_if_done(connection, scan_id)


def add_enqueue_seconds(store: Store, scan_id: int, seconds: float) -> None:
    """Add the duration of one enqueue."""
    _update(store, scan_id, enqueue_seconds=scan.c.enqueue_seconds + seconds)


def cancel(store: Store, scan_id: int) -> None:
    """Cancel a scan: no more batches are published or begun; verdicts stay."""
    _update(store, scan_id, cancelled_at=time.time())


def forget(store: Store, scan_id: int) -> None:
    """Delete a scan with its verdicts, and the images that no other scan has."""
    collection_id = find_scan(store, scan_id).collection_id
    with store.write() as connection:
        connection.execute(sa.delete(scan).where(scan.c.id == scan_id))
        in_a_scan = sa.exists().where(entry.c.image_id == image.c.id)
        connection.execute(
            sa.delete(image).where(image.c.collection_id == collection_id, ~in_a_scan)
        )
        has_scans = sa.exists().where(scan.c.collection_id == collection.c.id)
        connection.execute(
            sa.delete(collection).where(collection.c.id == collection_id, ~has_scans)
        )


def finish_scan_if_done(store: Store, scan_id: int) -> None:
    """Mark a scan finished if it is: a process may have died after the last batch."""
    with store.write() as connection:
        finish_if_done(connection, scan_id)


def lock_scan(connection: sa.Connection, scan_id: int) -> None:
    """Lock a scan's row until the transaction ends; SQLite has one writer at a time anyway."""
    # FOR NO KEY UPDATE: runs and entries, which refer to the row, can still be inserted.
    query = sa.select(scan.c.id).where(scan.c.id == scan_id).with_for_update(key_share=True)
    connection.execute(query)


def finish_if_done(connection: sa.Connection, scan_id: int) -> None:
    """Mark a scan finished if its walk is complete and every batch is done."""
    # Of two transactions that finish the last two batches, the second must see both done.
    lock_scan(connection, scan_id)
    has_unfinished = sa.exists().where(batch.c.scan_id == scan_id, batch.c.done_at.is_(None))
    connection.execute(
        sa.update(scan)
        .where(
            scan.c.id == scan_id,
            scan.c.listed_at.is_not(None),
            scan.c.finished_at.is_(None),
            ~has_unfinished,
        )
        .values(finished_at=time.time())
    )


def _update(store: Store, scan_id: int, **values: Any) -> None:  # noqa: ANN401 - columns
    with store.write() as connection:
        connection.execute(sa.update(scan).where(scan.c.id == scan_id).values(**values))


def collection_root(store: Store, name: str) -> bytes:
    """Return the root folder of a collection; NotFound where there is no such collection."""
    with store.read() as connection:
        root = connection.scalar(sa.select(collection.c.root).where(collection.c.name == name))
    if root is None:
        raise NotFound(f"Collection not found: {name!r}")
    return bytes(root)
