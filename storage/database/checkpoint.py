"""Checkpoints of SQLite's write-ahead log, never by two processes at once."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import exc

from storage.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa


def checkpoint(engine: sa.Engine) -> None:
    """Move the write-ahead log into the store's file, unless another process is doing it.

    Only rescuers do this, see `sqlite._set_up`. Does nothing on Postgres. Raises
    StoreUnavailable.
    """
    file = engine.url.database
    if engine.dialect.name != "sqlite" or not file:
        return
    try:
        with _try_lock(f"{file}.checkpoint") as is_locked:
            if is_locked:
                _checkpoint(engine)
    except (OSError, sqlite3.Error, exc.SQLAlchemyError) as error:
        raise StoreUnavailable(
            f"The write-ahead log of the store {file} cannot be checkpointed at the moment: {error}"
        ) from error


def _checkpoint(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        # Outside a transaction, which Core would begin. Passive: without waiting for readers.
        raw.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")


@contextmanager
def _try_lock(path: str) -> Iterator[bool]:
    """Try to lock a file, and yield whether it is locked.

    Two brokers on one store have a rescuer each, so a lock in Redis would not do. The file remains:
    after deletion, two processes could lock two files.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)
