"""From a folder to batches on the queue: record, publish, mark published; and the same again.

Each batch is committed to the store before it is published, so whatever ends this process, the
next `enqueue`, `scan` or `resume` goes on from there. Lazy: a batch is listed, recorded and sent
before the next one is read.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from scanner.fleet.publisher import publish
from scanner.listing.batches import group_into_batches
from scanner.listing.labels import CsvLabels
from scanner.listing.walk import Walk, WalkOptions, clamp_mtime
from storage.errors import NotFound, Overtaken
from storage.paths import shown
from storage.reads.queries import counts
from storage.records import ListedImage
from storage.writes import listing, results, scans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from celery import Celery

    from storage.database.store import Store
    from storage.records import Plan
    from storage.writes.scans import Scan

# A batch costs its worker about 3 ms of queue and leases: 6 µs an image at this size,
MAX_IMAGES = 500
# and these bytes are a few seconds of work where images are large, so none holds the end up.
MAX_BYTES = 64 * 2**20
# Batches that are marked as published in one transaction.
MARKED_TOGETHER = 50
# Scans among which the one is looked for whose verdicts are kept.
LOOKED_BACK = 8

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What to scan, how, and for which `owner` (see `storage.writes.scans.Scan`)."""

    root: Path
    name: str
    plan: Plan
    owner: str
    walk: WalkOptions = field(default_factory=WalkOptions)
    label: Callable[[bytes], bool | None] | None = None
    rescan: bool = False
    retry_errors: bool = False

    def choices(self) -> str:
        """Which files are taken, and how they are labelled, as a digest."""
        label = self.label.digest() if isinstance(self.label, CsvLabels) else self.label is not None
        chosen = repr((asdict(self.walk), label))
        return hashlib.sha256(chosen.encode(errors="surrogateescape")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder holds: images, their bytes, the batches they make, what is no candidate."""

    images: int
    size_bytes: int
    batches: int
    skipped: int
    unreadable_folders: int


@dataclass(frozen=True, slots=True)
class Opened:
    """The scan that a request comes to, and whether it had been begun before."""

    scan: Scan
    resumed: bool


def dry_run(request: Request) -> Listing:
    """What enqueueing would list; nothing is written anywhere."""
    walk = Walk(request.root, request.walk)
    images = size_bytes = made = 0
    for group in group_into_batches(walk, max_images=MAX_IMAGES, max_bytes=MAX_BYTES):
        images += len(group)
        size_bytes += sum(candidate.size_bytes for candidate in group)
        made += 1
    return Listing(images, size_bytes, made, walk.skipped.total(), walk.unreadable_count)


def open_scan(store: Store, request: Request) -> Opened:
    """Find the scan to go on with, or begin one.

    One with the same plan that is unfinished goes on; otherwise a new one keeps the verdicts of
    the latest. Where everything is to be judged again, neither may keep any. Of two that ask at
    once, one begins the scan and the other goes on with it. Raises NotFound where errors are to be
    retried and there is no scan.
    """
    while True:
        try:
            return _find_or_begin(store, request)
        except Overtaken:
            continue


def _find_or_begin(store: Store, request: Request) -> Opened:
    # Links are resolved once and for all: the same folder is the same collection.
    root = os.fsencode(request.root.resolve())
    collection = scans.collection_id(store, request.name, root)
    plan = scans.ensure_plan(store, request.plan)
    same = [one for one in scans.list_scans(store, collection) if one.plan_id == plan]
    if request.retry_errors and not same:
        raise NotFound(f"{request.name!r} was never scanned with these detectors: nothing to retry")
    if same and (request.retry_errors or _goes_on(same[0], request)):
        scans.hand_to(store, same[0].scan_id, request.owner)
        return Opened(scans.find_scan(store, same[0].scan_id), resumed=True)
    for abandoned in same:
        if abandoned.finished_at is None:
            scans.cancel(store, abandoned.scan_id)
    keep_from = None if request.rescan else _fullest(store, same[:LOOKED_BACK])
    made = scans.new_scan(
        store,
        collection,
        plan,
        request.owner,
        choices=request.choices(),
        keep_from=keep_from,
        after=same[0].scan_id if same else 0,
    )
    return Opened(made, resumed=False)


def _goes_on(latest: Scan, request: Request) -> bool:
    """Whether the latest scan is what a request, interrupted before, had begun or would begin."""
    if latest.finished_at is not None or latest.choices != request.choices():
        return False
    return not (request.rescan and latest.keep_from is not None)


def _fullest(store: Store, earlier: Sequence[Scan]) -> int | None:
    """The scan that has judged most, of equals the latest: the very last may be of a few files."""
    if not earlier:
        return None
    best = max(earlier, key=lambda one: (counts(store, one.scan_id).judged, one.scan_id))
    return best.scan_id


def enqueue(
    store: Store, app: Celery, opened: Opened, request: Request, on_batch: Callable[[], object]
) -> int:
    """Put everything that the scan has to do on the queue; how many batches that is.

    `on_batch` is called after each. Raises WalkError, StoreError and kombu's OperationalError;
    what was recorded until then is found again.
    """
    started = time.monotonic()
    of = opened.scan
    if request.retry_errors:
        listing.retry_errors(store, of.scan_id, MAX_IMAGES, _now_in(request.root))
    sent = publish_undone(store, app, of, on_batch)
    if of.listed_at is None:
        walk = Walk(request.root, request.walk)
        for batch_ids in _publish_new(store, app, of, _listed(walk, request)):
            sent += len(batch_ids)
            on_batch()
        scans.mark_listed(store, of.scan_id, walk.skipped, walk.unreadable_count)
        for one in walk.unreadable:
            log.warning("%s cannot be read: %s", shown(one.path) or "the folder", one.reason)
    scans.add_enqueue_seconds(store, of.scan_id, time.monotonic() - started)
    return sent


def publish_undone(store: Store, app: Celery, of: Scan, on_batch: Callable[[], object]) -> int:
    """Publish what of a scan is recorded but not done; how many batches that is.

    Harmless where they are on the queue, or at work, already. A scan with nothing left to do that
    was never marked as finished is.
    """
    sent = 0
    for batch_id in results.undone(store, of.owner, of.scan_id):
        left = results.again(store, batch_id, failed=False)
        if left is not None:
            publish(app, of, left[1])
            sent += 1
            on_batch()
    if not sent:
        scans.settle(store, of.scan_id)
    return sent


def _now_in(root: Path) -> Callable[[bytes], tuple[int, int] | None]:
    """What gives the size and time of change that a file below the root has now."""

    def look(path: bytes) -> tuple[int, int] | None:
        try:
            found = os.stat(os.path.join(os.fsencode(root), path))  # noqa: PTH116, PTH118 - bytes
        except OSError:
            return None
        return found.st_size, clamp_mtime(found.st_mtime_ns)

    return look


def _listed(walk: Walk, request: Request) -> Iterator[ListedImage]:
    label = request.label
    for found in walk:
        truth = None if label is None else label(found.path)
        yield ListedImage(found.path, found.size_bytes, found.mtime_ns, truth)


def _publish_new(
    store: Store, app: Celery, of: Scan, images: Iterator[ListedImage]
) -> Iterator[list[int]]:
    """Record and publish one batch after the other; the ids as they are published."""
    unmarked: list[int] = []
    for group in group_into_batches(images, max_images=MAX_IMAGES, max_bytes=MAX_BYTES):
        batch = listing.add_batch(store, of, group, of.keep_from)
        published = []
        if batch is not None:
            publish(app, of, batch)
            published = [batch.batch_id]
        unmarked += published
        if len(unmarked) >= MARKED_TOGETHER:
            results.mark_published(store, unmarked)
            unmarked = []
        yield published
    results.mark_published(store, unmarked)
