"""A machine that loses power: what was not flushed to its disk is lost, and all processes end."""

from __future__ import annotations

import json
import os
import random
import signal
import tempfile
import time
import zlib
from base64 import b64decode
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import sqlalchemy as sa
from fleets import Cli
from own_postgres import OwnPostgres
from ports import free_port
from stage import DETECTORS, RedisServer, Stage, broken, namespace_of, wait_for
from volatile_disk import VolatileDisk, why_not

from storage.database.schema import finding, verdict
from storage.database.store import Store
from workers.broker.batch_message import part_of
from workers.broker.leases import working_key

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from stage import Verdicts

    # See tests/support/fleets.py.
    Machine = Any

# By cut: the shares of the images between which so many are judged when the power goes.
CUTS = ((0.02, 0.4), (0.45, 0.8))
# Seconds that an image takes longer, so that the scan is at work when that happens.
SLOW_S = 0.1

Row = tuple[Any, ...]


class PoweredMachine:
    """A machine with its disk, on which all of a stage has its files but the images."""

    def __init__(self, disk: VolatileDisk, stage: Stage, seed: int) -> None:
        self.disk = disk
        self.stage = stage
        self.committed: set[Row] = set()
        self.started: list[subprocess.Popen[Any]] = []
        self._chance = random.Random(seed)

    def lose_power(self, start: Callable[[], object], look: Callable[[], object] = bool) -> None:
        """Cut the power at some moments of the scan, and start everything again each time.

        `look` is called right before.
        """
        for at_least, at_most in CUTS:
            self._wait_until_judged(self._chance.uniform(at_least, at_most))
            time.sleep(self._chance.random())
            with self.stage.fault():
                look()
                self.committed |= self.rows()
                kept, written = self.disk.cut(self._chance.getrandbits(32))
                rows = len(self.committed)
                self.stage.record("cut", {"rows": rows, "kept": kept, "unflushed": written})
                self.kill_all()
                self.disk.power_on()
                start()
            # So that it is not the test that recovers the store.
            wait_for(self._is_store_open, bool, self.stage.log)

    def _wait_until_judged(self, share: float) -> None:
        """Wait until a share of the images is judged; fail if the scan is over."""

        def is_reached() -> bool:
            seen = self.stage.counts()
            if seen.images and not seen.pending:
                pytest.fail("the scan was over before the power was cut", pytrace=False)
            return seen.judged > share * max(seen.images, 1)

        wait_for(is_reached, bool, self.stage.log, pause_s=0.1)

    def rows(self) -> set[Row]:
        """Return each verdict and finding as it is stored, with its run and times.

        Without errors, which any verdict replaces.
        """
        scan_id = self.stage.scan_id
        of_scan = sa.select(verdict).where(verdict.c.scan_id == scan_id)
        found = sa.select(finding).where(finding.c.scan_id == scan_id)
        with closing(Store.open(self.stage.store_url)) as store, store.read() as connection:
            verdicts = [row for row in connection.execute(of_scan) if row.outcome != "error"]
            return {tuple(map(repr, row)) for row in [*verdicts, *connection.execute(found)]}

    def kill_all(self) -> None:
        """Kill all processes that use the disk, or were started on it."""
        killed = kill_users(self.disk.folder)
        for process in [*self.started, *self.stage.workers]:
            process.communicate()
        self.started.clear()
        self.stage.workers.clear()
        wait_for(
            lambda: {*filter(psutil.pid_exists, killed)}, lambda left: not left, self.stage.log
        )

    def _is_store_open(self) -> bool:
        """Return whether a process has opened the store, which may be on a server."""
        file = sa.make_url(self.stage.store_url).database
        for pid in users_of(self.disk.folder):
            with suppress(OSError):
                if file in _files(Path("/proc", str(pid))):
                    return True
        return not self.stage.store_url.startswith("sqlite")

    def finish(self, row: str, expected: Verdicts) -> None:
        """Wait for the end of the scan, ask the oracle, and look for all that was committed."""
        self.stage.finish(row, expected)
        lost = self.committed - self.rows()
        assert not lost, f"{len(lost)} of {len(self.committed)} committed rows are lost"


