"""Measure the overhead of a worker: waiting, sending results to a result writer, and its log.

    python benchmarks/worker_costs.py --data FOLDER [--images 10000] [--seconds 60] [--rounds 3]

FOLDER holds cifake-test.zip. First an idle worker runs for the given time, with the store's URL
(and so with a rescuer next to it) and without; then one with a single process judges the same small
images, in turns writing to an SQLite store itself and sending results to a result writer. Small
images are the most expensive case, because there is the least work to compare with.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from meter import Meter, seconds_of

from scanner.fleet.hub_config import HubConfig
from scanner.fleet.joining import Admission
from scanner.processes.embedded_broker import EmbeddedServer
from storage.database.store import Store
from workers.broker.app import make_namespace, make_redis
from workers.broker.signatures import STORE, Signer

if TYPE_CHECKING:
    from collections.abc import Iterator

SCANNER = [sys.executable, "-m", "scanner"]
# Seconds until a worker that was started does nothing but wait.
SETTLE_SECONDS = 15
NAME = "pictures"


@dataclass(frozen=True)
class Place:
    """A store and a broker, and a machine that has joined them without the store's URL."""

    folder: Path
    broker_url: str

    @property
    def store(self) -> Path:
        """Return the SQLite file."""
        return self.folder / "store.db"

    def env(self, *, joined: bool) -> dict[str, str]:
        """Return the environment of a process on the hub's machine, or on the other one."""
        home = self.folder / ("pi" if joined else "hub")
        home.mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if "SCANNER_" not in name}
        kept |= {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_STATE_HOME": str(home)}
        if joined:
            return kept
        return kept | {
            "SCANNER_STORE_URL": str(self.store),
            "SCANNER_BROKER_URL": self.broker_url,
        }

    def join(self) -> None:
        """Let the other machine join."""
        with closing(Store.open(str(self.store))) as store:
            key = base64.urlsafe_b64encode(Signer(STORE, store.signing_key).public_key).decode()
            hub = HubConfig(self.broker_url, store.identity, key, join="line")
            admission = Admission(store, make_namespace(self.broker_url, store.identity), "line")
            joining = subprocess.Popen(
                [*SCANNER, "join", hub.join_line()],
                env=self.env(joined=True),
                stderr=subprocess.DEVNULL,
            )
            while joining.poll() is None:
                admission.send(admission.take_requests())
                time.sleep(0.1)
            if joining.returncode:
                raise RuntimeError("the machine could not join")


@contextmanager
def running(argv: list[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process whose stderr goes to a file, for as long as the context lasts."""
    with log.open("wb") as out:
        process = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=out)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def waiting(at: Place, seconds: float, *, joined: bool) -> None:
    """Print what an idle worker uses."""
    argv = [*SCANNER, "worker", "--concurrency", "1"]
    with (
        running(argv, at.env(joined=joined), at.folder / "idle.log") as worker,
        make_redis(at.broker_url) as client,
    ):
        time.sleep(SETTLE_SECONDS)
        client.config_resetstat()
        before = seconds_of(worker.pid)
        time.sleep(seconds)
        used = seconds_of(worker.pid) - before
        stats: Any = client.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): said["calls"] / seconds for name, said in stats.items()}
    calls.pop("config|resetstat", None)
    way = "joined, no store" if joined else "with the store, and a rescuer"
    print(
        f"{way}: {used / seconds * 60:.2f} CPU seconds a minute, "
        f"{sum(calls.values()):.1f} Redis commands a second"
    )
    most = sorted(calls.items(), key=lambda pair: -pair[1])
    print("  " + ", ".join(f"{name} {rate:.2f}" for name, rate in most), flush=True)


def judge(at: Place, pictures: Path, images: int, *, joined: bool) -> float:
    """Judge the images and print the cost; return images per second."""
    env = at.env(joined=False)
    log = at.folder / "worker.log"
    argv = [*SCANNER, "worker", "--concurrency", "1", "--verbose"]
    if joined:
        argv += ["--root", f"{NAME}={pictures}"]
    enqueue = [*SCANNER, "enqueue", str(pictures), "--name", NAME, "--rescan", "--json"]
    with ExitStack() as stack:
        parts = {}
        if joined:
            beside = [sys.executable, "-m", "scanner.fleet.result_writer"]
            result_writer = stack.enter_context(running(beside, env, at.folder / "results.log"))
            parts["result writer"] = [result_writer.pid]
        subprocess.run(enqueue, env=env, check=True, capture_output=True)
        worker = stack.enter_context(running(argv, at.env(joined=joined), log))
        parts["worker"] = [worker.pid]
        meter = Meter(at.broker_url, str(at.store), parts)
        watch = [*SCANNER, "status", "--watch"]
        subprocess.run(watch, env=env, check=True, capture_output=True)
        meter.say("through the result writer" if joined else "to the store itself", images)
    asked = [*SCANNER, "report", "--format", "json"]
    done = subprocess.run(asked, env=env, check=True, stdout=subprocess.PIPE)
    report = json.loads(done.stdout)
    if report["verdicts"]["pending"] or report["images"] != images:
        raise RuntimeError(f"it did not do its work: {report['verdicts']}")
    say_log(log, images)
    return float(images / report["seconds"])


def say_log(log: Path, images: int) -> None:
    """Print how much a worker has logged."""
    lines = log.read_bytes().splitlines(keepends=True)
    told = [line for line in lines if b" level=info " in line]
    rest = sum(map(len, lines)) - sum(map(len, told))
    print(
        f"  log: {rest} bytes at start and end; with --verbose "
        f"{sum(map(len, told)) / images * 1000:.0f} bytes more for 1,000 images"
    )
    if told:
        print(f"  {told[-1].decode().strip()}", flush=True)


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="costs-") as name,
        EmbeddedServer(Path(name)) as server,
        zipfile.ZipFile(given.data / "cifake-test.zip") as archive,
    ):
        at = Place(Path(name), server.url)
        at.join()
        print(f"a worker of one process that waits, {given.seconds:.0f} s:")
        waiting(at, given.seconds, joined=False)
        waiting(at, given.seconds, joined=True)
        pictures = at.folder / NAME
        members = [one for one in archive.namelist() if one.endswith(".jpg")][: given.images]
        archive.extractall(pictures, members)
        rates: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(given.rounds):
            for joined in (False, True):
                rates[joined].append(judge(at, pictures, len(members), joined=joined))
        ratio = median(way / itself for itself, way in zip(*rates.values(), strict=True))
        print(f"\nresult writer, relative to writing to the store: {ratio:.3f} (median)")


if __name__ == "__main__":
    main()
