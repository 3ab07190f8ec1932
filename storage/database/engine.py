"""Engines of SQLAlchemy for stores, and transactions on them."""

from __future__ import annotations

from contextlib import contextmanager
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event, exc

from storage.database import sqlite
from storage.database.urls import shown_store
from storage.errors import StoreError, StoreUnavailable
from storage.optional_packages import with_extra

if TYPE_CHECKING:
    from collections.abc import Iterator

# Seconds after which a connection to Postgres counts as idle: it may have died in the meantime.
IDLE_S = 1.0
# Seconds that Postgres may take for one statement of a command: those of a report on millions of
# images, or of an upgrade, take minutes;
COMMAND_ANSWER_S = 3600.0
# and of a process that works for others while it waits. Theirs take milliseconds.
WORK_ANSWER_S = 20.0

# Postgres' codes of insufficient privilege and of a schema that does not exist.
_REFUSALS = ("42501", "3F000")


def make_engine(url: sa.URL, answer_s: float) -> sa.Engine:
    """Return an engine whose connections have this package's settings; opens nothing yet."""
    if url.get_backend_name() == "sqlite":
        return sqlite.make_engine(url)
    try:
        engine = sa.create_engine(url)
    except ModuleNotFoundError as error:
        raise StoreError(f"A Postgres store needs psycopg: {with_extra('postgres')}") from error

    from storage.database import postgres  # noqa: PLC0415 - psycopg may be missing

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: object, _record: object, arguments: Any, options: Any) -> object:  # noqa: ANN401 - SQLAlchemy's
        return postgres.connect(answer_s, *arguments, **options)

    _replace_dead_connections(engine)
    return engine


def _replace_dead_connections(engine: sa.Engine) -> None:
    """Replace a connection that died while idle before it is used.

    As `pool_pre_ping` does, but not for each transaction of a process that has much to write.
    """

    @event.listens_for(engine, "checkout")
    def ping(connection: Any, record: Any, _proxy: object) -> None:  # noqa: ANN401 - SQLAlchemy's
        if monotonic() < record.info.get("used_at", inf) + IDLE_S:
            return
        driver: Any = engine.dialect.loaded_dbapi
        try:
            engine.dialect.do_ping(connection)
        except driver.Error as error:
            raise exc.InvalidatePoolError from error

    @event.listens_for(engine, "checkin")
    def remember(_connection: object, record: Any) -> None:  # noqa: ANN401 - SQLAlchemy's
        record.info["used_at"] = monotonic()


@contextmanager
def transaction(
    engine: sa.Engine, *, writes: bool, durable: bool = True
) -> Iterator[sa.Connection]:
    """Run a transaction; raises StoreUnavailable where the database cannot be used at the moment.

    One that is not `durable` may be undone by a power cut until a later one is committed.

    Raises StoreError where the file is damaged or not a database, and where rows refer to one that
    was deleted in the meantime (a forgotten scan).
    """
    options: dict[str, Any] = {"scanner_writes": writes, "scanner_durable": durable}
    if not writes and engine.dialect.name == "postgresql":
        # The counts of a report have to add up, so that it reads one state of the store.
        options["isolation_level"] = "REPEATABLE READ"
    try:
        with _connected(engine).execution_options(**options) as connection, connection.begin():
            if not durable and engine.dialect.name == "postgresql":
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            yield connection
    except (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError) as error:
        raise StoreUnavailable(
            f"{shown_store(engine)} cannot be used at the moment: {_reason(error)}"
        ) from error
    except exc.IntegrityError as error:
        raise StoreError(f"{shown_store(engine)} rejected the data: {_reason(error)}") from error
    except exc.DatabaseError as error:
        # The remaining subclasses are bugs, but for what the server refuses to this user.
        if type(error) is not exc.DatabaseError and not _is_refusal(error):
            raise
        raise StoreError(f"{shown_store(engine)} cannot be used: {_reason(error)}") from error


def _is_refusal(error: exc.DatabaseError) -> bool:
    """Return whether the user lacks a right, or the schema that the URL names is not there."""
    return getattr(error.orig, "sqlstate", None) in _REFUSALS


def _connected(engine: sa.Engine) -> sa.Connection:
    try:
        return engine.connect()
    except exc.ProgrammingError as error:
        # An option in the URL that the driver does not know.
        raise StoreError(f"{shown_store(engine)} cannot be opened: {_reason(error)}") from error


def _reason(error: exc.SQLAlchemyError) -> str:
    first, *others = str(getattr(error, "orig", None) or error).strip().splitlines()
    # Of a host with several addresses, psycopg lists an error for each.
    return others[-1].removeprefix("- ") if others and first.endswith(":") else first