def users_of(folder: Path) -> list[int]:
    """Return the other processes that use a disk, or were started in an environment on it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_user = os.fsencode(folder) in (process / "environ").read_bytes()
            if is_user or any(file.startswith(str(folder)) for file in _files(process)):
                found.append(int(process.name))
    return [pid for pid in found if pid != os.getpid()]


def kill_users(folder: Path) -> set[int]:
    """Kill all processes of a disk, also those that are started meanwhile; return them."""
    killed: set[int] = set()
    while users := users_of(folder):
        for pid in users:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed.update(users)
        time.sleep(0.05)
    return killed


def _files(process: Path) -> Iterator[str]:
    """Yield the files that a process has open, and its folder."""
    for link in [process / "cwd", *(process / "fd").iterdir()]:
        with suppress(OSError):  # closed meanwhile
            yield str(link.readlink())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[VolatileDisk]:
    """Make a disk that can lose its power."""
    if reason := why_not():
        pytest.skip(reason)
    # Where paths of Unix sockets are short and another user has access, as Postgres needs it.
    with tempfile.TemporaryDirectory(prefix="power-") as folder:
        Path(folder).chmod(0o755)
        made = VolatileDisk(tmp_path / "files", Path(folder, "disk"))
        yield made
        kill_users(made.folder)
        made.close()


@pytest.fixture
def home_disk(disk: VolatileDisk, home: Path, monkeypatch: pytest.MonkeyPatch) -> VolatileDisk:
    """Return a disk that has the home folder."""
    (disk.folder / "home").mkdir()
    for name, value in os.environ.items():
        if value.startswith(str(home)):
            monkeypatch.setenv(name, value.replace(str(home), f"{disk.folder}/home"))
    return disk


@pytest.fixture
def machine_on(
    home_disk: VolatileDisk,
    photos: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> Iterator[Callable[..., PoweredMachine]]:
    """Return a function that makes a machine on a disk, by default with its store."""
    disk = home_disk
    made: list[PoweredMachine] = []

    def make(store_url: str = f"sqlite:///{disk.folder}/store.db", **env: str) -> PoweredMachine:
        cli = Cli(os.environ | {"SCANNER_STORE_URL": store_url, "COLUMNS": "100"} | env)
        with closing(Store.unchecked(store_url)) as store:
            store.upgrade()
        cli.env.update(broken(PYTHON_FAULTS_SLOW=SLOW_S))
        stage = Stage(cli, store_url, photos, tmp_path, record_property)
        seed = random.randrange(2**32)
        record_property("seed", seed)
        made.append(PoweredMachine(disk, stage, seed))
        return made[-1]

    yield make
    for machine in made:
        machine.kill_all()
        machine.stage.close()


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_scan(machine_on: Callable[..., PoweredMachine], expected: Verdicts) -> None:
    """The same `scan` resumes on a machine that is switched on again."""
    machine = machine_on()
    stage = machine.stage
    stage.scan_id = 1
    ask = ("scan", stage.photos, "--detectors", DETECTORS, "--concurrency", "1")

    def start() -> None:
        machine.started.append(stage.start(*ask))

    start()
    machine.lose_power(start)

    machine.finish(f"loss of power {len(CUTS)} times: scan", expected)
    assert machine.started[-1].wait(60) in {0, 3}
    machine.disk.power_off()


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_hub(
    machine_on: Callable[..., PoweredMachine], machine: Callable[[str], Machine], expected: Verdicts
) -> None:
    """A hub and a machine that joined it go on with the scan when they are started again."""
    powered = machine_on()
    stage, folder = powered.stage, powered.disk.folder
    address = f"127.0.0.1:{free_port()}"
    pi = machine(f"{folder}/pi")
    pi.cli.env.update(broken(PYTHON_FAULTS_SLOW=SLOW_S))
    work = ("worker", "--concurrency", "1", "--root", f"photos={stage.photos}")

    def start_hub() -> str:
        hub = stage.cli.start("hub", "--listen", address)
        stage.workers.append(hub)
        assert hub.stdout is not None
        assert hub.stderr is not None
        line = hub.stdout.readline()
        assert line, hub.stderr.read()
        return line.partition("'")[2].rpartition("'")[0]

    def start() -> None:
        start_hub()
        stage.workers.append(pi.cli.start(*work))

    pi.join(start_hub())
    answer = stage.cli.json(
        "enqueue", stage.photos, "--detectors", DETECTORS, "--name", "photos", "--json"
    )
    stage.scan_id = int(answer["scan"])
    stage.workers.append(pi.cli.start(*work))
    powered.lose_power(start)

    powered.finish(f"loss of power {len(CUTS)} times: hub, queue and worker", expected)
    stage.record("damaged", [str(path) for path in folder.rglob("appendonlydir.damaged")])
    powered.disk.power_off()


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("postgres_server")
def test_fleet(
    disk: VolatileDisk, machine_on: Callable[..., PoweredMachine], expected: Verdicts
) -> None:
    """Postgres, Redis and a worker that were enqueued to go on when they are started again."""
    postgres = OwnPostgres(disk.folder / "postgres")
    server = RedisServer(disk.folder / "redis")
    machine = machine_on(postgres.url, SCANNER_BROKER_URL=server.url)
    machine.started.append(server.process)
    stage = machine.stage
    queued: set[int] = set()
    acknowledged: set[int] = set()

    def work() -> None:
        queued.update(batches_in(stage, server))
        stage.work()

    def start() -> None:
        postgres.start()
        try:
            server.start()
        except AssertionError as error:
            # What its owner has to do, see docs/how-to/fleet.md.
            assert "reading the append only file" in str(error)  # noqa: PT017
            machine.stage.record("damaged", "append-only file")
            (server.folder / "appendonlydir").rename(server.folder / f"damaged-{time.time()}")
            server.start()
        machine.started.append(server.process)
        queued.clear()
        work()

    def look() -> None:
        """Check that the batches that are acknowledged have all of their verdicts."""
        gone = queued - batches_in(stage, server)
        # A message that is on its way to a worker is nowhere in Redis.
        time.sleep(1)
        gone -= batches_in(stage, server)
        assert gone.isdisjoint(stage.unfinished())
        acknowledged.update(gone)

    stage.enqueue()
    work()
    machine.lose_power(start, look)

    machine.finish(f"loss of power {len(CUTS)} times: Postgres, Redis and worker", expected)
    stage.record("acknowledged", len(acknowledged))
    check_postgres(postgres.url)
    server.kill()
    postgres.stop()
    machine.disk.power_off()


def batches_in(stage: Stage, server: RedisServer) -> set[int]:
    """Return the batches that are on the queue, or at work."""
    names = namespace_of(stage, server)
    with names.client as client:
        taken = [json.loads(raw)[0] for raw in client.hvals(names.key("unacked"))]
        messages = [*taken, *map(json.loads, client.lrange(names.queue, 0, -1))]
        working = {int(name.partition(b".")[0]) for name in client.hkeys(working_key(names))}
    bodies = [json.loads(zlib.decompress(b64decode(each["body"]))) for each in messages]
    return working | {part_of(arguments[0]).batch_id for arguments, *_ in bodies}


def check_postgres(url: str) -> None:
    """Read every row of every table, and build scanner's indexes again, which needs unique keys."""
    tables = "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'm')"
    own = f"{tables} AND relnamespace = 'public'::regnamespace"
    with closing(Store.open(url)) as store, store.write() as connection:
        for table in connection.scalars(sa.text(tables)).all():
            connection.exec_driver_sql(f"SELECT md5(string_agg(t::text, '')) FROM {table} t")
        for table in connection.scalars(sa.text(own)).all():
            connection.exec_driver_sql(f"REINDEX TABLE {table}")
