"""Several writers at once: nothing is lost, and no writer fails because the store is locked."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

from storage.database.store import Store
from storage.reads.progress import count_images
from storage.records import ErrorKind, ImageError, ListedImage, Plan
from storage.writes import listing, results, scans

if TYPE_CHECKING:
    from pathlib import Path

    from tests.storage.conftest import Fill

BATCHES = 12
IMAGES = 10


# A worker process: every batch in chunks of one image, each a transaction that commits.
JUDGE_BATCHES = """
import json, sys
from storage.writes import results
from storage.records import Outcome, Timings, Verdict
from storage.database.store import Store
store = Store.open(sys.argv[1])
results.record_host(store, results.Host("h1", "pi4", "aarch64", {}))
for batch_id, images in json.loads(sys.argv[2]):
    begun = results.begin_run(store, batch_id, 1, ("h1", "w"))
    if begun is None:
        continue
    for image_id in images:
        verdict = Verdict(image_id, Outcome.AI, 0.5, "d", True, (), None, None, Timings(1, 1, 1))
        results.record_verdicts(store, begun[0], [verdict])
    results.finish_batch(store, begun[0])
store.close()
"""


def test_two_processes_and_a_producer(fill: Fill, store_url: str) -> None:
    """Two workers on the same batches, and a producer: each image gets one verdict."""
    scan = fill.scan()
    batches = []
    for number in range(BATCHES):
        made = fill.batch(scan, *(b"%d/%d" % (number, image) for image in range(IMAGES)))
        assert made is not None
        batches.append((made.batch_id, [one.image_id for one in made.images]))
    workers = [
        subprocess.Popen([sys.executable, "-c", JUDGE_BATCHES, store_url, json.dumps(work)])
        for work in (batches, batches[::-1])
    ]
    while any(worker.poll() is None for worker in workers):
        number = next(fill.names)
        listing.add_batch(fill.store, scan, [ListedImage(b"more/%d" % number, 1, 1)], None)
    found = count_images(fill.store, scan.scan_id)

    assert [worker.returncode for worker in workers] == [0, 0]
    assert found.ai == BATCHES * IMAGES
    assert found.images == found.ai + found.pending
    assert len(fill.outcomes(scan)) == found.images


def test_threads_that_list_the_same_images(fill: Fill) -> None:
    """Two producers that walk the same folder for the same scan list every image once."""
    scan = fill.scan()
    paths = [[b"%d" % (number * 5 + image) for image in range(5)] for number in range(20)]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda part: fill.batch(scan, *part), paths * 2))
    images = [one.path for batch in made if batch is not None for one in batch.images]

    assert sorted(images) == sorted(path for part in paths for path in part)
    assert count_images(fill.store, scan.scan_id).images == 100


def test_threads_that_list_the_same_known_images(fill: Fill) -> None:
    """Two producers list every image once where an earlier scan has inserted the images."""
    paths = [b"%d" % number for number in range(200)]
    fill.batch(fill.scan("photos"), *paths)
    for _ in range(5):
        scan = fill.scan("photos")
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda _number, of=scan: fill.batch(of, *paths), range(4)))

        assert [len(batch.images) for batch in made if batch is not None] == [200]


def test_threads_that_retry_the_same_errors(fill: Fill) -> None:
    """Two processes that retry a scan's errors at once put each image into one new batch."""
    error = ImageError(ErrorKind.TRUNCATED, "cut")
    for _ in range(5):
        scan = fill.scan()
        batch = fill.batch(scan, *(b"%d" % number for number in range(50)))
        assert batch is not None
        fill.judge(batch, *(fill.failed(one.image_id, error) for one in batch.images))
        with ThreadPoolExecutor(4) as pool:
            tries = [
                pool.submit(listing.retry_errors, fill.store, scan.scan_id, 10, lambda _: None)
                for _ in range(4)
            ]

        assert sum(each.result() for each in tries) == 50
        assert len(results.unfinished_batches(fill.store, "fleet", scan.scan_id)) == 5


def test_threads_that_make_the_same_collection(store_url: str) -> None:
    """Producers that record the same new collection and plan at once agree on their ids."""
    store = Store.unchecked(store_url)
    store.upgrade()

    def make(_number: int) -> tuple[int, int]:
        return (
            scans.ensure_collection(store, "photos", b"/photos"),
            scans.ensure_plan(store, Plan(())),
        )

    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(make, range(8)))
    store.close()

    assert len(ids) == 1


READ_ONCE = """
import sys
from storage.database.store import Store
store = Store.open(sys.argv[1])
store.require_writable()
store.close()
"""


def test_log_outlives_other_processes(tmp_path: Path) -> None:
    """A process that ends leaves the write-ahead log to one with several connections.

    SQLite's locks are those of POSIX, which a process loses whenever it closes any descriptor of
    the file. Then the next process to end would delete the log under the connections.
    """
    file = tmp_path / "store.db"
    with closing(Store.open(str(file))) as store:
        with store.read() as first, store.read() as second:
            assert first is not second
            store.require_writable()
        log = tmp_path / "store.db-wal"
        before = log.stat().st_ino
        subprocess.run([sys.executable, "-c", READ_ONCE, str(file)], check=True)

        assert before == log.stat().st_ino
