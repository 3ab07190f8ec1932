"""Compare listing and recording with the same rows written by hand, on SQLite and Postgres.

    python benchmarks/bulk.py list [--images 100000] [--store sqlite|postgres] [--rounds 3]
    python benchmarks/bulk.py record [--images 100000] [--store sqlite|postgres] [--rounds 3]

`list`: `enqueue` of a folder with so many empty files (with its queue, messages and signatures),
against scandir, stat and a bulk insert of the same rows. `record`: what a worker writes for each
batch of 500 that takes it less than half a second (its run, verdicts, findings, the end of the
batch), against a bulk insert of the same rows. By hand means `executemany` on SQLite and COPY on
Postgres, 10,000 images in a transaction, nothing checked. The sides take turns, each in a process
and a store of its own: trust the ratios of the medians. Memory is the most that each process had.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import sqlite3
import sys
import tempfile
import time
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy as sa
from meter import postgres
from simulated import BATCH_IMAGES, verdict_of

from scanner.fleet.producer import ScanRequest, enqueue, open_scan
from scanner.processes.embedded_broker import EmbeddedServer
from storage.database.schema import batch, entry, finding, image, run, verdict
from storage.database.store import Store
from storage.records import ListedImage
from storage.writes import listing, results, scans
from workers.broker.app import make_app
from workers.pipeline.plan import make_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

FOLDER_FILES = 1_000
HAND_IMAGES = 10_000
HOST = results.Host("h1", "here", "x86_64", {})
SQLITE_SETTINGS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "wal_autocheckpoint=0",
)


def make_files(folder: Path, images: int) -> None:
    """Create so many empty files, unless they are there."""
    for first in range(0, images, FOLDER_FILES):
        inner = folder / f"{2005 + first % 20}" / f"{first // FOLDER_FILES:05}"
        if inner.exists():
            continue
        inner.mkdir(parents=True)
        for number in range(first, min(first + FOLDER_FILES, images)):
            (inner / f"IMG_{number:07}.jpg").touch()


class Hand:
    """Rows written by hand into an empty store, in each database's fastest way."""

    def __init__(self, url: str) -> None:
        parsed = sa.make_url(url)
        self._is_sqlite = parsed.get_backend_name() == "sqlite"
        if self._is_sqlite:
            self._connection: Any = sqlite3.connect(str(parsed.database))
            for setting in SQLITE_SETTINGS:
                self._connection.execute(f"PRAGMA {setting}")
        else:
            plain = parsed.set(drivername="postgresql")
            self._connection = psycopg.connect(plain.render_as_string(hide_password=False))

    def write(self, rows: dict[sa.Table, list[tuple[Any, ...]]]) -> None:
        """Insert rows with a value for each column, in one transaction."""
        for table, values in rows.items():
            names = ", ".join(column.name for column in table.columns)
            if self._is_sqlite:
                marks = ", ".join("?" * len(table.columns))
                sql = f"INSERT INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608
                self._connection.executemany(sql, values)
            else:
                copy = f"COPY {table.name} ({names}) FROM STDIN"
                with self._connection.cursor().copy(copy.encode()) as into:
                    for row in values:
                        into.write_row(row)
        self._connection.commit()


