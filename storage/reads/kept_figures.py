"""Figures of finished scans with many images, kept so that the next report does not count again.

They are those of a scan as it was finished, so whatever changes a verdict has to take the time at
which its scan was finished back, or renew it.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

import sqlalchemy as sa
from msgspec import MsgspecError, msgpack

from storage.database.schema import kept_figures, scan
from storage.database.store import upsert
from storage.errors import ScannerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.database.store import Store

Kept = TypeVar("Kept")

# Increased when the same rows of a store give other figures.
VERSION = 1
# With fewer images, a report takes about a second.
KEPT_FROM_IMAGES = 100_000
# Of ten million images, a hundred thousand batches have about 6 MB.
MAX_BYTES = 64 << 20


def finished_time(connection: sa.Connection, scan_id: int) -> float | None:
    """Return when a scan was finished; None for one that is not, or is not there."""
    finished_at: float | None = connection.scalar(
        sa.select(scan.c.finished_at).where(scan.c.id == scan_id)
    )
    return finished_at


def key_of(detectors: Mapping[str, float]) -> str:
    """Return a digest of what figures depend on beside the rows of their scan."""
    return sha256(json.dumps([VERSION, sorted(detectors.items())]).encode()).hexdigest()


def read_kept(
    connection: sa.Connection, kind: type[Kept], scan_id: int, finished_at: float, key: str
) -> Kept | None:
    """Return figures that are kept of a scan as it was finished; None where there are none."""
    body = connection.scalar(
        sa.select(kept_figures.c.body).where(
            kept_figures.c.scan_id == scan_id,
            kept_figures.c.finished_at == finished_at,
            kept_figures.c.key == key,
        )
    )
    try:
        return None if body is None else msgpack.decode(body, type=kind)
    except MsgspecError:
        return None  # of a version whose figures have another form


def keep(store: Store, figures: object, scan_id: int, finished_at: float, key: str) -> None:
    """Keep figures of a scan as it was finished, if the store lets this user."""
    body = msgpack.encode(figures)
    if len(body) > MAX_BYTES:
        return
    values = {"finished_at": finished_at, "key": key, "body": body}
    insert = upsert(store.engine.dialect.name, kept_figures).values(scan_id=scan_id, **values)
    try:
        with store.write(durable=False) as connection:
            connection.execute(
                insert.on_conflict_do_update(index_elements=["scan_id"], set_=values)
            )
    except ScannerError:
        return  # it may only read the store, or the scan was forgotten meanwhile
