"""Every command with a store that cannot be used: one sentence, and nothing of it is changed."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from commands import PASSWORD, REFUSED, Here, check, content, with_option
from sqlalchemy import make_url

from storage.database.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# `store where` prints the URL, and `doctor` notes that a store has no tables yet.
ONLY_NAMES_STORE = {"store where", "doctor"}


def _other_program(file: Path, _store: Path) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE kept (id)")


def _newer(file: Path, store: Path) -> None:
    shutil.copy(store, file)
    with closing(sqlite3.connect(file)) as newer, newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")


def _parent_is_a_file(file: Path, _store: Path) -> None:
    file.parent.rmdir()
    file.parent.write_text("kept")


# What makes a file that is no store, or none that can be used, from its path and a whole store.
FILES: dict[str, Callable[[Path, Path], object]] = {
    "folder": lambda file, _: file.mkdir(),
    "parent is a file": _parent_is_a_file,
    "pipe": lambda file, _: os.mkfifo(file),
    "link to itself": lambda file, _: file.symlink_to(file),
    "link to a device": lambda file, _: file.symlink_to("/dev/full"),
    "link to where none can be": lambda file, _: file.symlink_to("/proc/scanner/store.db"),
    "text": lambda file, _: file.write_text("kept " * 1000),
    "truncated": lambda file, store: file.write_bytes(store.read_bytes()[:5000]),
    "newer": _newer,
    "of another program": _other_program,
}
URLS = {
    "mysql": f"mysql://ann:{PASSWORD}@laptop/photos",
    "no host": "postgresql:/photos",
    "invalid port": f"postgresql://ann:{PASSWORD}@laptop:port/photos",
    "memory": ":memory:",
    "unknown option": "postgresql://127.0.0.1:1/photos?nonsense=1",
    "closed port": f"postgresql://ann:{PASSWORD}@127.0.0.1:1/photos",
    "unknown host": "postgresql://laptop.invalid/photos",
}


@pytest.mark.parametrize("fault", FILES)
@pytest.mark.parametrize("line", with_option("--store"))
def test_file_of_the_store(here: Here, line: str, fault: str) -> None:
    """A file that is no store is told in one sentence, and stays as it was."""
    file = here.folder / "broken" / "store.db"
    file.parent.mkdir()
    FILES[fault](file, here.store)
    before = content(file.parent)
    accepted = {0} if line in ONLY_NAMES_STORE else set()
    check(line, here.words(line, "--store", file), REFUSED | accepted)

    assert before == content(file.parent)


@pytest.mark.parametrize("fault", URLS)
@pytest.mark.parametrize("line", with_option("--store"))
def test_url_of_the_store(here: Here, line: str, fault: str) -> None:
    """A URL of no store, and one of a server that is away, are one sentence."""
    accepted = {0} if line in ONLY_NAMES_STORE else set()
    words = here.words(line, "--store", URLS[fault])
    check(line, words, REFUSED | accepted)


@pytest.fixture(scope="module")
def postgres(postgres_server: str) -> Iterator[dict[str, str]]:
    """Return URLs of a Postgres that refuses, by the reason."""
    base = make_url(postgres_server)
    url = base.set(drivername="postgresql", database="refusing")
    with psycopg.connect(postgres_server, autocommit=True) as server:
        hba = Path(server.execute("SHOW hba_file").fetchone()[0])  # type: ignore[index]
        before = hba.read_text()
        server.execute("CREATE DATABASE refusing TEMPLATE template0")
        server.execute("CREATE DATABASE whole TEMPLATE template0")
        for role, options in {
            "nocreate": "",
            "readonly": "",
            "reader": "",
            "locked": f"PASSWORD '{PASSWORD}-other'",
            "full": "CONNECTION LIMIT 0",
        }.items():
            server.execute(f"CREATE ROLE {role} LOGIN {options}".encode())
        server.execute("ALTER ROLE readonly SET default_transaction_read_only = on")
        hba.write_text(f"local all locked scram-sha-256\n{before}")
        server.execute("SELECT pg_reload_conf()")
    whole = url.set(database="whole")
    with closing(Store.unchecked(whole.render_as_string(hide_password=False))) as store:
        store.upgrade()
        with store.write() as connection:
            connection.exec_driver_sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO readonly")
    urls = {
        "no create": url.set(username="nocreate"),
        "missing schema": url.update_query_dict({"options": "-csearch_path=nowhere"}),
        "read-only": whole.set(username="readonly"),
        "read-only and empty": url.set(username="readonly"),
        "no select": whole.set(username="reader"),
        "wrong password": url.set(username="locked", password=PASSWORD),
        "unknown database": url.set(database="nowhere"),
        "unknown role": url.set(username="nobody-of-that-name"),
        "too many connections": url.set(username="full"),
    }
    yield {name: one.render_as_string(hide_password=False) for name, one in urls.items()}
    hba.write_text(before)
    with psycopg.connect(postgres_server, autocommit=True) as server:
        server.execute("SELECT pg_reload_conf()")
        server.execute("DROP DATABASE refusing WITH (FORCE)")
        server.execute("DROP DATABASE whole WITH (FORCE)")
        for role in ("nocreate", "readonly", "reader", "locked", "full"):
            server.execute(f"DROP ROLE {role}".encode())


POSTGRES = [
    "no create",
    "missing schema",
    "read-only",
    "read-only and empty",
    "no select",
    "wrong password",
    "unknown database",
    "unknown role",
    "too many connections",
]
# Commands that only read may use a store that they cannot write.
READABLE = {"read-only"}


@pytest.mark.parametrize("fault", POSTGRES)
@pytest.mark.parametrize("line", with_option("--store"))
def test_postgres_that_refuses(here: Here, postgres: dict[str, str], line: str, fault: str) -> None:
    """What Postgres refuses is one sentence."""
    if (line, fault) == ("hub", "read-only"):
        pytest.skip("it waits until the store can be written")
    accepted = {0} if fault in READABLE or line in ONLY_NAMES_STORE else set()
    words = here.words(line, "--store", postgres[fault])
    check(line, words, REFUSED | accepted)
