"""Connections to SQLite: settings, a file of its own, and files that may only be read."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event

from storage.database.urls import shown_store
from storage.errors import StoreError, StoreUnavailable
from storage.private import make_private_folder

# The longest wait for another writer; the transaction of a chunk takes milliseconds.
BUSY_TIMEOUT_MS = 30_000
# Seconds between two tries to switch a new file to a write-ahead log.
WAL_RETRY_S = 0.01


def make_engine(url: sa.URL) -> sa.Engine:
    """Return an engine for a file; opens nothing yet."""
    file = Path(url.database or "")
    if file.exists() and not file.is_file():
        kind = "folder" if file.is_dir() else "device or pipe"
        raise StoreError(f"Invalid store {str(file)!r}: expected a file, not a {kind}")
    _make_folder(file)
    if _may_only_read(file):
        # Each transaction checks for a log again: a scan may have begun in the meantime.
        creator = partial(_connect_to_read, file)
        engine = sa.create_engine(url, creator=creator, poolclass=sa.NullPool)
    else:
        engine = sa.create_engine(url, connect_args={"check_same_thread": False})
        _keep_to_one_file(engine, file)
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _keep_to_one_file(engine: sa.Engine, file: Path) -> None:
    """Refuse each transaction once the file was removed or replaced, until it is back.

    SQLite would go on with what it has opened, and lose with it what is written; a further
    connection would make a new store. A path is asked and no file opened: see `_make_private`.
    """
    opened: list[tuple[int, int] | None] = []

    def require_it(*_: object) -> None:
        if opened and (opened[0] is None or opened[0] != _identity(file)):
            raise StoreUnavailable(
                f"{shown_store(engine)} cannot be used at the moment: its file was removed or "
                "replaced; put it back, or start this process again"
            )

    def before_connecting(*_: object) -> None:
        require_it()
        if not opened:
            _make_private(file)

    def after_connecting(*_: object) -> None:
        if not opened:
            opened.append(_identity(file))

    event.listen(engine, "do_connect", before_connecting)
    event.listen(engine, "connect", after_connecting)
    event.listen(engine, "begin", require_it)


def _identity(file: Path) -> tuple[int, int] | None:
    """Return the device and number of a file, or of what a link leads to; None without a file."""
    try:
        found = os.stat(file)  # noqa: PTH116 - for each transaction: a third of `Path.stat`'s time
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _may_only_read(file: Path) -> bool:
    return file.exists() and not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK))


def _connect_to_read(file: Path) -> sqlite3.Connection:
    """Open a file that this user may only read.

    SQLite keeps an index of the write-ahead log next to the file, and refuses to read where it
    cannot create one. Without a log, no process has the file open, and no index is needed.
    """
    immutable = "" if Path(f"{file}-wal").exists() else "&immutable=1"
    url = f"file:{quote(str(file))}?mode=ro{immutable}"
    return sqlite3.connect(url, uri=True, check_same_thread=False)


def _make_folder(file: Path) -> None:
    try:
        make_private_folder(file.parent)
    except OSError as error:
        raise StoreUnavailable(
            f"The store {file} cannot be used: its folder cannot be created: {error.strerror}"
        ) from error


def _make_private(file: Path) -> None:
    """Create the file, where it is missing, so that only its user can read it, whatever the umask.

    SQLite gives its other files the same permissions. An existing file is not even opened: closing
    it would drop all locks that this process has on it, those of its other connections too, and
    the next process to end would delete the write-ahead log under them.
    """
    with suppress(OSError):  # SQLite says what is wrong
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDONLY, 0o600))


def _set_up(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DB-API connection
    # BEGIN is sent by _begin; the driver's own is DEFERRED.
    connection.isolation_level = None
    cursor = connection.cursor()
    # First: the next line may have to wait for another process that does the same.
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    _write_ahead(cursor)
    # A batch is acknowledged after its commit, which has to survive a power cut.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    # Before SQLite 3.51.3, two connections that checkpoint at once can lose commits (the WAL-reset
    # race). So only rescuers do it, one at a time, see `checkpoint.py`.
    cursor.execute("PRAGMA wal_autocheckpoint=0")
    cursor.close()


def _write_ahead(cursor: Any) -> None:  # noqa: ANN401 - a DB-API cursor
    """Switch to a write-ahead log, with which readers and the writer do not block each other.

    Of two processes that switch a new file at once, SQLite lets the second fail immediately,
    whatever the busy timeout.
    """
    give_up_at = monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            if not _is_foreign(cursor):
                cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() >= give_up_at:
                raise
            sleep(WAL_RETRY_S)
        else:
            return


def _is_foreign(cursor: Any) -> bool:  # noqa: ANN401 - a DB-API cursor
    """Return whether the database belongs to another program, and has to stay as it is."""
    tables = {name for (name,) in cursor.execute("SELECT name FROM sqlite_master")}
    return bool(tables) and "alembic_version" not in tables


def _begin(connection: sa.Connection) -> None:
    # A transaction that reads and then writes fails immediately if another one wrote in between,
    # whatever the busy timeout; one that begins as a writer waits.
    options = connection.get_execution_options()
    # NORMAL waits for no disk; the next commit that is FULL takes those before it to the disk, too.
    synchronous = "FULL" if options.get("scanner_durable", True) else "NORMAL"
    connection.exec_driver_sql(f"PRAGMA synchronous={synchronous}")
    writes = options.get("scanner_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
