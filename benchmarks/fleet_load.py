"""Measure how far one queue and one store scale: 200 simulated workers, a million images.

    python benchmarks/fleet_load.py [--images 1000000] [--workers 200] [--rate 50]
        [--store postgres|sqlite|URL] [--result-writers 0]

Real: Redis, Postgres or SQLite, the producer's and the workers' code for messages, leases, splits,
results and acknowledgements, Celery's consumer, the rescuer, and with `--result-writers` the result
writers' processes (without, workers write to the store themselves). Simulated: there are no images,
and judging one is a sleep; workers are threads of a few processes, without Celery's pool. All parts
share this machine, so compare the processor time of each part: it carries over to machines of their
own, and images per second do not.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time
import zlib
from base64 import b64decode
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from meter import Meter, postgres
from simulated import BATCH_IMAGES, COLLECTION, SimulatedWorker, begin, enqueue, path_of

from scanner.fleet.broker import Broker
from scanner.fleet.rescuer import Rescuer
from scanner.processes import children
from scanner.processes.embedded_broker import EmbeddedServer
from storage.database.schema import batch, run, verdict
from storage.database.store import Store
from storage.reads import progress
from storage.records import BatchImage, Plan
from storage.writes.scans import find_scan
from workers.broker.app import make_app, make_namespace, make_redis
from workers.broker.batch_message import BatchMessage, sign_batch
from workers.broker.namespace import Namespace, count_pending_results
from workers.broker.publish import send_batch
from workers.settings import FLEET, WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from multiprocessing.synchronize import Barrier, Event

    from storage.writes.scans import Scan

# For the threads of all workers; more than there are cores, so that none waits for another's GIL.
PROCESSES = 4
# Of a worker: one that judges and one that writes.
CONNECTIONS_EACH = 2
SPARE_CONNECTIONS = 50
QUEUE_BATCHES = 2_000
QUEUE_CHECK_SECONDS = 0.5


@dataclass(frozen=True)
class Site:
    """The place of one run: a broker and a store."""

    broker_url: str
    store_url: str
    folder: Path
    postgres_pid: int | None = None


@contextmanager
def site(store: str, workers: int) -> Iterator[Site]:
    """Yield a Redis, and the requested store with its schema."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fleet-")))
        (folder / COLLECTION).mkdir()
        broker = stack.enter_context(EmbeddedServer(folder))
        url, pid = (f"sqlite:///{folder}/store.db" if store == "sqlite" else store), None
        if store == "postgres":
            most = CONNECTIONS_EACH * workers + SPARE_CONNECTIONS
            url, pid = stack.enter_context(postgres(most))
        opened = Store.unchecked(url)
        opened.upgrade()
        opened.close()
        yield Site(broker.url, url, folder, pid)


def queue_alone(at: Site) -> None:
    """Measure one producer and one consumer with nothing else to do."""
    app, plan = make_app(at.broker_url, "alone"), Plan(())
    before = memory(at)
    began = time.monotonic()
    for number in range(QUEUE_BATCHES):
        first = number * BATCH_IMAGES
        images = tuple(
            BatchImage(10**9 + one, path_of(one), 2_500_000)
            for one in range(first, first + BATCH_IMAGES)
        )
        message = BatchMessage(1, number + 1, 1, COLLECTION, plan, images)
        send_batch(app, sign_batch(message, "alone", bytes(32)))
    put = time.monotonic() - began
    each = (memory(at) - before) / QUEUE_BATCHES
    taken: list[object] = []

    def take(_body: object, message: Any) -> None:  # noqa: ANN401 - kombu's
        message.ack()
        taken.append(None)

    with app.connection_for_read() as connection:
        channel = connection.default_channel
        channel.basic_qos(0, 1, False)
        with app.amqp.TaskConsumer(channel, callbacks=[take]):
            began = time.monotonic()
            while len(taken) < QUEUE_BATCHES:
                connection.drain_events(timeout=5)
            took = time.monotonic() - began
    print(
        f"queue alone, one process: {QUEUE_BATCHES / put:,.0f} batches/s published, "
        f"{QUEUE_BATCHES / took:,.0f} batches/s taken and acknowledged"
    )
    print(
        f"Redis memory: {each:,.0f} bytes a batch of {BATCH_IMAGES}, "
        f"{each / BATCH_IMAGES:.1f} an image"
    )


def memory(at: Site) -> int:
    """Return the bytes that Redis uses."""
    with make_redis(at.broker_url) as client:
        said: Any = client.info("memory")
        return int(said["used_memory"])


def work(given: argparse.Namespace, at: Site, numbers: range, start: Barrier, stop: Event) -> None:
    """Run the workers of one process."""
    store = Store.open(at.store_url)
    ended, threads = threading.Event(), []
    for number in numbers:
        settings = WorkerSettings(
            broker_url=at.broker_url,
            store_url=None if given.result_writers else at.store_url,
            store_id=store.identity,
            state_dir=at.folder / "hosts" / str(number),
            concurrency=1,
            label=f"host-{number}",
            roots={COLLECTION: at.folder / COLLECTION},
        )
        worker = SimulatedWorker(settings, given.rate)
        threads.append(threading.Thread(target=worker.run, args=(ended,), daemon=True))
    store.close()
    start.wait()
    for thread in threads:
        thread.start()
    stop.wait()
    ended.set()
    for thread in threads:
        thread.join()


