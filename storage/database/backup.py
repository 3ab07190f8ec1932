"""A copy of an SQLite store, consistent while others go on writing."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from storage.errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from storage.database.store import Store


def backup(store: Store, target: Path) -> int:
    """Copy the store as it is at this moment to a new file; its size in bytes.

    Raises StoreError where the store is not SQLite, FileExistsError where the file is there
    already, and leaves nothing behind where it fails.
    """
    source = store.engine.url.database
    if store.engine.dialect.name != "sqlite" or not source:
        raise StoreError("A Postgres store is backed up with its own tool: pg_dump -Fc")
    # Made here and now, so that nothing is overwritten, whoever else makes it meanwhile.
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
    try:
        with store.engine.connect() as connection, closing(sqlite3.connect(target)) as copy:
            raw: Any = connection.connection.dbapi_connection
            # All pages in one go: in steps it would begin anew at every commit of a scan.
            raw.backup(copy)
        _sync(target)
    except sqlite3.Error as error:
        target.unlink()
        raise StoreUnavailable(f"The store {source} cannot be copied: {error}") from error
    except BaseException:
        target.unlink()
        raise
    return target.stat().st_size


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
