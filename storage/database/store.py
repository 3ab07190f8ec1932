"""An open store: its engine and transactions."""

from __future__ import annotations

from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.database.checkpoint import checkpoint
from storage.database.engine import (
    COMMAND_ANSWER_S,
    make_engine,
    require_current,
    store_url,
    transaction,
    upgrade,
    version,
)
from storage.database.schema import store as store_table
from storage.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager


class Store:
    """The database of scans, verdicts and findings: an SQLite file or a Postgres database.

    Safe to share between threads, but not between processes: a forked child opens its own.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, url: str, *, make: bool = True, answer_s: float = COMMAND_ANSWER_S) -> Store:
        """Open the store at a URL or file path; upgrade or create an SQLite store as needed.

        A Postgres that takes longer than `answer_s` seconds for a statement counts as unavailable.

        Raises StoreUnavailable, StoreOutdated, StoreTooNew, or StoreError where there is no store
        and `make` is false.
        """
        parsed = store_url(url)
        if not make and parsed.database and parsed.drivername == "sqlite":
            _require_file(parsed.database)
        store = cls(make_engine(parsed, answer_s))
        try:
            require_current(store.engine)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def unchecked(cls, url: str, answer_s: float = COMMAND_ANSWER_S) -> Store:
        """Return the store at a URL, whatever its schema: for `store upgrade` and `doctor`."""
        return cls(make_engine(store_url(url), answer_s))

    @cached_property
    def identity(self) -> str:
        """Return the id of this store, which tells it from others that share a Redis."""
        with self.read() as connection:
            return str(connection.execute(sa.select(store_table.c.id)).scalar_one())

    @cached_property
    def signing_key(self) -> bytes:
        """Return the private key that signs this store's batches: 32 bytes."""
        with self.read() as connection:
            key = connection.execute(sa.select(store_table.c.signing_key)).scalar_one()
        return bytes(key)

    def read(self) -> AbstractContextManager[sa.Connection]:
        """Begin a transaction that reads one state of the store."""
        return transaction(self.engine, writes=False)

    def write(self) -> AbstractContextManager[sa.Connection]:
        """Begin a transaction that may write; on SQLite it waits for other writers."""
        return transaction(self.engine, writes=True)

    def require_writable(self) -> None:
        """Write something that changes nothing. Raises StoreUnavailable, as on a full disk."""
        with self.write() as connection:
            connection.execute(sa.update(store_table).values(id=store_table.c.id))

    def upgrade(self) -> tuple[str | None, str | None]:
        """Upgrade the schema; return the versions before and after."""
        before = version(self.engine)
        upgrade(self.engine)
        return before, version(self.engine)

    def checkpoint(self) -> None:
        """Checkpoint SQLite's write-ahead log; only rescuers do. Raises StoreUnavailable."""
        checkpoint(self.engine)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _require_file(name: str) -> None:
    if not Path(name).exists():
        raise StoreError(
            f"Store not found: {name}. The first `scanner scan FOLDER` creates it; or choose "
            "another with --store"
        )


class BulkInsert:
    """An INSERT of many rows, compiled once; rows go to the driver without conversion.

    SQLAlchemy Core converts each value of each row, which takes longer than SQLite's work. So rows
    hold only what both drivers accept: numbers, bytes, text, None, and JSON as text.
    """

    def __init__(self, statement: sa.Insert, dialect: sa.Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self._sql = str(compiled)
        names: Sequence[str] | None = compiled.positiontup
        self._in_order = None if names is None else itemgetter(*names)

    def run(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows, each with a value for each column."""
        if rows:
            in_order = self._in_order
            values: Any = rows if in_order is None else [in_order(row) for row in rows]
            connection.exec_driver_sql(self._sql, values)


def upsert(dialect: str, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that supports ON CONFLICT, in the store's dialect."""
    if dialect == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def insert_one(connection: sa.Connection, table: sa.Table, **values: Any) -> int:  # noqa: ANN401 - columns
    """Insert one row, and return its id."""
    query = sa.insert(table).values(**values).returning(table.c.id)
    return int(connection.execute(query).scalar_one())
