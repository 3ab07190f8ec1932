"""The real command as a subprocess, fleets of workers, and folders of images."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from scanner.fleet.hub_config import HubConfig
from scanner.fleet.joining import Admission
from storage.database.schema import entry, verdict
from storage.database.store import Store
from storage.reads import progress
from workers.broker.app import make_namespace
from workers.broker.signatures import STORE, Signer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Seconds after which an unfinished scan counts as hung.
TIMEOUT_S = 150.0


@dataclass(frozen=True)
class Cli:
    """Runs `scanner` as a user would, with a store and, where one is named, a broker."""

    env: dict[str, str]

    def run(
        self, *arguments: str | Path, check: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run the command to its end; `check` is the expected exit code, None for any."""
        done = subprocess.run(
            [sys.executable, "-m", "scanner", *map(str, arguments)],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        if check is not None and done.returncode != check:
            pytest.fail(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def json(self, *arguments: str | Path, check: int | None = 0) -> dict[str, Any]:
        """Run the command to its end; return the JSON object that it prints."""
        answer: dict[str, Any] = json.loads(self.run(*arguments, check=check).stdout)
        return answer

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start the command without waiting for it."""
        return subprocess.Popen(
            [sys.executable, "-m", "scanner", *map(str, arguments)],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


@pytest.fixture
def cli(home: Path) -> Cli:
    """Return the command with an empty home: SQLite and an embedded broker."""
    return Cli(dict(os.environ) | {"COLUMNS": "100"})


@pytest.fixture(scope="session")
def scan_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Return a function that scans a folder, once a session, and returns the data folder."""

    @functools.cache
    def scan(folder: Path) -> Path:
        home = tmp_path_factory.mktemp("scanned")
        with pytest.MonkeyPatch.context() as patch:
            for variable in os.environ:
                if variable.startswith("SCANNER_"):
                    patch.delenv(variable)
            cli = Cli(os.environ | {"HOME": str(home), "XDG_DATA_HOME": str(home / "data")})
            cli.env["XDG_STATE_HOME"] = str(home / "state")
            assert cli.run("scan", folder, check=None).returncode in {0, 3}
        return home / "data"

    return scan


@pytest.fixture
def scanned_samples(cli: Cli, drawn_samples: Path, scan_once: Callable[[Path], Path]) -> Cli:
    """Return the command with a scan of the sample images in its store."""
    shutil.copytree(scan_once(drawn_samples), cli.env["XDG_DATA_HOME"])
    return cli


@dataclass
class Fleet:
    """A broker, a store and the workers that a test starts on them."""

    cli: Cli
    store_url: str
    workers: list[subprocess.Popen[str]] = field(default_factory=list)

    def work(self, *options: str) -> subprocess.Popen[str]:
        """Start one more worker, with one process by default."""
        worker = self.cli.start("worker", "--concurrency", "1", *options)
        self.workers.append(worker)
        return worker

    def counts(self, scan_id: int) -> progress.Counts:
        """Return the progress of a scan."""
        store = Store.open(self.store_url)
        try:
            return progress.count_images(store, scan_id)
        finally:
            store.close()

    def wait(self, scan_id: int, until: Callable[[progress.Counts], bool]) -> progress.Counts:
        """Wait until the counts meet a condition."""
        end = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end:
            seen = self.counts(scan_id)
            if until(seen):
                return seen
            time.sleep(0.1)
        pytest.fail(f"still {seen} after {TIMEOUT_S:.0f} s")

    def assert_each_image_once(self, scan_id: int, images: int) -> None:
        """Check that each photograph has one verdict, and that the report's counts add up."""
        report = self.cli.json("report", str(scan_id), "--format", "json")
        store = Store.open(self.store_url)
        with store.read() as connection:
            found = [
                connection.scalar(
                    sa.select(sa.func.count()).select_from(table).where(table.c.scan_id == scan_id)
                )
                for table in (entry, verdict)
            ]
        store.close()

        assert [images, images] == found
        none = {"ai": 0, "unsure": 0, "error": 0, "pending": 0}
        assert none | {"no_evidence": images} == report["verdicts"]

    def stop(self) -> None:
        """Stop all remaining workers."""
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
        for worker in self.workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.communicate(timeout=30)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.communicate()


@pytest.fixture
def fleet_on(home: Path, clean_redis: str) -> Iterator[Callable[[str], Fleet]]:
    """Return a function that creates a fleet on a store, without workers at first."""
    made: list[Fleet] = []

    def make(store_url: str) -> Fleet:
        named = {"SCANNER_STORE_URL": store_url, "SCANNER_BROKER_URL": clean_redis}
        cli = Cli(dict(os.environ) | named)
        cli.run("store", "upgrade")
        made.append(Fleet(cli, store_url))
        return made[-1]

    yield make
    for fleet in made:
        fleet.stop()


@pytest.fixture
def fleet(fleet_on: Callable[[str], Fleet], store_url: str) -> Fleet:
    """Create a fleet on each kind of store, without workers."""
    return fleet_on(store_url)


class Machine:
    """Another machine: it has its own home, and knows no store but the hub that it has joined."""

    def __init__(self, home: Path) -> None:
        places = {
            "HOME": home,
            "XDG_CONFIG_HOME": home / "config",
            "XDG_STATE_HOME": home / "state",
            "XDG_DATA_HOME": home / "data",
        }
        home.mkdir()
        self.home = home
        ours = {name: value for name, value in os.environ.items() if "SCANNER_" not in name}
        self.cli = Cli(ours | {name: str(place) for name, place in places.items()})

    def join(self, line: str) -> None:
        """Join a hub with its line."""
        subprocess.run(
            [sys.executable, "-m", "scanner", "join", "-"],
            env=self.cli.env,
            input=line,
            text=True,
            check=True,
        )

    def join_store(self, store_url: str, broker_url: str) -> None:
        """Join where there is a store and a broker, and no hub: the test admits the machine."""
        with closing(Store.open(store_url)) as store:
            key = base64.urlsafe_b64encode(Signer(STORE, store.signing_key).public_key).decode()
            hub = HubConfig(broker_url, store.identity, key, join="line")
            admission = Admission(store, make_namespace(broker_url, store.identity), "line")
            joining = threading.Thread(target=self.join, args=(hub.join_line(),))
            joining.start()
            while joining.is_alive():
                admission.send(admission.take_requests())
                joining.join(0.1)


@pytest.fixture
def machine(tmp_path: Path) -> Callable[[str], Machine]:
    """Return a function that creates another machine."""
    return lambda name: Machine(tmp_path / name)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Collect processes that are killed when the test ends."""
    made: list[subprocess.Popen[str]] = []
    yield made
    for process in made:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write one noisy photograph of three megapixels, which takes a worker about 30 ms."""
    file = tmp_path_factory.mktemp("photo") / "photo.jpg"
    noise = np.random.default_rng(7).integers(0, 255, (1500, 2000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, quality=75)
    return file


@pytest.fixture
def photos(photo: Path, tmp_path: Path) -> Path:
    """Make a folder of 400 photographs (hard links to one), in about ten batches."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(400):
        os.link(photo, folder / f"{number:03}.jpg")
    return folder


@pytest.fixture
def proxy_to() -> Iterator[Callable[..., Proxy]]:
    """Return a function that creates a `Proxy`."""
    made: list[Proxy] = []

    def make(
        target: str | tuple[str, int],
        delay: float = 0.0,
        listener: socket.socket | None = None,
    ) -> Proxy:
        made.append(Proxy(target, delay, listener))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


class Proxy:
    """A TCP proxy to a server, at a Unix socket or a port, that can be closed and delays data.

    Data in either direction arrives `delay` seconds later.
    """

    def __init__(
        self,
        target: str | tuple[str, int],
        delay: float = 0.0,
        listener: socket.socket | None = None,
    ) -> None:
        self._target = target
        self._delay = delay
        self._listener = listener or socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        # Connections accepted so far.
        self.count = 0
        self._open = True
        self._flowing = threading.Event()
        self._flowing.set()
        self._words = b""
        self.cuts_left = 0
        self._pairs: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def shut(self) -> None:
        """Cut every connection and refuse new ones."""
        self._open = False
        for one in self._pairs:
            _cut(one)
        self._pairs.clear()

    def open(self) -> None:
        """Accept connections again."""
        self._open = True

    def hold(self) -> None:
        """Hold all data back from now on, and cut nothing."""
        self._flowing.clear()

    def release(self) -> None:
        """Forward what was held back, and what follows."""
        self._flowing.set()

    def cut_after(self, words: bytes, times: int) -> None:
        """Forward the next requests that contain these words, and cut instead of the answer."""
        self.cuts_left, self._words = times, words

    def close(self) -> None:
        """Stop the proxy."""
        self._flowing.set()
        self.shut()
        _cut(self._listener)  # which wakes the thread that waits for the next connection
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                inside, _ = self._listener.accept()
                if not self._open:
                    inside.close()
                    continue
                self.count += 1
                kind = socket.AF_UNIX if isinstance(self._target, str) else socket.AF_INET
                outside = socket.socket(kind)
                outside.connect(self._target)
                self._pairs += [inside, outside]
                self._threads.append(threading.Thread(target=self._join, args=(inside, outside)))
                self._threads[-1].start()

    def _join(self, inside: socket.socket, outside: socket.socket) -> None:
        """Forward data in both directions until one side closes the connection."""
        with inside, outside:
            back = threading.Thread(target=self._pump, args=(outside, inside))
            back.start()
            self._pump(inside, outside, self._cut_answer)
            back.join()

    def _cut_answer(self, source: socket.socket, data: bytes) -> None:
        """Cut the way back of a request that is to have no answer."""
        if self.cuts_left and self._words in data:
            self.cuts_left -= 1
            source.shutdown(socket.SHUT_RDWR)

    def _pump(
        self,
        source: socket.socket,
        target: socket.socket,
        inspect: Callable[[socket.socket, bytes], object] = lambda _source, _data: None,
    ) -> None:
        under_way: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
        sender = threading.Thread(target=_send, args=(under_way, target))
        sender.start()
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                inspect(source, data)
                self._flowing.wait()
                under_way.put((time.monotonic() + self._delay, data))
        under_way.put((0.0, b""))
        sender.join()
        _cut(source)
        _cut(target)


def _send(under_way: SimpleQueue[tuple[float, bytes]], target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            due, data = under_way.get()
            if not data:
                return
            time.sleep(max(0.0, due - time.monotonic()))
            target.sendall(data)


def _cut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


def start_hub(
    hub: Any,  # noqa: ANN401 - see the fixture `machine`
    port: int,
    started: list[subprocess.Popen[str]],
    *options: str,
) -> tuple[subprocess.Popen[str], str]:
    """Start a hub with a share; return its process and its line."""
    process = hub.cli.start("hub", "--listen", f"127.0.0.1:{port}", "--share", *options)
    started.append(process)
    line = process.stdout.readline()
    if not line:
        pytest.fail(process.stderr.read())
    return process, line


def wait_for(hub: Any, scan_id: int, images: int) -> None:  # noqa: ANN401 - as above
    """Wait until so many images are judged."""
    until = time.monotonic() + 150
    while time.monotonic() < until:
        seen = hub.cli.json("status", str(scan_id), "--json")["verdicts"]
        if sum(seen.values()) - seen["pending"] >= images:
            return
        time.sleep(0.3)
    pytest.fail(f"still {seen}")