def walk(folder: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    """Yield the files below a folder, each with its status."""
    with os.scandir(folder) as entries:
        for one in entries:
            if one.is_dir(follow_symlinks=False):
                yield from walk(one.path)
            else:
                yield one.path, one.stat(follow_symlinks=False)


def in_groups(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield the items in lists of a size."""
    group: list[Any] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def list_by_hand(store: Store, url: str, _broker: str, folder: Path, _images: int) -> float:
    """List a folder by hand; return the seconds."""
    began_scan(store, folder)
    hand, root = Hand(url), os.fsencode(folder)
    began = time.perf_counter()
    image_id = batch_id = 0
    for group in in_groups(walk(root), HAND_IMAGES):
        rows: dict[sa.Table, list[tuple[Any, ...]]] = {batch: [], image: [], entry: []}
        for part in in_groups(group, BATCH_IMAGES):
            batch_id += 1
            size = sum(status.st_size for _, status in part)
            rows[batch].append((batch_id, 1, len(part), size, 1, 1.0, None))
            for path, status in part:
                image_id += 1
                rows[image].append((image_id, 1, path[len(root) + 1 :]))
                listed = (status.st_size, status.st_mtime_ns, None, None, None)
                rows[entry].append((1, image_id, batch_id, *listed))
        hand.write(rows)
    return time.perf_counter() - began


def list_by_scanner(store: Store, _url: str, broker: str, folder: Path, images: int) -> float:
    """Enqueue a folder; return the seconds."""
    request = ScanRequest(folder, "photos", make_plan(()), "fleet")
    app = make_app(broker, store.identity)
    began = time.perf_counter()
    opened = open_scan(store, request)
    enqueue(store, app, opened, request, lambda: None)
    took = time.perf_counter() - began
    if scans.find_scan(store, opened.scan.scan_id).images != images:
        raise RuntimeError(f"enqueued other than {images} images")
    return took


def began_scan(store: Store, folder: Path) -> scans.Scan:
    """Begin a scan of a folder."""
    collection = scans.ensure_collection(store, "photos", os.fsencode(folder))
    plan = scans.ensure_plan(store, make_plan(()))
    return scans.new_scan(store, collection, plan, "fleet")


def listed_batches(store: Store, folder: Path, images: int) -> list[Any]:
    """List images that do not exist; return the batches."""
    scan, found = began_scan(store, folder), []
    for numbers in in_groups(range(images), BATCH_IMAGES):
        names = [b"%d/IMG_%07d.jpg" % (number // FOLDER_FILES, number) for number in numbers]
        group = [ListedImage(name, 2_500_000, 1) for name in names]
        found.append(listing.add_batch(store, scan, group, None))
    results.record_host(store, HOST)
    store.checkpoint()
    return found


def record_by_hand(store: Store, url: str, _broker: str, folder: Path, images: int) -> float:
    """Write verdicts by hand; return the seconds."""
    batches, hand = listed_batches(store, folder, images), Hand(url)
    began = time.perf_counter()
    for group in in_groups(batches, HAND_IMAGES // BATCH_IMAGES):
        rows: dict[sa.Table, list[tuple[Any, ...]]] = {run: [], verdict: [], finding: []}
        for one in group:
            rows[run].append((one.batch_id, 1, one.batch_id, "h1", "w", 1, 1.0, 2.0))
            for judged in (verdict_of(each.image_id) for each in one.images):
                key, times = (1, judged.image_id), judged.timings
                rows[verdict].append(
                    (
                        *(*key, one.batch_id, judged.outcome.value, judged.score),
                        *(judged.detector, True, 1, None, None, judged.digest),
                        *(times.fetch_us, times.decode_us, times.infer_us, None),
                        *(None, None, None),
                    )
                )
                for n, each in enumerate(judged.findings):
                    bare = (each.kind, each.score, each.text, None)
                    rows[finding].append((*key, each.detector, n, *bare))
        hand.write(rows)
    return time.perf_counter() - began


def record_by_scanner(store: Store, _url: str, _broker: str, folder: Path, images: int) -> float:
    """Write verdicts as workers do; return the seconds."""
    batches = listed_batches(store, folder, images)
    began = time.perf_counter()
    for one in batches:
        begun = results.begin_run(store, one.batch_id, 1, ("h1", "w"))
        if begun is None:
            raise RuntimeError("a batch is done already")
        judged = [verdict_of(each.image_id) for each in one.images]
        results.record_verdicts(store, begun[0], judged, is_last=True)
    return time.perf_counter() - began


SIDES: dict[str, dict[str, Callable[[Store, str, str, Path, int], float]]] = {
    "list": {"by hand": list_by_hand, "scanner": list_by_scanner},
    "record": {"by hand": record_by_hand, "scanner": record_by_scanner},
}


def run_side(
    side: Callable[..., float], work: tuple[str, str, Path, int], profile: str | None
) -> tuple[float, float]:
    """Run one side in this process; return its seconds and the most memory (MB) that it had."""
    url, broker, folder, images = work
    store = Store.unchecked(url)
    store.upgrade()
    if profile:
        import cProfile  # noqa: PLC0415

        profiler = cProfile.Profile()
        seconds = profiler.runcall(side, store, url, broker, folder, images)
        profiler.dump_stats(profile)
    else:
        seconds = side(store, url, broker, folder, images)
    store.close()
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def one_run(
    given: argparse.Namespace, side: Callable[..., float], folder: Path
) -> tuple[float, float]:
    """Run one side in a process, with a store and a queue of its own."""
    with ExitStack() as stack:
        made = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=given.folder)))
        url = f"sqlite:///{made}/store.db"
        if given.store == "postgres":
            url, _ = stack.enter_context(postgres(50))
        needs_queue = given.what == "list"
        broker = stack.enter_context(EmbeddedServer(made) if needs_queue else nullcontext())
        pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(1))
        work = (url, "" if broker is None else broker.url, folder, given.images)
        profile = given.profile if side.__name__.endswith("scanner") else None
        return pool.apply(partial(run_side, side, work, profile))


def main() -> None:
    """Run the sides in turns, and print each round and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", choices=SIDES)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where files and stores are made; files stay")
    parser.add_argument("--profile", help="write a profile of scanner's side to this file")
    given = parser.parse_args()
    with ExitStack() as stack:
        if given.folder is None:
            given.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bulk-")))
        files: Path = given.folder / f"files-{given.images}"
        files.mkdir(parents=True, exist_ok=True)
        if given.what == "list":
            make_files(files, given.images)
        sides = SIDES[given.what]
        rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
        for _ in range(given.rounds):
            for name, side in sides.items():
                rounds[name].append(one_run(given, side, files))
                print(f"{name}: {rounds[name][-1]}", file=sys.stderr, flush=True)
    seconds = {name: median(one[0] for one in found) for name, found in rounds.items()}
    memory = {name: max(one[1] for one in found) for name, found in rounds.items()}
    each_us = {name: round(value / given.images * 1e6, 1) for name, value in seconds.items()}
    ratio = round(seconds["scanner"] / seconds["by hand"], 2)
    print(
        json.dumps(
            {"what": given.what, "store": given.store, "images": given.images}
            | {"us_per_image": each_us, "ratio": ratio, "peak_mb": memory}
        )
    )


if __name__ == "__main__":
    main()
