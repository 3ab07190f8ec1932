"""Faults: the real command, broken while it runs, and an oracle that reads the store afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fleets import Cli, machine, photo, proxy_to, started
from own_postgres import OwnPostgres
from stage import RedisServer, Stage, undisturbed

from storage.database.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stage import Verdicts

__all__ = ["machine", "photo", "proxy_to", "started"]

PHOTOGRAPHS = 86


@pytest.fixture(scope="session")
def collection(photo: Path, drawn_samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder of 100 images with verdicts of all kinds, in about four batches."""
    folder = tmp_path_factory.mktemp("collection")
    for number in range(PHOTOGRAPHS):
        os.link(photo, folder / f"{number:03}.jpg")
    for file in drawn_samples.rglob("*"):
        if file.is_file():
            shutil.copy(file, folder / file.name)
    return folder


@pytest.fixture
def photos(collection: Path, tmp_path: Path) -> Path:
    """Return the test's own copy of the images: hard links to them."""
    folder = tmp_path / "photos"
    shutil.copytree(collection, folder, copy_function=os.link)
    return folder


@pytest.fixture(scope="session")
def expected(collection: Path, tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    """Return the verdicts of an undisturbed scan, of which one photograph speaks for all."""
    few = tmp_path_factory.mktemp("few")
    for file in sorted(collection.iterdir()):
        if len(file.stem) != 3 or file.stem == "000":
            os.link(file, few / file.name)
    found = undisturbed(few, tmp_path_factory.mktemp("undisturbed"))
    return found | {b"%03d.jpg" % number: found[b"000.jpg"] for number in range(PHOTOGRAPHS)}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """Start a Redis of the test's own, which writes an append-only file."""
    opened = RedisServer(tmp_path / "redis")
    yield opened
    opened.kill()


@pytest.fixture
def stage_on(
    home: Path,
    server: RedisServer,
    photos: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> Iterator[Callable[..., Stage]]:
    """Return a function that makes a stage on a store, and a broker that is the server's."""
    with ExitStack() as ended:

        def make(store_url: str, broker_url: str | None = None) -> Stage:
            named = {
                "SCANNER_STORE_URL": store_url,
                "SCANNER_BROKER_URL": broker_url or server.url,
                "COLUMNS": "100",
            }
            cli = Cli(dict(os.environ) | named)
            with closing(Store.unchecked(store_url)) as store:
                store.upgrade()
            made = Stage(cli, store_url, photos, tmp_path, record_property)
            ended.callback(made.close)
            return made

        yield make


@pytest.fixture
def own_postgres(postgres_server: str) -> Iterator[OwnPostgres]:
    """Start a Postgres of the test's own, besides that of the whole run."""
    # Where paths of Unix sockets are short and another user has access, see `postgres_server`.
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        Path(folder).chmod(0o755)
        opened = OwnPostgres(Path(folder, "data"))
        yield opened
        opened.stop()


@pytest.fixture
def stage(stage_on: Callable[..., Stage], tmp_path: Path) -> Stage:
    """Return a stage on SQLite."""
    return stage_on(f"sqlite:///{tmp_path}/store.db")


@pytest.fixture
def postgres_stage(stage_on: Callable[..., Stage], postgres_url: str) -> Stage:
    """Return a stage on Postgres."""
    return stage_on(postgres_url)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system in memory of 2 MiB, which only root may do."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
