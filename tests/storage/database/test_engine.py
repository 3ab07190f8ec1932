"""Opening a store: URLs, schema versions and errors."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, NoReturn

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from migrating import CONFIG, migrate

from storage.database import engine, postgres
from storage.database.schema import HEAD, metadata
from storage.database.store import Store
from storage.database.upgrade import version
from storage.database.urls import shown_url
from storage.database.urls import store_url as parse_url
from storage.errors import StoreError, StoreOutdated, StoreTooNew, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


# What a process does that comes first; a lock decides who migrates.
OPEN_AND_CLOSE = """
import sys
from storage.database.store import Store
store = Store.unchecked(sys.argv[1])
store.upgrade()
store.close()
"""


def set_version(store: Store, version: str) -> None:
    """Pretend that another version of the code made the store."""
    with store.write() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")


def test_first_use_of_sqlite_makes_the_schema(tmp_path: Path) -> None:
    """A missing SQLite store is created with its folder and schema."""
    store = Store.open(str(tmp_path / "new" / "store.db"))
    with store.read() as connection:
        version = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    store.close()

    assert version == HEAD


def test_first_use_by_several_processes(store_url: str) -> None:
    """Several processes can open a new store at the same time."""
    processes = [
        subprocess.Popen([sys.executable, "-c", OPEN_AND_CLOSE, store_url]) for _ in range(2)
    ]

    assert [process.wait() for process in processes] == [0, 0]
    store = Store.open(store_url)
    with store.read() as connection:
        rows = connection.exec_driver_sql("SELECT count(*) FROM alembic_version").scalar()
    store.close()
    assert rows == 1


def test_new_file_that_another_process_is_making(tmp_path: Path) -> None:
    """The switch to a write-ahead log waits for a writer that began before it."""
    file = tmp_path / "store.db"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    # SQLite's busy timeout does not hold here: the switch fails at once while another one writes.
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.3, other.execute, ("COMMIT",)).start()
    store = Store.open(str(file))
    assert version(store.engine) == HEAD
    store.close()
    other.close()


def test_postgres_is_not_upgraded_unasked(postgres_url: str) -> None:
    """An empty Postgres store is rejected with the command that fixes it."""
    with pytest.raises(StoreOutdated, match="scanner store upgrade") as refused:
        Store.open(postgres_url)

    assert "has no schema yet" in str(refused.value)


def test_upgrade_returns_both_versions(store_url: str) -> None:
    """An upgrade names the versions before and after, and a second one changes nothing."""
    store = Store.unchecked(store_url)
    first, second = store.upgrade(), store.upgrade()
    store.close()

    assert first == (None, HEAD)
    assert second == (HEAD, HEAD)


def test_newer_store_is_refused(store: Store, store_url: str) -> None:
    """A store with a newer schema is rejected with one sentence."""
    set_version(store, "9999")

    with pytest.raises(StoreTooNew, match="newer than this version of scanner"):
        Store.open(store_url)


def test_older_postgres_is_refused(postgres_url: str) -> None:
    """A Postgres store of an older schema asks for the upgrade and names its version."""
    store = Store.unchecked(postgres_url)
    store.upgrade()
    set_version(store, "0000")
    store.close()

    with pytest.raises(StoreOutdated, match="has the older schema 0000"):
        Store.open(postgres_url)


@pytest.fixture
def migrated(store_url: str) -> Iterator[Store]:
    """Return a store that the migrations made, one after the other."""
    store = Store.unchecked(store_url)
    with store.write() as connection:
        migrate(connection, "head")
    yield store
    store.close()


def tables(store: Store) -> object:
    """Return the tables, with their columns, keys and indexes, in the order of their names."""
    with store.read() as connection:
        reflected = sa.MetaData()
        reflected.reflect(connection)
    return {
        table.name: (
            sorted((column.name, str(column.type), column.nullable) for column in table.columns),
            sorted(f"{type(one).__name__} {one.name}" for one in table.constraints),
            sorted(
                f"{one.name} {one.expressions} {one.unique} "
                + "".join(f"{name} {value}" for name, value in one.dialect_kwargs.items())
                for one in table.indexes
            ),
        )
        for table in reflected.sorted_tables
    }


def test_migrations_make_the_schema_that_the_code_has(migrated: Store) -> None:
    """The migrations create the tables of `schema.py`."""
    with migrated.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)

    assert [] == differences


def test_new_stores_are_as_migrated_ones(migrated: Store, store_url: str) -> None:
    """A store that is made at once has the tables of one that the migrations made, and its id."""
    expected = tables(migrated)
    identity, key = migrated.identity, migrated.signing_key
    with migrated.write() as connection:
        connection.exec_driver_sql("DROP TABLE alembic_version")
        metadata.drop_all(connection)
    with closing(Store.unchecked(store_url)) as made:
        made.upgrade()

        assert expected == tables(made)
        assert len(identity) == len(made.identity)
        assert len(key) == len(made.signing_key)
        assert identity != made.identity
        assert key != made.signing_key


def test_head_is_the_newest_migration() -> None:
    """HEAD is the version of the latest migration."""
    assert ScriptDirectory.from_config(CONFIG).get_current_head() == HEAD


def test_password_is_not_shown() -> None:
    """The error for a Postgres server that does not answer hides the password."""
    store = Store.unchecked("postgresql://ann:s3cret@127.0.0.1:1/scanner")

    with pytest.raises(StoreUnavailable) as away, store.read():
        pass
    assert "s3cret" not in str(away.value)
    assert "ann:***@127.0.0.1:1" in str(away.value)


def test_file_that_is_no_database(tmp_path: Path) -> None:
    """A file that is not an SQLite database raises one sentence, not an error of the driver."""
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but long enough to be read as a header of one" * 20)

    with pytest.raises(StoreError):
        Store.open(str(file))


@pytest.mark.parametrize(
    ("typed", "driver"),
    [
        ("postgresql://nas/scanner", "postgresql+psycopg"),
        ("postgres://nas/scanner", "postgresql+psycopg"),
        ("sqlite:////data/store.db", "sqlite"),
        ("sqlite+aiosqlite:////data/store.db", "sqlite"),
        ("/data/store.db", "sqlite"),
    ],
)
def test_address(typed: str, driver: str) -> None:
    """Both forms of a Postgres URL, SQLite URLs and paths name a store."""
    assert parse_url(typed).drivername == driver


def test_other_databases_are_refused() -> None:
    """A database other than SQLite and Postgres is rejected by name."""
    with pytest.raises(StoreError, match="mysql"):
        parse_url("mysql://nas/scanner")


@pytest.mark.parametrize("typed", ["sqlite://", "sqlite:///:memory:", ":memory:", ""])
def test_store_in_memory_is_refused(typed: str) -> None:
    """A database in memory is rejected: each connection would have its own."""
    with pytest.raises(StoreError, match="Invalid store"):
        parse_url(typed)


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A store whose parent is a file raises one sentence that names the store."""
    (tmp_path / "file").touch()

    with pytest.raises(StoreUnavailable, match="cannot be used: its folder"):
        Store.open(str(tmp_path / "file" / "store.db"))


