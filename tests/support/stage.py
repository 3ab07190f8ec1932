"""A fleet of real processes on a real Redis and a real store, to break while a scan runs.

Each test of `tests/faults` is a row of the table in docs/reference/reliability.md: it breaks
something on a stage, and the oracle then reads the store. benchmarks/faults.py makes the table
from the property `measured` of each test.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import signal
import sqlite3
import struct
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import redis
import sqlalchemy as sa
from fleets import Cli
from ports import free_port

from scanner.fleet.fingerprint import take_fingerprint
from scanner.fleet.producer import ScanRequest
from scanner.processes.embedded_broker import find_program
from storage.database.schema import batch, entry, finding, run, verdict
from storage.database.store import Store
from storage.errors import NotFound
from storage.reads.progress import Counts, count_images
from storage.reads.verdicts import verdict_rows
from storage.records import Plan
from workers.broker.app import make_namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from workers.broker.namespace import Namespace

# Seconds after which an unfinished scan counts as hung, and after which a stopped process does.
TIMEOUT_S = 240.0
STOP_S = 60.0
# What an image is judged by: searching for faces takes long enough to break something meanwhile.
DETECTORS = "faces,provenance"

# See broken/sitecustomize.py.
BROKEN = Path(__file__).with_name("broken")

Verdicts = dict[bytes, tuple[object, ...]]


class RedisServer:
    """A Redis-compatible server with a password, to stop and to kill."""

    def __init__(self, folder: Path, *, append_only: bool = True) -> None:
        folder.mkdir()
        self.port = free_port()
        self.folder = folder
        self._password = secrets.token_hex(8)
        self._append_only = append_only
        self.start()

    @property
    def url(self) -> str:
        """The URL with the password."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        """Return a new client."""
        return redis.Redis.from_url(self.url)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = {
            "port": self.port,
            "dir": self.folder,
            "appendonly": "yes" if self._append_only else "no",
            "requirepass": self._password,
            "enable-debug-command": "yes",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [find_program(), *words, "--save", ""], stdout=log, stderr=log
            )
        with self.client() as client:
            while not _answers(client):
                assert self.process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.05)

    def kill(self) -> None:
        """Kill the server."""
        self.process.kill()
        self.process.wait()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


class Reads:
    """How often each file of a folder was opened and read, by the kernel's account (inotify)."""

    _IN_ACCESS, _IN_OPEN = 0x01, 0x20

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        events = self._IN_ACCESS | self._IN_OPEN
        libc.inotify_add_watch(self._descriptor, os.fsencode(folder), events)
        self._opened: set[str] = set()
        self._read: Counter[str] = Counter()

    def counts(self) -> Counter[str]:
        """Return the number of times that each file was opened to be read so far.

        A worker also opens files to look at their times alone.
        """
        while True:
            try:
                events = os.read(self._descriptor, 2**20)
            except BlockingIOError:
                return self._read
            while events:
                event, size = struct.unpack_from("4xI4xI", events)
                name = events[16 : 16 + size].rstrip(b"\0").decode()
                events = events[16 + size :]
                if not name:
                    continue  # the folder itself
                if event & self._IN_OPEN:
                    self._opened.add(name)
                elif name in self._opened:
                    self._opened.remove(name)
                    self._read[name] += 1

    def close(self) -> None:
        """Stop counting."""
        os.close(self._descriptor)


