"""Scan a growing folder for a while, break something at random all the time, and count at the end.

    python benchmarks/soak.py [--minutes 30] [--seed 1]

Each round adds images to the folder and puts them on the queue, while two workers judge them and
one thing after the other is killed, stopped, emptied or filled. At the end each image of each scan
has one verdict, or the exit code is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from fleets import Cli
from stage import DETECTORS, RedisServer, Stage, pool_children

from storage.database.schema import batch, entry, scan, verdict
from storage.database.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

# Images added by each round, and seconds between two faults.
IMAGES = 40
PAUSE_S = 12.0


class Soak:
    """Two workers, a broker and a store, and what may happen to them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - to be repeatable
        self.server = RedisServer(folder / "redis")
        (folder / "photos").mkdir()
        (folder / "home").mkdir()
        home = {name: str(folder / "home") for name in ("HOME", "XDG_STATE_HOME")}
        store_url = f"sqlite:///{folder}/store.db"
        named = {"SCANNER_STORE_URL": store_url, "SCANNER_BROKER_URL": self.server.url}
        cli = Cli({key: value for key, value in os.environ.items() if "SCANNER_" not in key})
        cli.env.update(home | named)
        self.stage = Stage(cli, store_url, folder / "photos", folder)
        noise = np.random.default_rng(seed).integers(0, 255, (1500, 2000, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / "photo.jpg", quality=75)
        self.photo = folder / "photo.jpg"
        self.images = 0
        self.scans = 0

    def faults(self) -> dict[str, Callable[[], object]]:
        """Return what may happen, by name."""
        return {
            "kill a pool's process": self.kill_child,
            "kill a worker": lambda: self.replace_worker(signal.SIGKILL),
            "stop a worker": lambda: self.replace_worker(signal.SIGTERM),
            "pause a worker": self.pause_worker,
            "kill Redis": self.kill_redis,
            "empty Redis": self.empty_redis,
            "fill Redis": self.fill_redis,
        }

    def add_images(self) -> None:
        """Add images to the folder and put them on the queue; wait while Redis is not there."""
        for number in range(self.images, self.images + IMAGES):
            os.link(self.photo, self.stage.photos / f"{number:06}.jpg")
        self.images += IMAGES
        ask = ("enqueue", self.stage.photos, "--detectors", DETECTORS)
        while self.stage.cli.run(*ask, check=None).returncode:
            time.sleep(1)
        self.scans += 1

    def work(self) -> None:
        """Start one more worker, with a rescuer."""
        self.stage.workers.append(self.stage.start("worker", "--concurrency", "1"))

    def kill_child(self) -> None:
        """Kill one process of a worker."""
        children = pool_children(self.random.choice(self.stage.workers))
        if children:
            with contextlib.suppress(Exception):
                children[0].kill()

    def replace_worker(self, sent: signal.Signals) -> None:
        """End a worker, and start another."""
        worker = self.stage.workers.pop(self.random.randrange(len(self.stage.workers)))
        for process in pool_children(worker) if sent == signal.SIGKILL else []:
            process.kill()
        worker.send_signal(sent)
        worker.wait(60)
        self.work()

    def pause_worker(self) -> None:
        """Stop a worker and its processes for longer than a lease, then let them go on."""
        worker = self.random.choice(self.stage.workers)
        still = [worker.pid, *(child.pid for child in pool_children(worker))]
        for pid in still:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(25)
        for pid in still:
            os.kill(pid, signal.SIGCONT)

    def kill_redis(self) -> None:
        """Kill Redis, which keeps its file, and start it again."""
        self.server.kill()
        time.sleep(2)
        self.server.start()

    def empty_redis(self) -> None:
        """Lose everything in Redis."""
        with self.server.client() as client:
            client.flushall()

    def fill_redis(self) -> None:
        """Leave Redis no memory for a while."""
        with self.server.client() as client:
            client.config_set("maxmemory", 1)
            time.sleep(8)
            client.config_set("maxmemory", 0)

    def wait(self) -> None:
        """Wait until everything is done, ten minutes at most."""
        end = time.monotonic() + 600
        while self.unfinished() and time.monotonic() < end:
            time.sleep(2)

    def unfinished(self) -> int:
        """Return the number of batches that are not done, and of scans that are not over."""
        store = Store.open(self.stage.store_url)
        with store.read() as connection:
            found = sum(
                connection.scalar(sa.select(sa.func.count()).select_from(table).where(*where)) or 0
                for table, where in (
                    (batch, [batch.c.done_at.is_(None)]),
                    (scan, [scan.c.finished_at.is_(None)]),
                )
            )
        store.close()
        return found

    def counts(self) -> list[tuple[int, int]]:
        """Return the images and the verdicts of each scan."""
        store = Store.open(self.stage.store_url)
        with store.read() as connection:
            found = [
                tuple(
                    connection.scalar(
                        sa.select(sa.func.count())
                        .select_from(table)
                        .where(table.c.scan_id == scan_id)
                    )
                    or 0
                    for table in (entry, verdict)
                )
                for scan_id in connection.scalars(sa.select(scan.c.id).order_by(scan.c.id))
            ]
        store.close()
        return [(images, verdicts) for images, verdicts in found]


def main() -> int:
    """Run for so many minutes, and wait for the rest; return 0 if nothing is lost or doubled."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        soak = Soak(Path(name), given.seed)
        soak.stage.cli.run("store", "upgrade")
        soak.work()
        soak.work()
        end = time.monotonic() + 60 * given.minutes
        done: dict[str, int] = {}
        while time.monotonic() < end:
            soak.add_images()
            time.sleep(PAUSE_S)
            what = soak.random.choice(sorted(soak.faults()))
            soak.faults()[what]()
            done[what] = done.get(what, 0) + 1
            print(f"{soak.images} images, {what}", flush=True)
        soak.wait()
        # The latest scan may have been listed before the latest images came.
        soak.add_images()
        soak.wait()
        counts, unfinished = soak.counts(), soak.unfinished()
        soak.stage.stop()
        soak.server.kill()
    print(f"{len(counts)} scans of up to {soak.images} images; faults: {done}")
    print(f"images and verdicts of the last: {counts[-1]}; unfinished: {unfinished}")
    exact = all(images == verdicts for images, verdicts in counts)
    return int(not exact or bool(unfinished) or counts[-1][0] != soak.images)


if __name__ == "__main__":
    sys.exit(main())
