"""Connections to SQLite and Postgres: their settings, transactions and schema version."""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import contextmanager, suppress
from functools import partial
from math import inf
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy import event, exc

from storage.database.schema import HEAD, metadata
from storage.database.schema import store as store_table
from storage.errors import StoreError, StoreOutdated, StoreTooNew, StoreUnavailable
from storage.optional_packages import with_extra
from storage.private import make_private_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

# The longest wait for another writer; the transaction of a chunk takes milliseconds.
BUSY_TIMEOUT_MS = 30_000
# Seconds between two tries to switch a new file to a write-ahead log.
WAL_RETRY_S = 0.01
# Seconds after which a connection to Postgres counts as idle: it may have died in the meantime.
IDLE_S = 1.0
# Seconds that Postgres may take for one statement of a command: those of a report on millions of
# images, or of an upgrade, take minutes;
COMMAND_ANSWER_S = 3600.0
# and of a process that works for others while it waits. Theirs take milliseconds.
WORK_ANSWER_S = 20.0

# Without the URL or the parser's message: it may contain a password.
INVALID_URL = (
    "Invalid URL of a store: expected sqlite:////PATH or "
    "postgresql://[USER[:PASSWORD]@]HOST[:PORT]/NAME, with / ? # and @ in the password written as "
    "%2F %3F %23 and %40"
)
# Postgres' codes of insufficient privilege and of a schema that does not exist.
_REFUSALS = ("42501", "3F000")
# Names that SQLite takes for a database in memory, or for a temporary one.
_TEMPORARY = ("", ":memory:")


def store_url(text: str) -> sa.URL:
    """Return the URL of a store, given as an SQLAlchemy URL or as the path of an SQLite file."""
    if text in _TEMPORARY:
        raise _temporary_error(text)
    if "://" not in text:
        if text.startswith(("postgres:", "postgresql:", "sqlite:")):
            raise StoreError("Invalid URL of a store: expected two slashes, as in postgresql://…")
        return sa.URL.create("sqlite", database=str(Path(text).expanduser().absolute()))
    try:
        url = sa.make_url(text)
        parts = urlsplit(text)
    except (exc.ArgumentError, ValueError):
        raise StoreError(INVALID_URL) from None
    # A slash in the password ends the host's part early, and the rest would be taken for a name.
    if parts.netloc and "@" in parts.path + parts.query + parts.fragment:
        raise StoreError(INVALID_URL)
    if url.get_backend_name() in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() != "sqlite":
        raise StoreError(f"Invalid store {url.get_backend_name()!r}: expected SQLite or Postgres")
    if (url.database or "") in _TEMPORARY:
        raise _temporary_error(shown_url(url))
    # Whatever driver the URL names, this one is the standard library's.
    return url.set(drivername="sqlite", database=str(Path(url.database or "").absolute()))


def shown_url(url: sa.URL) -> str:
    """Return a store's URL without the password, and without the query, which may have one too."""
    return url.set(query={}).render_as_string(hide_password=True)


def _temporary_error(text: str) -> StoreError:
    return StoreError(
        f"Invalid store {text!r}: expected the path of a file, or a URL like "
        "sqlite:////path/to/store.db"
    )


def make_engine(url: sa.URL, answer_s: float) -> sa.Engine:
    """Return an engine whose connections have the settings of this module; opens nothing yet."""
    if url.get_backend_name() == "sqlite":
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
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
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