class Stage:
    """Workers, a broker, a store and a folder of images; what breaks, and what came of it."""

    def __init__(
        self,
        cli: Cli,
        store_url: str,
        photos: Path,
        folder: Path,
        record: Callable[[str, object], None] = lambda _name, _value: None,
    ) -> None:
        self.cli = cli
        self.record = record
        self.store_url = store_url
        self.photos = photos
        self.workers: list[subprocess.Popen[Any]] = []
        self._folder = folder
        # Read again and again, so that workers recognise the folder.
        request = ScanRequest(photos, photos.name, Plan(()), owner="")
        self._fingerprint = {os.fsdecode(file.path) for file in take_fingerprint(request)}
        self._reads = Reads(photos)
        self._broken_at: float | None = None
        self._at_work: set[int] = set()
        self.scan_id = 0

    def start(self, *arguments: str | Path, **env: str) -> subprocess.Popen[bytes]:
        """Start the command with its output in a file."""
        with (self._folder / "processes.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "scanner", *map(str, arguments)],
                env=self.cli.env | env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_module(self, module: str) -> subprocess.Popen[bytes]:
        """Start one of the processes that a hub runs next to its store."""
        with (self._folder / "processes.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module],
                env=self.cli.env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.workers.append(process)
        return process

    def work(self, **env: str) -> subprocess.Popen[bytes]:
        """Start one more worker with one process, and with the first one a rescuer.

        A worker that starts its own rescuer measures its speed first, which takes seconds.
        """
        if not self.workers:
            self.start_module("scanner.fleet.rescuer")
        work = ("worker", "--concurrency", "1", "--no-rescuer")
        self.workers.append(self.start(*work, **env))
        return self.workers[-1]

    def enqueue(self) -> int:
        """Put the images on the queue; return the number of the scan."""
        answer = self.cli.json("enqueue", self.photos, "--detectors", DETECTORS, "--json")
        self.scan_id = int(answer["scan"])
        return self.scan_id

    def log(self) -> str:
        """Return what all processes printed."""
        log = self._folder / "processes.log"
        return log.read_text("utf-8", "replace") if log.exists() else ""

    def counts(self) -> Counts:
        """Return the progress of the scan."""
        with closing(Store.open(self.store_url)) as store:
            try:
                return count_images(store, self.scan_id)
            except NotFound:  # not begun yet
                return Counts(0, 0, 0, 0, 0, 0, 0)

    def wait(self, until: Callable[[Counts], bool]) -> Counts:
        """Wait until the counts meet a condition."""
        return wait_for(self.counts, until, self.log)

    def wait_begun(self) -> None:
        """Wait until some images are judged and a batch is at work; fail if the scan is over."""

        def is_begun(seen: Counts) -> bool:
            if seen.images and not seen.pending:
                pytest.fail("the scan was over before anything was broken", pytrace=False)
            return seen.judged >= seen.images // 10 and bool(self.at_work())

        # Opening a store takes longer than some images, and a scan a few seconds.
        with closing(Store.open(self.store_url)) as store:
            wait_for(lambda: count_images(store, self.scan_id), is_begun, self.log, pause_s=0.02)

    def at_work(self) -> set[int]:
        """Return the batches that were begun and are not done."""
        query = (
            sa.select(run.c.batch_id)
            .join(batch, batch.c.id == run.c.batch_id)
            .where(run.c.scan_id == self.scan_id, batch.c.done_at.is_(None))
        )
        with closing(Store.open(self.store_url)) as store, store.read() as connection:
            return set(connection.scalars(query))

    @contextmanager
    def fault(self) -> Iterator[None]:
        """Break something in the block; the recovery is timed from its end."""
        self._at_work = self.at_work()
        yield
        self._broken_at = time.monotonic()

    def not_fingerprinted(self) -> list[str]:
        """Return the names of photographs by which workers do not recognise the folder."""
        names = {file.name for file in self.photos.glob("[0-9][0-9][0-9].jpg")}
        return sorted(names - self._fingerprint)

    def finish(self, row: str, expected: Verdicts, errors: Sequence[str] = ()) -> None:
        """Wait for the end of the scan, stop everything, ask the oracle, keep the row.

        `errors` are the images that must have become errors.
        """
        wait_for(self.at_work, self._at_work.isdisjoint, self.log)
        recovery = 0.0 if self._broken_at is None else time.monotonic() - self._broken_at
        self.wait(lambda seen: seen.pending == 0)
        # A worker that lost its batch has judged the last image, and another one ends the batch.
        wait_for(self.unfinished, lambda left: not left, self.log)
        self.stop()
        self.assert_sound(expected, {os.fsencode(name) for name in errors})
        counts = self._reads.counts()
        twice = sum(counts[name] > 1 for name in counts.keys() - self._fingerprint)
        measured = {"row": row, "recovery_s": round(recovery, 1), "twice": twice}
        self.record("measured", measured)

    def assert_sound(self, expected: Verdicts, errors: set[bytes]) -> None:
        """Check the store: one verdict per image as undisturbed, sums that add up, no damage."""
        report = self.cli.json("report", str(self.scan_id), "--format", "json")
        with closing(Store.open(self.store_url)) as store:
            found = verdicts_of(store, self.scan_id)
            images, judged = (_count(store, table, self.scan_id) for table in (entry, verdict))
            _assert_undamaged(store, self.store_url)

        assert {"error"} >= {str(found[path][0]) for path in errors}
        differ = expected.keys() ^ found.keys()
        differ |= {path for path in found.keys() - errors if found[path] != expected[path]}
        assert not differ, [(path, expected.get(path), found.get(path)) for path in sorted(differ)]
        assert (len(expected), len(expected)) == (images, judged)
        assert 0 == report["verdicts"]["pending"]
        assert len(expected) == sum(report["verdicts"].values())
        assert [] == self.unfinished()

    def unfinished(self) -> list[int]:
        """Return the batches that are not marked as done."""
        query = sa.select(batch.c.id).where(
            batch.c.scan_id == self.scan_id, batch.c.done_at.is_(None)
        )
        with closing(Store.open(self.store_url)) as store, store.read() as connection:
            return list(connection.scalars(query))

    def stop(self) -> None:
        """Stop all workers, and check that none of their processes is left behind."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
        for worker in self.workers:
            worker.wait(STOP_S)
        wait_for(self.processes, lambda left: not left, self.log, STOP_S)

    def processes(self) -> list[str]:
        """Return the command lines of the processes of this stage's workers."""
        home = self.cli.env["HOME"]
        return [
            " ".join(process.info["cmdline"] or ())
            for process in psutil.process_iter(["cmdline", "environ"])
            if (process.info["environ"] or {}).get("HOME") == home
            and process.pid != os.getpid()
            and "scanner" in " ".join(process.info["cmdline"] or ())
        ]

    def close(self) -> None:
        """Kill what is left."""
        self._reads.close()
        for worker in self.workers:
            if worker.poll() is None:
                os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()


def broken(**variables: object) -> dict[str, str]:
    """Return the environment of a process that is broken from within."""
    paths = [str(BROKEN), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths)} | {
        name: str(value) for name, value in variables.items()
    }


def fill_disk(folder: Path) -> None:
    """Fill a disk with a file `filler`, so that SQLite and its log, or Redis, have no room."""
    with (folder / "filler").open("wb", buffering=0) as filler:
        while True:
            try:
                filler.write(bytes(4096))
            except OSError:
                return


def wait_for(
    ask: Callable[[], Any],
    until: Callable[[Any], bool],
    log: Callable[[], str],
    timeout_s: float = TIMEOUT_S,
    pause_s: float = 0.2,
) -> Any:  # noqa: ANN401 - of any type
    """Wait until an answer meets a condition; fail with the end of the log."""
    end = time.monotonic() + timeout_s
    while not until(answer := ask()):
        if time.monotonic() > end:
            pytest.fail(f"still {answer} after {timeout_s:.0f} s\n{log()[-6000:]}")
        time.sleep(pause_s)
    return answer


def undisturbed(photos: Path, home: Path) -> Verdicts:
    """Return the verdicts of a scan that nothing disturbs."""
    ours = {name: value for name, value in os.environ.items() if "SCANNER_" not in name}
    cli = Cli(ours | {"HOME": str(home), "XDG_STATE_HOME": str(home / "state")})
    store_url = f"sqlite:///{home}/store.db"
    done = cli.run("scan", photos, "--store", store_url, "--detectors", DETECTORS, check=None)
    assert done.returncode in {0, 3}, done.stderr
    with closing(Store.open(store_url)) as store:
        return verdicts_of(store, 1)


def verdicts_of(store: Store, scan_id: int) -> Verdicts:
    """Return what a scan says of each image, by path."""
    return {
        row.path: (
            row.verdict.outcome,
            row.verdict.score,
            row.verdict.detector,
            *((each.detector, each.kind, each.score) for each in row.verdict.findings),
        )
        for row in verdict_rows(store, scan_id)
        if row.verdict is not None
    }


def _count(store: Store, table: sa.Table, scan_id: int) -> int | None:
    with store.read() as connection:
        query = sa.select(sa.func.count()).select_from(table).where(table.c.scan_id == scan_id)
        return connection.scalar(query)


def _assert_undamaged(store: Store, url: str) -> None:
    """Check the database's own consistency, and that each finding has its verdict."""
    pair = [finding.c.scan_id == verdict.c.scan_id, finding.c.image_id == verdict.c.image_id]
    with store.read() as connection:
        stray = sa.select(sa.func.count()).select_from(finding.outerjoin(verdict, sa.and_(*pair)))
        assert 0 == connection.scalar(stray.where(verdict.c.image_id.is_(None)))
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as opened:
            assert [("ok",)] == opened.execute("PRAGMA integrity_check").fetchall()
            assert [] == opened.execute("PRAGMA foreign_key_check").fetchall()


def children_of(pid: int, *words: str) -> list[psutil.Process]:
    """Return the child processes of a process, those with some words in their command line."""
    return [
        child
        for child in psutil.Process(pid).children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE
        and all(word in " ".join(child.cmdline()) for word in words)
    ]


def pool_children(worker: subprocess.Popen[Any]) -> list[psutil.Process]:
    """Return the processes of a worker that judge images."""
    return [
        child
        for child in psutil.Process(worker.pid).children()
        if "scanner.fleet.rescuer" not in " ".join(child.cmdline())
    ]


def namespace_of(stage: Stage, server: RedisServer) -> Namespace:
    """Return the stage's keys in Redis."""
    with closing(Store.open(stage.store_url)) as store:
        return make_namespace(server.url, store.identity)