def test_store_has_a_name_of_its_own(store: Store, store_url: str, tmp_path: Path) -> None:
    """A store has the same id each time it is opened; another store has another id."""
    again = Store.open(store_url)
    other = Store.open(str(tmp_path / "other.db"))
    identities = [each.identity for each in (store, again, other)]
    again.close()
    other.close()

    assert identities[0] == identities[1]
    assert identities[2] != identities[0]
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in identities)


def test_postgres_without_an_encoding(postgres_url: str) -> None:
    """A database in SQL_ASCII, which Postgres makes where the locale is C, keeps any text."""
    url = sa.make_url(postgres_url)
    name = f"{url.database}_ascii"
    server = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        locale = "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 {locale}".encode())
        store = Store.unchecked(url.set(database=name).render_as_string(hide_password=False))
        store.upgrade()
        with store.read() as reader:
            text = reader.exec_driver_sql("SELECT 'taipei 台北'").scalar()
        store.close()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    assert "taipei 台北" == text


def test_dead_link_to_postgres_is_noticed(postgres_url: str) -> None:
    """A Postgres connection is probed, and closed before the lease of a batch expires."""
    store = Store.unchecked(postgres_url)
    with store.read() as connection:
        raw = connection.connection.dbapi_connection
        given = raw.info.get_parameters()  # type: ignore[union-attr]
    store.close()

    assert {
        "keepalives_idle": "10",
        "keepalives_interval": "5",
        "keepalives_count": "3",
        "tcp_user_timeout": "15000",
    }.items() <= given.items()