def _keep_to_one_file(engine: sa.Engine, file: Path) -> None:
    """Refuse each transaction once the file was removed or replaced, until it is back.

    SQLite would go on with what it has opened, and lose with it what is written; a further
    connection would make a new store. A path is asked and no file opened: see `_make_private`.
    """
    opened: list[tuple[int, int] | None] = []

    def require_it(*_: object) -> None:
        if opened and (opened[0] is None or opened[0] != _identity(file)):
            raise StoreUnavailable(
                f"{_shown(engine)} cannot be used at the moment: its file was removed or replaced; "
                "put it back, or start this process again"
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


def _set_up_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DB-API connection
    # BEGIN is sent by _begin_sqlite; the driver's own is DEFERRED.
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


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that reads and then writes fails immediately if another one wrote in between,
    # whatever the busy timeout; one that begins as a writer waits.
    options = connection.get_execution_options()
    # NORMAL waits for no disk; the next commit that is FULL takes those before it to the disk, too.
    synchronous = "FULL" if options.get("scanner_durable", True) else "NORMAL"
    connection.exec_driver_sql(f"PRAGMA synchronous={synchronous}")
    writes = options.get("scanner_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


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
            f"{_shown(engine)} cannot be used at the moment: {_reason(error)}"
        ) from error
    except exc.IntegrityError as error:
        raise StoreError(f"{_shown(engine)} rejected the data: {_reason(error)}") from error
    except exc.DatabaseError as error:
        # The remaining subclasses are bugs, but for what the server refuses to this user.
        if type(error) is not exc.DatabaseError and not _is_refusal(error):
            raise
        raise StoreError(f"{_shown(engine)} cannot be used: {_reason(error)}") from error


def _is_refusal(error: exc.DatabaseError) -> bool:
    """Return whether the user lacks a right, or the schema that the URL names is not there."""
    return getattr(error.orig, "sqlstate", None) in _REFUSALS


def _connected(engine: sa.Engine) -> sa.Connection:
    try:
        return engine.connect()
    except exc.ProgrammingError as error:
        # An option in the URL that the driver does not know.
        raise StoreError(f"{_shown(engine)} cannot be opened: {_reason(error)}") from error


def _shown(engine: sa.Engine) -> str:
    return f"The store {shown_url(engine.url)}"


def _reason(error: exc.SQLAlchemyError) -> str:
    first, *others = str(getattr(error, "orig", None) or error).strip().splitlines()
    # Of a host with several addresses, psycopg lists an error for each.
    return others[-1].removeprefix("- ") if others and first.endswith(":") else first


def version(engine: sa.Engine) -> str | None:
    """Return the version of the store's schema, None where it has no schema yet."""
    with transaction(engine, writes=False) as connection:
        return _version(connection)


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
    return None if row is None else str(row[0])


def upgrade(engine: sa.Engine) -> None:
    """Make the schema, or upgrade it to HEAD; of several processes at once, one does it.

    Raises StoreTooNew, and StoreError where the database is not a store.
    """
    with transaction(engine, writes=True) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7226)")
        if _version_of_store(connection) is None:
            _make_schema(connection)
        else:
            _migrate(connection)


def _make_schema(connection: sa.Connection) -> None:
    """Make the tables of HEAD at once, as all migrations one after the other would."""
    metadata.create_all(connection)
    new = store_table.insert().values(id=uuid4().hex, signing_key=secrets.token_bytes(32))
    connection.execute(new)
    # The table is Alembic's own; its import and its migrations take half a second.
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.execute(sa.text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def _migrate(connection: sa.Connection) -> None:
    from alembic import command  # noqa: PLC0415 - 0.4 s that only an upgrade should cost
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(
            f"{_shown(connection.engine)} was made by an unknown version of scanner: {error}"
        ) from error


def _version_of_store(connection: sa.Connection) -> str | None:
    """Return its version; reject a database with other contents, and a newer version."""
    schema = _version(connection)
    if schema is None and sa.inspect(connection).get_table_names():
        raise StoreError(f"{_shown(connection.engine)} is not a store: it has other tables")
    _require_known(connection.engine, schema)
    return schema


def _require_known(engine: sa.Engine, schema: str | None) -> None:
    if schema is not None and schema > HEAD:
        raise StoreTooNew(
            f"{_shown(engine)} has schema {schema}, newer than this version of scanner ({HEAD}): "
            "upgrade scanner on this machine"
        )


def require_current(engine: sa.Engine) -> None:
    """Upgrade an SQLite store as needed; raise StoreOutdated for Postgres, or StoreTooNew."""
    schema = version(engine)
    if schema == HEAD:
        return
    _require_known(engine, schema)
    if engine.dialect.name != "sqlite":
        state = "has no schema yet" if schema is None else f"has the older schema {schema}"
        raise StoreOutdated(f"{_shown(engine)} {state}: run `scanner store upgrade`")
    upgrade(engine)
