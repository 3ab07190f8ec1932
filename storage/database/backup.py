"""A consistent copy of an SQLite store, while others write to it."""

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
    """Copy the store to a new file, and return its size in bytes.

    Raises StoreError for a store that is not SQLite, FileExistsError where the file exists.
    Leaves no file behind after an error.
    """
    source = store.engine.url.database
    if store.engine.dialect.name != "sqlite" or not source:
        raise StoreError("Back up a Postgres store with its own tool: pg_dump -Fc")
    # Created exclusively, so that no file of another process is overwritten.
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with store.engine.connect() as connection, closing(sqlite3.connect(target)) as copy:
            raw: Any = connection.connection.dbapi_connection
            # All pages at once: in steps, it would start again at every commit of a scan.
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
