"""How evenly a fleet of unequal machines comes to its end: one of four is ten times slower.

    python benchmarks/balance.py [--seconds 100] [--whole]

The machines are simulated: threads that do real batches from a real queue into a real store, and
sleep where they would look at pictures. The ideal is that all of them work until the last image is
judged. `--whole` shows what it would be if batches were never split.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
import zlib
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING

from scanner.embedded import EmbeddedServer
from scanner.publisher import publish
from storage import listing, queries, scans
from storage.records import ListedImage, Outcome, Timings, Verdict
from storage.store import Store
from workers import pace
from workers.app import make_app
from workers.messages import decode
from workers.plan import Plan
from workers.settings import WorkerSettings
from workers.station import Station
from workers.stopping import StopFlag
from workers.work import BatchWork

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from storage.records import BatchImage
    from workers.places import Source

# Images a second of each machine.
RATES = (40.0, 40.0, 40.0, 4.0)
BATCH_IMAGES = 500
CHUNK_SECONDS = 2.0
CHUNK_IMAGES = 64


class Sleeper:
    """A pipeline of a given rate that finds nothing in anything."""

    def __init__(self, rate: float) -> None:
        self._rate = rate

    def chunk(
        self, _root: Source, images: Sequence[BatchImage], begin: Callable[[BatchImage], object]
    ) -> list[Verdict]:
        """A chunk as the real one has it, in images and seconds."""
        chunk = images[: max(1, min(CHUNK_IMAGES, int(CHUNK_SECONDS * self._rate)))]
        begin(chunk[0])
        time.sleep(len(chunk) / self._rate)
        return [
            Verdict(
                one.image_id,
                Outcome.NO_EVIDENCE,
                None,
                None,
                False,
                (),
                None,
                None,
                Timings(1, 1, 1),
            )
            for one in chunk
        ]


def work(station: Station, stop: threading.Event) -> None:
    """One machine: batch after batch until all is done."""
    while not stop.is_set():
        raw = station.space.client.rpop(station.space.queue)
        if raw is None:
            time.sleep(0.05)
            continue
        body = json.loads(zlib.decompress(b64decode(json.loads(raw)["body"])))
        BatchWork(station, decode(body[0][0])).run()


def enqueue(store: Store, broker_url: str, folder: Path, images: int) -> int:
    """Put images that are not there on the queue; the scan."""
    plan = Plan(())
    scan = scans.new_scan(
        store,
        scans.collection_id(store, "photos", os.fsencode(folder)),
        scans.plan_id(store, plan.digest(), plan.body()),
        "fleet",
    )
    app = make_app(broker_url, store.identity)
    for first in range(0, images, BATCH_IMAGES):
        numbers = range(first, min(first + BATCH_IMAGES, images))
        listed = [ListedImage(b"%d.jpg" % number, 1, 1) for number in numbers]
        batch = listing.add_batch(store, scan, listed, None)
        if batch is not None:
            publish(app, scan, batch)
    scans.mark_listed(store, scan.scan_id, {}, 0)
    return scan.scan_id


def main() -> None:
    """Run it and print how long it took, and what would have been ideal."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=100.0)
    parser.add_argument("--whole", action="store_true")
    given = parser.parse_args()
    if given.whole:
        pace.TARGET_SECONDS = pace.LEAST_SECONDS = 1e9
    images = round(sum(RATES) * given.seconds)
    with tempfile.TemporaryDirectory() as name, EmbeddedServer(Path(name)) as server:
        folder = Path(name)
        (folder / "photos").mkdir()
        (folder / "photos" / "0.jpg").touch()
        store = Store.open(str(folder / "store.db"))
        scan_id = enqueue(store, server.url, folder / "photos", images)
        stop, threads = threading.Event(), []
        for number, rate in enumerate(RATES):
            settings = WorkerSettings(
                server.url, str(folder / "store.db"), store.identity, folder / str(number), 1, "m"
            )
            station = Station(settings, f"m{number}:1", StopFlag())
            station.pipeline = lambda _plan, rate=rate: Sleeper(rate)  # type: ignore[method-assign,assignment,misc]
            threads.append(threading.Thread(target=work, args=(station, stop)))
        began = time.monotonic()
        for thread in threads:
            thread.start()
        while queries.counts(store, scan_id).pending:
            time.sleep(0.05)
        took = time.monotonic() - began
        stop.set()
        for thread in threads:
            thread.join()
        with store.read() as connection:
            runs = connection.exec_driver_sql("SELECT count(*) FROM run").scalar()
    ideal = images / sum(RATES)
    print(f"{images:,} images on machines of {', '.join(f'{rate:.0f}/s' for rate in RATES)}")
    print(
        f"ideal {ideal:.1f} s, took {took:.1f} s: {took / ideal - 1:+.1%}; {runs} parts of batches"
    )


if __name__ == "__main__":
    main()