@contextmanager
def fleet(given: argparse.Namespace, at: Site, store: Store) -> Iterator[Mapping[str, list[int]]]:
    """Run workers, result writers and a rescuer; yield the processes of each part."""
    context = multiprocessing.get_context("spawn")
    start, stop = context.Barrier(PROCESSES + 1), context.Event()
    shares = [range(number, given.workers, PROCESSES) for number in range(PROCESSES)]
    workers = [
        context.Process(target=work, args=(given, at, share, start, stop), daemon=True)
        for share in shares
    ]
    for one in workers:
        one.start()
    env = children.environment(SCANNER_BROKER_URL=at.broker_url, SCANNER_STORE_URL=at.store_url)
    argv = [sys.executable, "-m", "scanner.fleet.result_writer"]
    result_writers = [children.start(argv, env=env) for _ in range(given.result_writers)]
    namespace = make_namespace(at.broker_url, store.identity)
    broker = Broker(at.broker_url, make_app(at.broker_url, store.identity), namespace)
    over = threading.Event()
    rescuer = Rescuer(store, broker, FLEET)
    keeps = threading.Thread(target=rescuer.run_until, args=(over,), daemon=True)
    keeps.start()
    start.wait()
    parts = {"workers": [one.pid for one in workers if one.pid is not None]}
    if result_writers:
        parts["result writers"] = [process.pid for process in result_writers]
    yield parts
    over.set()
    stop.set()
    for process in (keeps, *workers):
        process.join()
    for result_writer in result_writers:
        children.stop(result_writer, 10.0)


class Watch:
    """Observes a scan twice a second: its progress, and the lag of its result writers."""

    def __init__(self, store: Store, namespace: Namespace, scan: Scan) -> None:
        self._store, self._namespace, self._scan = store, namespace, scan
        # Seconds since the start, and images of the batches that were done by then.
        self._course: list[tuple[float, int]] = []
        self._waiting: list[int] = []
        self._lag_seconds: list[float] = []

    def until_done(self) -> None:
        """Wait until every batch is done."""
        done_images = sa.select(sa.func.coalesce(sa.func.sum(batch.c.images), 0)).where(
            batch.c.scan_id == self._scan.scan_id, batch.c.done_at.is_not(None)
        )
        done, began = 0, time.monotonic()
        while done < self._scan.images:
            time.sleep(QUEUE_CHECK_SECONDS)
            with self._store.read() as connection:
                done = int(connection.execute(done_images).scalar_one())
            self._course.append((time.monotonic() - began, done))
            self._waiting.append(count_pending_results(self._namespace))
            self._lag_seconds.append(self._lag())

    def say(self, *, result_writers: bool) -> None:
        """Print the observations."""
        images = self._scan.images
        inner = [one for one in self._course if images * 0.1 <= one[1] <= images * 0.9]
        (from_at, from_done), (to_at, to_done) = inner[0], inner[-1]
        rate = (to_done - from_done) / (to_at - from_at)
        print(f"  from a tenth to nine tenths of the way: {rate:,.0f} images/s")
        if result_writers:
            lags = sorted(self._lag_seconds)
            print(
                f"  results that wait: {max(self._waiting):,} at most; the oldest is "
                f"{lags[len(lags) // 2]:.1f} s old in the median, {lags[-1]:.1f} s at most"
            )

    def _lag(self) -> float:
        """Return the seconds since the oldest waiting result was sent."""
        raw = self._namespace.client.lindex(self._namespace.results, -1)
        if not isinstance(raw, bytes):
            return 0.0
        body = json.loads(zlib.decompress(b64decode(json.loads(raw)["body"])))
        return float(time.time() - body[0][0]["ended"])


def require_each_once(store: Store, scan: Scan) -> None:
    """Check that every image has exactly one verdict."""
    began = time.monotonic()
    counts = progress.count_images(store, scan.scan_id)
    took = time.monotonic() - began
    with store.read() as connection:
        rows, runs = (
            connection.scalar(sa.select(sa.func.count()).select_from(table))
            for table in (verdict, run)
        )
    if (rows, counts.no_evidence) != (scan.images, scan.images):
        raise RuntimeError(f"{scan.images} images came to {rows} verdicts: {counts}")
    print(f"  each image has one verdict, in {runs:,} runs; to count them took {took:.2f} s")


def main() -> None:
    """Run the fleet and print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument("--rate", type=float, default=50.0, help="images a second of a worker")
    parser.add_argument(
        "--store", default="postgres", help="postgres, sqlite or an empty one's URL"
    )
    parser.add_argument("--result-writers", type=int, default=0, help="0: workers write themselves")
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, {given}\n", flush=True)
    with site(given.store, given.workers) as at:
        queue_alone(at)
        store = Store.open(at.store_url)
        scan, filled = begin(store, at.folder / COLLECTION), memory(at)
        meter = Meter(at.broker_url, at.store_url, {"producer": [os.getpid()]}, at.postgres_pid)
        enqueue(store, at.broker_url, scan, given.images)
        meter.say("enqueued by one producer", given.images)
        print(f"  Redis memory      {(memory(at) - filled) / 1e6:10,.1f} MB", flush=True)
        scan = find_scan(store, scan.scan_id)
        with fleet(given, at, store) as parts:
            meter = Meter(at.broker_url, at.store_url, parts, at.postgres_pid)
            with make_redis(at.broker_url) as client:
                watch = Watch(store, Namespace(client, store.identity), scan)
                watch.until_done()
            meter.say(f"{given.workers} workers of {given.rate:.0f}/s", given.images)
            watch.say(result_writers=bool(given.result_writers))
        require_each_once(store, scan)
        store.close()


if __name__ == "__main__":
    main()
