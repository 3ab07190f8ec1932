"""A store that has been opened: its engine, and transactions on it."""

from __future__ import annotations

from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.database.checkpoint import checkpoint
from storage.database.engine import (
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
    """Where scans, verdicts and findings last: one SQLite file or one Postgres database.

    Safe to share between threads, not between processes: a forked child opens its own.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, url: str, *, make: bool = True) -> Store:
        """Open the store at a URL or file path; an SQLite one is upgraded, or made, as needed.

        Raises StoreUnavailable, StoreOutdated, StoreTooNew, or StoreError where there is none and
        none is to be made, each with one sentence.
        """
        where = store_url(url)
        if not make and where.database and where.drivername == "sqlite":
            _require_file(where.database)
        store = cls.unchecked(url)
        try:
            require_current(store.engine)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def unchecked(cls, url: str) -> Store:
        """The store at a URL, whatever its schema: for `store upgrade` and `doctor`."""
        return cls(make_engine(store_url(url)))

    @cached_property
    def identity(self) -> str:
        """Names this store among others that share a Redis."""
        with self.read() as connection:
            return str(connection.execute(sa.select(store_table.c.id)).scalar_one())

    def read(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that sees one state of the store."""
        return transaction(self.engine, writes=False)

    def write(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that may write; on SQLite it waits for its turn first."""
        return transaction(self.engine, writes=True)

    def upgrade(self) -> tuple[str | None, str | None]:
        """Bring the schema up to date; the versions before and after."""
        before = version(self.engine)
        upgrade(self.engine)
        return before, version(self.engine)

    def checkpoint(self) -> None:
        """Fold SQLite's write-ahead log into the file; nothing to do elsewhere.

        For keepers alone; two at once are fine: one does it. Raises StoreUnavailable.
        """
        checkpoint(self.engine)

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()


def _require_file(name: str) -> None:
    if not Path(name).exists():
        raise StoreError(
            f"There is no store {name} yet: the first `scanner scan FOLDER` makes it; or name "
            "another with --store"
        )


class BulkInsert:
    """An INSERT of many rows on the hot path: compiled once, rows given to the driver as they are.

    Core's own way converts each value of each row, which takes longer than SQLite's part. So
    rows hold what both drivers take: numbers, bytes, text, None, and JSON as text.
    """

    def __init__(self, statement: sa.Insert, dialect: sa.Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self._sql = str(compiled)
        names: Sequence[str] | None = compiled.positiontup
        self._in_order = None if names is None else itemgetter(*names)

    def run(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows, each with a value for every column."""
        if rows:
            in_order = self._in_order
            values: Any = rows if in_order is None else [in_order(row) for row in rows]
            connection.exec_driver_sql(self._sql, values)


def upsert(dialect: str, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can say ON CONFLICT, in the store's own dialect."""
    if dialect == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def insert_one(connection: sa.Connection, table: sa.Table, **values: Any) -> int:  # noqa: ANN401 - columns
    """Insert one row; its id."""
    query = sa.insert(table).values(**values).returning(table.c.id)
    return int(connection.execute(query).scalar_one())