def stop_server(connection: sa.Connection, resumed: ExitStack) -> None:
    """Stop the server's process of a connection, and ask it something."""
    pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    os.kill(pid, signal.SIGSTOP)
    resumed.callback(os.kill, pid, signal.SIGCONT)
    connection.exec_driver_sql("SELECT 1")


def test_silent_postgres_is_given_up(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose kernel answers but which does not is unavailable after a while."""
    monkeypatch.setattr(postgres, "ANSWER_MARGIN_S", 0.2)
    store = Store.unchecked(postgres_url, answer_s=1.0)
    with (
        ExitStack() as resumed,
        pytest.raises(StoreUnavailable, match="no answer for 1 s"),
        store.read() as connection,
    ):
        stop_server(connection, resumed)
    # Its connection was replaced.
    with store.read() as connection:
        assert 1 == connection.exec_driver_sql("SELECT 1").scalar_one()
    store.close()


def test_slow_statement_is_ended(postgres_url: str) -> None:
    """A statement that takes too long ends, and the connection stays in use."""
    store = Store.unchecked(postgres_url, answer_s=0.2)
    with pytest.raises(StoreUnavailable, match="statement timeout"), store.read() as connection:
        connection.exec_driver_sql("SELECT pg_sleep(60)")
    with store.read() as connection:
        assert 1 == connection.exec_driver_sql("SELECT 1").scalar_one()
    store.close()


def test_connection_that_died_while_idle_is_replaced(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection is tried before it is used, unless it was used a moment ago."""
    monkeypatch.setattr(engine, "IDLE_S", 0.0)
    store = Store.unchecked(postgres_url)
    store.upgrade()
    with store.read() as connection:
        ended = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    other = Store.unchecked(postgres_url)
    with other.read() as connection:
        connection.exec_driver_sql("SELECT pg_terminate_backend(%s)", (ended,))
    other.close()
    store.require_writable()

    with store.read() as connection:
        assert connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one() != ended
    store.close()


def hang(store: Store, meanwhile: Callable[[], None]) -> None:
    """Change the same row before and after what others do, in one transaction."""
    with store.write() as connection:
        connection.execute(sa.text("UPDATE store SET id = id"))
        meanwhile()
        connection.execute(sa.text("UPDATE store SET id = id"))


def test_locks_of_a_client_that_hangs_are_given_up(postgres_url: str) -> None:
    """Others go on where a process hangs in a transaction; it is told, and may try again."""
    hanging = Store.unchecked(postgres_url, answer_s=0.5)
    hanging.upgrade()
    other = Store.unchecked(postgres_url, answer_s=30.0)
    with pytest.raises(StoreUnavailable, match="idle-in-transaction timeout"):
        hang(hanging, other.require_writable)
    hanging.require_writable()
    hanging.close()
    other.close()


def test_sqlite_settings(tmp_path: Path) -> None:
    """SQLite syncs commits, uses a write-ahead log, and does not checkpoint automatically."""
    store = Store.open(str(tmp_path / "store.db"))
    with store.read() as connection:
        values = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "wal_autocheckpoint")
        }
    store.close()

    assert values == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "wal_autocheckpoint": 0,
    }


