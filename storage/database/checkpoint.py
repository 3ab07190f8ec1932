"""Folding SQLite's write-ahead log into the store's file, never by two processes at once."""

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
    """Fold what can be folded just now; nothing where another process is at it, or on Postgres.

    For keepers alone, see `engine._set_up_sqlite`. Raises StoreUnavailable.
    """
    file = engine.url.database
    if engine.dialect.name != "sqlite" or not file:
        return
    try:
        with _alone(f"{file}.checkpoint") as alone:
            if alone:
                _fold(engine)
    except (OSError, sqlite3.Error, exc.SQLAlchemyError) as error:
        raise StoreUnavailable(
            f"The write-ahead log of the store {file} cannot be folded into it just now: {error}"
        ) from error


def _fold(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        # Outside of any transaction, which Core would begin. Passive: nobody is waited for.
        raw.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")


@contextmanager
def _alone(path: str) -> Iterator[bool]:
    """Try to hold the lock on a file; whether it is held.

    Two brokers on one store have a keeper each, so a lock in Redis would not do. The file stays:
    one that is deleted and made anew is another one to lock.
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
