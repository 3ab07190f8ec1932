"""Opening a store: SQLite and Postgres, their settings, and whether the schema is ours."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import sqlalchemy as sa
from sqlalchemy import event, exc

from storage.database.schema import HEAD
from storage.errors import StoreError, StoreOutdated, StoreTooNew, StoreUnavailable
from storage.extras import with_extra

if TYPE_CHECKING:
    from collections.abc import Iterator

# A writer waits this long for another one's transaction; a chunk's takes milliseconds.
BUSY_TIMEOUT_MS = 30_000
# Between two tries to switch a new file to a write-ahead log.
WAL_RETRY_S = 0.01
# Seconds until a Postgres that does not answer counts as away.
CONNECT_TIMEOUT_S = 5
# A link that dies without a word, with its firewall or its Wi-Fi, would hang a writer for minutes,
# as TCP has it, while its lease is renewed and nobody else takes the batch up. So an idle
# connection is probed after 10 s, and given up after three probes 5 s apart;
KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
# and what was sent has to be acknowledged within these milliseconds.
TCP_USER_TIMEOUT_MS = 15_000

# Not the URL itself, nor what a parser says of it: there may be a password in it.
NO_URL = (
    "This is not the URL of a store: sqlite:////PATH, or "
    "postgresql://[USER[:PASSWORD]@]HOST[:PORT]/NAME, with / ? # and @ in the password written as "
    "%2F %3F %23 and %40"
)
# What SQLite takes for a database in memory, or for one that is deleted when it is closed.
_NO_FILE = ("", ":memory:")


def store_url(text: str) -> sa.URL:
    """A store's URL from what a user typed: an SQLAlchemy URL or the path of an SQLite file."""
    if text in _NO_FILE:
        raise _no_file(text)
    if "://" not in text:
        if text.startswith(("postgres:", "postgresql:", "sqlite:")):
            raise StoreError("A store's URL has two slashes: postgresql://…, sqlite:///FILE")
        return sa.URL.create("sqlite", database=str(Path(text).expanduser().absolute()))
    try:
        url = sa.make_url(text)
        parts = urlsplit(text)
    except (exc.ArgumentError, ValueError):
        raise StoreError(NO_URL) from None
    # A password with a slash in it ends the host's part early, and would be taken for a name.
    if parts.netloc and "@" in parts.path + parts.query + parts.fragment:
        raise StoreError(NO_URL)
    if url.get_backend_name() in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() != "sqlite":
        raise StoreError(f"A store is SQLite or Postgres, not {url.get_backend_name()!r}")
    if (url.database or "") in _NO_FILE:
        raise _no_file(shown_url(url))
    # Whatever driver is named: ours is the standard library's.
    return url.set(drivername="sqlite", database=str(Path(url.database or "").absolute()))


def shown_url(url: sa.URL) -> str:
    """A store's URL as it can be shown: no password, and no query, where one may stand too."""
    return url.set(query={}).render_as_string(hide_password=True)


def _no_file(text: str) -> StoreError:
    return StoreError(
        f"A store is a file, or a Postgres database, and lasts: {text!r} names neither; "
        "give a path, or a URL like sqlite:////path/to/store.db"
    )


def make_engine(url: sa.URL) -> sa.Engine:
    """An engine whose connections have our settings; nothing is opened yet."""
    if url.get_backend_name() == "sqlite":
        file = Path(url.database or "")
        _make_folder(file)
        if _may_only_read(file):
            # Each transaction looks anew whether there is a log: a scan may have begun meanwhile.
            reading = partial(_connect_to_read, file)
            engine = sa.create_engine(url, creator=reading, poolclass=sa.NullPool)
        else:
            engine = sa.create_engine(url, connect_args={"check_same_thread": False})
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        return sa.create_engine(
            url,
            # A connection that died while idle is replaced before it is used.
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT_S,
                "tcp_user_timeout": TCP_USER_TIMEOUT_MS,
                **KEEPALIVES,
            },
        )
    except ModuleNotFoundError as error:
        raise StoreError(f"A Postgres store needs psycopg: {with_extra('postgres')}") from error


def _may_only_read(file: Path) -> bool:
    return file.exists() and not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK))


def _connect_to_read(file: Path) -> sqlite3.Connection:
    """A connection to a file that this user may only read.

    SQLite keeps an index of the write-ahead log beside the file, and refuses to read where it
    cannot make one. Where there is no log nobody has the file open, so that it can do without.
    """
    still = "" if Path(f"{file}-wal").exists() else "&immutable=1"
    url = f"file:{quote(str(file))}?mode=ro{still}"
    return sqlite3.connect(url, uri=True, check_same_thread=False)