def test_checkpoint_folds_the_log_into_the_file(tmp_path: Path) -> None:
    """After a checkpoint, the store's file alone has all commits."""
    file = tmp_path / "store.db"
    store = Store.open(str(file))
    store.checkpoint()
    copy = tmp_path / "copy.db"
    copy.write_bytes(file.read_bytes())
    store.close()

    with sqlite3.connect(copy) as connection:
        tables = connection.execute("SELECT count(*) FROM alembic_version").fetchone()
    connection.close()
    assert tables == (1,)


def test_only_one_checkpoints_at_a_time(tmp_path: Path) -> None:
    """While another process checkpoints, nothing is done and the file does not change."""
    file = tmp_path / "store.db"
    store = Store.open(str(file))
    before = file.read_bytes()
    with (tmp_path / "store.db.checkpoint").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        store.checkpoint()
        during = file.read_bytes()
    store.checkpoint()
    after = file.read_bytes()
    store.close()

    assert during == before
    assert after != before


def test_checkpoint_of_a_store_that_is_away(tmp_path: Path) -> None:
    """A checkpoint of a missing or damaged store raises one sentence."""
    folder = tmp_path / "disk"
    store = Store.open(str(folder / "store.db"))
    store.close()
    (folder / "store.db").write_bytes(b"no database" * 1000)

    with pytest.raises(StoreUnavailable, match="cannot be checkpointed"):
        store.checkpoint()
    store.close()
    shutil.rmtree(folder)
    with pytest.raises(StoreUnavailable, match="cannot be checkpointed"):
        store.checkpoint()


def test_read_sees_one_state(store: Store) -> None:
    """A reading transaction does not see later commits."""
    insert = sa.insert(metadata.tables["host"]).values(id="h", label="l", arch="a", info={})
    count = sa.select(sa.func.count()).select_from(metadata.tables["host"])
    with store.read() as reader:
        before = reader.scalar(count)
        with store.write() as writer:
            writer.execute(insert)
        during = reader.scalar(count)
    with store.read() as reader:
        after = reader.scalar(count)

    assert (before, during, after) == (0, 0, 1)


def test_database_of_something_else(tmp_path: Path) -> None:
    """An SQLite file of another program is rejected and not changed."""
    file = tmp_path / "places.db"
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE places (name TEXT)")
    before = file.read_bytes()
    with pytest.raises(StoreError, match="is not a store"):
        Store.open(str(file))
    with closing(sqlite3.connect(file)) as other:
        tables = [row[0] for row in other.execute("SELECT name FROM sqlite_master")]

    assert tables == ["places"]
    assert before == file.read_bytes()


def test_upgrade_of_newer_or_unknown_versions(store_url: str) -> None:
    """`store upgrade` rejects stores of a newer and of an unknown version."""
    store = Store.unchecked(store_url)
    store.upgrade()
    set_version(store, "9999")
    with pytest.raises(StoreTooNew):
        store.upgrade()
    set_version(store, "0000")
    with pytest.raises(StoreError, match="unknown version of scanner"):
        store.upgrade()
    store.close()


def test_nothing_is_made_where_none_is_to_be(tmp_path: Path) -> None:
    """A missing store raises an error; no folder and no file are created."""
    with pytest.raises(StoreError, match="Store not found"):
        Store.open(str(tmp_path / "typo" / "store.db"), make=False)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "typed",
    [
        "postgresql://ann:s3cret@h:bad/db",
        "postgresql:/ann:s3cret@h/db",
        # Host ann, port 1, and the rest a name, to those who read it from the left.
        "postgresql://ann:1/s3cret@h/db",
        "postgresql://ann:1?s3cret@h/db",
        "sqlite:///:memory:?password=s3cret",
    ],
)
def test_invalid_urls_are_not_repeated(typed: str) -> None:
    """The error for an invalid URL does not repeat the URL."""
    with pytest.raises(StoreError) as refused:
        parse_url(typed)

    assert "s3cret" not in str(refused.value)


