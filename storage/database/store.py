"""An open store: its engine and transactions."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql, sqlite

from storage.database.checkpoint import checkpoint
from storage.database.engine import COMMAND_ANSWER_S, make_engine, transaction
from storage.database.schema import store as store_table
from storage.database.upgrade import require_current, upgrade, version
from storage.database.urls import store_url
from storage.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from contextlib import AbstractContextManager


# Postgres' code for it.
UNIQUE_VIOLATION = "23505"


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

    def write(self, *, durable: bool = True) -> AbstractContextManager[sa.Connection]:
        """Begin a transaction that may write; on SQLite it waits for other writers.

        One that is not `durable` may be undone by a power cut until a later one is committed.
        """
        return transaction(self.engine, writes=True, durable=durable)

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
    """Inserts many rows into a table; they go to the driver without conversion.

    SQLAlchemy Core converts each value of each row, which takes longer than the database's work. So
    rows hold only what both drivers accept: numbers, bytes, text, None, and JSON as text. They have
    a value for each column, or for each of `columns`, in that order. Postgres copies them.
    """

    def __init__(self, table: sa.Table, dialect: sa.Dialect, columns: Sequence[str] = ()) -> None:
        names = columns or table.c.keys()
        into = f"{table.name} ({', '.join(table.c[name].name for name in names)})"
        self._dialect = dialect
        self._copies = dialect.name == "postgresql"
        marks = ", ".join("?" * len(names))
        insert = f"INSERT INTO {into} VALUES ({marks})"  # noqa: S608 - names of the schema
        self._sql = f"COPY {into} FROM STDIN" if self._copies else insert

    def run(self, connection: sa.Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows; raise SQLAlchemy's errors."""
        if not rows:
            return
        if not self._copies:
            values: Any = rows
            connection.exec_driver_sql(self._sql, values)
            return
        driver: Any = connection.connection.driver_connection
        errors: Any = self._dialect.loaded_dbapi
        try:
            with driver.cursor().copy(self._sql) as copy:
                for row in rows:
                    copy.write_row(row)
        except errors.Error as error:
            raise exc.DBAPIError.instance(
                self._sql, None, error, errors.Error, dialect=self._dialect
            ) from error


def is_taken(error: exc.IntegrityError) -> bool:
    """Return whether Postgres refused a row because there is one with its key."""
    return getattr(error.orig, "sqlstate", None) == UNIQUE_VIOLATION


def among(
    connection: sa.Connection, column: sa.ColumnElement[int], ids: Collection[int]
) -> sa.ColumnElement[bool]:
    """Return the condition that a column is one of many ids, with one parameter for all of them."""
    if connection.dialect.name == "postgresql":
        # As text: of a list, psycopg would quote and look at each number by itself.
        text = sa.literal("{" + ",".join(map(str, ids)) + "}", sa.Text)
        return column == sa.func.any(sa.cast(text, postgresql.ARRAY(sa.BigInteger)))
    listed = sa.func.json_each(json.dumps(list(ids))).table_valued("value")
    return column.in_(sa.select(listed.c.value))


def upsert(dialect: str, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that supports ON CONFLICT, in the store's dialect."""
    if dialect == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def insert_one(connection: sa.Connection, table: sa.Table, **values: Any) -> int:  # noqa: ANN401 - columns
    """Insert one row, and return its id."""
    query = sa.insert(table).values(**values).returning(table.c.id)
    return int(connection.execute(query).scalar_one())
