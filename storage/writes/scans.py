"""Collections, plans and scans: begun, found, handed on, finished, forgotten."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.schema import batch, collection, entry, image, plan, scan
from storage.database.store import insert_one, upsert
from storage.errors import NameTaken, NotFound, Overtaken, StoreError
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
        """`finished`, `cancelled`, or `unfinished`: at work, waiting or broken off.

        A finished one may have been cancelled afterwards, while second opinions were waited for.
        """
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


def collection_id(store: Store, name: str, root: bytes) -> int:
    """The collection of that name, made if there is none; NameTaken if it has another root."""
    with store.write() as connection:
        # Inserted first and read then: two producers may come with it at once.
        made = upsert(connection.dialect.name, collection).values(
            name=name, root=root, created_at=time.time()
        )
        connection.execute(made.on_conflict_do_nothing())
        row = connection.execute(
            sa.select(collection.c.id, collection.c.root).where(collection.c.name == name)
        ).one()
    if bytes(row.root) != root:
        raise NameTaken(
            f"The name {name!r} stands for {shown(bytes(row.root))} already; "
            f"give {shown(root)} another one with --name"
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
    """Begin a scan of a collection with a plan; it keeps what the scan `keep_from` has judged.

    `choices` tell it from a scan that takes other files, or labels them otherwise. Raises Overtaken
    where there is one later than `after` of the same collection and plan.
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
    # Of two that begin a scan at once, the later one has to see the other's. Images of the
    # collection, which refer to the row, can be listed meanwhile.
    ours = sa.select(collection.c.id).where(collection.c.id == collection_id)
    connection.execute(ours.with_for_update(key_share=True))
    later = sa.select(scan.c.id).where(
        scan.c.collection_id == collection_id, scan.c.plan_id == plan_id, scan.c.id > after
    )
    if connection.scalar(later.limit(1)) is not None:
        raise Overtaken("Somebody has begun the same scan just now: the same command goes on")


def find_scan(store: Store, scan_id: int | None = None) -> Scan:
    """A scan by its number, or the latest one; NotFound says what there is."""
    query = _SCANS.order_by(scan.c.id.desc()).limit(1)
    if scan_id is not None:
        query = query.where(scan.c.id == scan_id)
    with store.read() as connection:
        row = connection.execute(query).first()
    if row is None and scan_id is None:
        raise NotFound("There is no scan in this store yet: begin one with `scanner scan FOLDER`")
    if row is None:
        raise NotFound(f"There is no scan {scan_id} in this store: `scanner scans` lists them")
    return _scan(row)


def _scan(row: sa.Row[Any]) -> Scan:
    return Scan(**{**row._mapping, "plan": read_plan(row.plan)})


def read_plan(body: object) -> Plan:
    """Read a plan's column; StoreError where it is malformed."""
    try:
        return Plan.from_json(body)
    except PlanError as error:
        raise StoreError(f"The store is damaged: {error}") from error


def list_scans(store: Store, collection_id: int | None = None) -> list[Scan]:
    """Every scan, or those of one collection, the latest first."""
    query = _SCANS.order_by(scan.c.id.desc())
    if collection_id is not None:
        query = query.where(scan.c.collection_id == collection_id)
    with store.read() as connection:
        return [_scan(row) for row in connection.execute(query)]


def hand_to(store: Store, scan_id: int, owner: str) -> None:
    """Give a scan to another owner, and clear its cancellation."""
    _update(store, scan_id, owner=owner, cancelled_at=None)


def mark_listed(
    store: Store, scan_id: int, skipped: Mapping[str, int], unreadable_folders: int
) -> None:
    """The walk came to its end; a scan that has nothing to judge is finished with it."""
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
    """Add what one enqueueing took."""
    _update(store, scan_id, enqueue_seconds=scan.c.enqueue_seconds + seconds)


def cancel(store: Store, scan_id: int) -> None:
    """Nothing more of this scan is published or begun; what is judged stays."""
    _update(store, scan_id, cancelled_at=time.time())


def forget(store: Store, scan_id: int) -> None:
    """Delete a scan with its verdicts, and its collection's images that no other scan has."""
    found = find_scan(store, scan_id)
    with store.write() as connection:
        connection.execute(sa.delete(scan).where(scan.c.id == scan_id))
        elsewhere = sa.exists().where(entry.c.image_id == image.c.id)
        connection.execute(
            sa.delete(image).where(image.c.collection_id == found.collection_id, ~elsewhere)
        )
        scans_left = sa.exists().where(scan.c.collection_id == collection.c.id)
        connection.execute(
            sa.delete(collection).where(collection.c.id == found.collection_id, ~scans_left)
        )


def settle(store: Store, scan_id: int) -> None:
    """Mark a scan finished that is, whatever went wrong when its last batch was done."""
    with store.write() as connection:
        finish_if_done(connection, scan_id)


def lock(connection: sa.Connection, scan_id: int) -> None:
    """Let no other transaction lock or change a scan's row before this one ends.

    For what depends on rows that others may be adding to or finishing. SQLite has one writer at a
    time anyway, and its dialect leaves the lock out.
    """
    # FOR NO KEY UPDATE: inserting a run or an entry, which refers to the row, need not wait.
    query = sa.select(scan.c.id).where(scan.c.id == scan_id).with_for_update(key_share=True)
    connection.execute(query)


def finish_if_done(connection: sa.Connection, scan_id: int) -> None:
    """Mark a scan finished when its walk is over and every batch is done."""
    # Of two transactions that do the last two batches at once, the later one has to see the other's
    # batch done: else neither finishes the scan.
    lock(connection, scan_id)
    undone = sa.exists().where(batch.c.scan_id == scan_id, batch.c.done_at.is_(None))
    connection.execute(
        sa.update(scan)
        .where(
            scan.c.id == scan_id,
            scan.c.listed_at.is_not(None),
            scan.c.finished_at.is_(None),
            ~undone,
        )
        .values(finished_at=time.time())
    )


def _update(store: Store, scan_id: int, **values: Any) -> None:  # noqa: ANN401 - columns
    with store.write() as connection:
        connection.execute(sa.update(scan).where(scan.c.id == scan_id).values(**values))


def collection_root(store: Store, name: str) -> bytes:
    """The root that a collection was enqueued with."""
    with store.read() as connection:
        root = connection.scalar(sa.select(collection.c.root).where(collection.c.name == name))
    if root is None:
        raise NotFound(f"There is no collection called {name!r} in this store")
    return bytes(root)
