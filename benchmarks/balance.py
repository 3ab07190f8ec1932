"""Measure how evenly a fleet finishes in which one of four machines is ten times slower.

    python benchmarks/balance.py [--seconds 100] [--whole]

The machines are simulated: threads that process real batches from a real queue into a real store,
and sleep instead of judging images. Ideally all of them work until the last image is judged.
`--whole` shows the result if batches are never split.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path

from simulated import SimulatedWorker, begin, enqueue

from scanner.processes.embedded_broker import EmbeddedServer
from storage.database.store import Store
from storage.reads import progress
from workers.batch import throughput
from workers.settings import WorkerSettings

# Images a second of each machine.
RATES = (40.0, 40.0, 40.0, 4.0)


def main() -> None:
    """Run the fleet and print how long it took, and what would have been ideal."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=100.0)
    parser.add_argument("--whole", action="store_true")
    given = parser.parse_args()
    if given.whole:
        throughput.TARGET_SECONDS = throughput.MIN_SPLIT_SECONDS = 1e9
    images = round(sum(RATES) * given.seconds)
    with tempfile.TemporaryDirectory() as name, EmbeddedServer(Path(name)) as server:
        folder = Path(name)
        (folder / "photos").mkdir()
        store = Store.open(str(folder / "store.db"))
        scan = begin(store, folder / "photos")
        enqueue(store, server.url, scan, images)
        stop, threads = threading.Event(), []
        for number, rate in enumerate(RATES):
            settings = WorkerSettings(
                server.url, str(folder / "store.db"), store.identity, folder / str(number), 1, "m"
            )
            worker = SimulatedWorker(settings, rate)
            threads.append(threading.Thread(target=worker.run, args=(stop,)))
        began = time.monotonic()
        for thread in threads:
            thread.start()
        while progress.count_images(store, scan.scan_id).pending:
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