def _make_folder(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(
            f"The store {file} cannot be used: its folder cannot be made: {error.strerror}"
        ) from error


def _set_up_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DB-API connection
    # We say BEGIN ourselves (see _begin_sqlite); the driver's own is DEFERRED.
    connection.isolation_level = None
    cursor = connection.cursor()
    # First, for the next line may have to wait for another process doing the same.
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    _write_ahead(cursor)
    # A batch is acknowledged after its commit: the commit has to outlast a power cut.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    # Two connections that checkpoint at once can lose commits before SQLite 3.51.3 (the WAL-reset
    # race): only a keeper's does, and by a lock only one at a time, see `checkpoint.py`.
    cursor.execute("PRAGMA wal_autocheckpoint=0")
    cursor.close()


def _write_ahead(cursor: Any) -> None:  # noqa: ANN401 - a DB-API cursor
    """Have a write-ahead log: readers do not stop the writer, nor it them.

    The first to open a new file switches it over. SQLite lets a second one that wants the same
    just then fail at once, whatever the busy timeout.
    """
    give_up_at = monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() >= give_up_at:
                raise
            sleep(WAL_RETRY_S)
        else:
            return


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that reads and then writes fails at once where another writer came between,
    # whatever the busy timeout; one that begins as a writer waits for its turn.
    writes = connection.get_execution_options().get("scanner_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def transaction(engine: sa.Engine, *, writes: bool) -> Iterator[sa.Connection]:
    """One transaction; what is wrong with the world comes out as StoreUnavailable.

    StoreError where the file is no database, or damaged, and where what is written hangs on a row
    that somebody has deleted meanwhile (a forgotten scan).
    """
    options: dict[str, Any] = {"scanner_writes": writes}
    if not writes and engine.dialect.name == "postgresql":
        # A report's counts have to add up: all of it reads one state of the store.
        options["isolation_level"] = "REPEATABLE READ"
    try:
        with _connected(engine).execution_options(**options) as connection, connection.begin():
            yield connection
    except (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError) as error:
        raise StoreUnavailable(
            f"{_shown(engine)} cannot be used just now: {_reason(error)}"
        ) from error
    except exc.IntegrityError as error:
        raise StoreError(f"{_shown(engine)} refuses what is written: {_reason(error)}") from error
    except exc.DatabaseError as error:
        # The subclasses that are left are mistakes of ours.
        if type(error) is not exc.DatabaseError:
            raise
        raise StoreError(f"{_shown(engine)} cannot be used: {_reason(error)}") from error


def _connected(engine: sa.Engine) -> sa.Connection:
    try:
        return engine.connect()
    except exc.ProgrammingError as error:
        # Not a mistake of ours: an option in the URL that the driver does not know.
        raise StoreError(f"{_shown(engine)} cannot be opened: {_reason(error)}") from error


def _shown(engine: sa.Engine) -> str:
    return f"The store {shown_url(engine.url)}"


def _reason(error: exc.SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]


def version(engine: sa.Engine) -> str | None:
    """The store's schema version, or None where there is no schema yet."""
    with transaction(engine, writes=False) as connection:
        return _version(connection)


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
    return None if row is None else str(row[0])


def upgrade(engine: sa.Engine) -> None:
    """Bring the schema to HEAD; several processes at once are fine: one does it.

    Raises StoreTooNew, and StoreError where it is no store of ours.
    """
    from alembic import command  # noqa: PLC0415 - 0.4 s that only a first start should cost
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with transaction(engine, writes=True) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7226)")
        _require_ours(connection)
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise StoreError(
                f"{_shown(engine)} was made by a version of scanner that is not known here: {error}"
            ) from error


def _require_ours(connection: sa.Connection) -> None:
    """Refuse a database that holds something else, and one of a later version."""
    found = _version(connection)
    if found is None and sa.inspect(connection).get_table_names():
        raise StoreError(f"{_shown(connection.engine)} is a database of something else")
    _require_known(connection.engine, found)


def _require_known(engine: sa.Engine, found: str | None) -> None:
    if found is not None and found > HEAD:
        raise StoreTooNew(
            f"{_shown(engine)} is of schema {found}, newer than this scanner knows ({HEAD}): "
            "upgrade scanner on this machine"
        )


def require_current(engine: sa.Engine) -> None:
    """Make sure that the schema is ours: SQLite is brought up to date, elsewhere one sentence."""
    found = version(engine)
    if found == HEAD:
        return
    _require_known(engine, found)
    if engine.dialect.name != "sqlite":
        state = "has no schema yet" if found is None else f"is of the older schema {found}"
        raise StoreOutdated(f"{_shown(engine)} {state}: run `scanner store upgrade`")
    upgrade(engine)