def test_passwords_are_hidden() -> None:
    """A URL is shown without password and query, which may have a password too."""
    url = parse_url("postgresql://ann:s3cret@h/db?password=s3cret")

    assert shown_url(url) == "postgresql+psycopg://ann:***@h/db"


def test_new_store_is_private(tmp_path: Path) -> None:
    """A new store, its folder and its other files are their user's, whatever the umask."""
    file = tmp_path / "new" / "store.db"
    before = os.umask(0)
    try:
        with closing(Store.open(str(file))) as store, store.write():
            modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in file.parent.iterdir()}
    finally:
        os.umask(before)

    assert {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600} == modes
    assert 0o700 == stat.S_IMODE(file.parent.stat().st_mode)


@pytest.mark.parametrize("became", ["removed", "replaced"])
@pytest.mark.parametrize("name", ["store.db", "link.db"])
def test_file_that_was_removed_or_replaced(tmp_path: Path, became: str, name: str) -> None:
    """Nothing is read from or written to what was removed, in any connection, until it is back."""
    file = tmp_path / "store.db"
    away = tmp_path / "away"
    away.mkdir()
    with closing(Store.open(str(file))) as made:
        identity = made.identity
    (tmp_path / "link.db").symlink_to(file)
    store = Store.open(str(tmp_path / name))
    store.require_writable()
    for each in [*tmp_path.glob("*.db-*"), file]:
        each.rename(away / each.name)
    if became == "replaced":
        Store.open(str(file)).close()
    for use in (store.read, store.write):
        with pytest.raises(StoreUnavailable, match="was removed or replaced"), use():
            pass
    store.engine.dispose()
    with pytest.raises(StoreUnavailable, match="was removed or replaced"):
        store.require_writable()
    left = file.exists()
    for each in away.iterdir():
        each.rename(tmp_path / each.name)
    store.require_writable()

    assert (became == "replaced") == left
    assert identity == store.identity
    store.close()


def test_mode_of_a_store_is_kept(tmp_path: Path) -> None:
    """The permissions that its user gave to a store stay."""
    file = tmp_path / "store.db"
    Store.open(str(file)).close()
    file.chmod(0o660)
    Store.open(str(file)).close()

    assert 0o660 == stat.S_IMODE(file.stat().st_mode)


def test_device_is_no_store() -> None:
    """A device or a pipe is refused before it is opened."""
    with pytest.raises(StoreError, match="not a device or pipe"):
        Store.open("/dev/null")


def test_user_without_rights(postgres_url: str) -> None:
    """What Postgres refuses to a user names the store and what is refused."""
    url = sa.make_url(postgres_url).update_query_dict({"options": "-csearch_path=nowhere"})
    with (
        closing(Store.unchecked(url.render_as_string(hide_password=False))) as store,
        pytest.raises(StoreError, match=r"The store .* no schema has been selected"),
    ):
        store.upgrade()


def test_reason_of_a_host_with_several_addresses(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of psycopg's list of failures, one for each address, the last is told."""
    several = (
        "Multiple connection attempts failed. All failures were:\n"
        "- host: 'localhost', port: 1, hostaddr: '::1': connection refused\n"
        "- host: 'localhost', port: 1, hostaddr: '127.0.0.1': password authentication failed"
    )

    def fail(*_: object, **__: object) -> NoReturn:
        raise psycopg.OperationalError(several)

    monkeypatch.setattr(postgres, "connect", fail)
    with pytest.raises(StoreUnavailable, match=r"password authentication failed$"):
        Store.open(postgres_url)
