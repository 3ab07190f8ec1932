"""Put the images of a folder on the queue: list, record, publish and mark batch by batch.

Each batch is committed to the store before it is published, so that the next `enqueue`, `scan` or
`resume` continues after any interruption.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from scanner.fleet.publisher import publish
from scanner.listing.batches import group_into_batches
from scanner.listing.labels import CsvLabels
from scanner.listing.times import clamp_mtime
from scanner.listing.walk import Walk, WalkOptions
from storage.asset_paths import without_key
from storage.errors import InvalidInput, NotFound, ScanExists
from storage.paths import shown
from storage.records import ErrorKind, ListedImage
from storage.writes import kept, listing, results, scans
from storage.writes.listing import image_paths
from workers.sources.files import MAX_BYTES as MAX_FILE_BYTES
from workers.sources.local import LocalSource
from workers.sources.location import LibraryKind, location_at
from workers.sources.registry import open_source
from workers.sources.source import FetchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from celery import Celery

    from scanner.listing.library_listing import LibraryListing
    from scanner.listing.walk import Candidate
    from storage.database.store import Store
    from storage.records import Plan
    from storage.writes.scans import Scan
    from workers.sources.location import LibraryLocation
    from workers.sources.source import Source

# A batch costs a worker about 3 ms for queue and lease: 6 µs per image of a full one.
MAX_IMAGES = 500
# A few seconds of work for large images, so that no batch delays the end of the scan.
MAX_BYTES = 64 * 2**20
# Batches that are recorded in one transaction, and the most time that one may wait for the others.
COMMIT_BATCHES = 16
COMMIT_SECONDS = 0.5
# Batches marked as published in one transaction.
MARK_BATCHES = 50

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """What to scan, how, and for which `owner` (see `storage.writes.scans.Scan`)."""

    root: Path | LibraryLocation
    name: str
    plan: Plan
    owner: str
    walk: WalkOptions = field(default_factory=WalkOptions)
    label: Callable[[bytes], bool | None] | None = None
    rescan: bool = False
    retry_errors: bool = False
    verify: bool = False
    # Whether a finished scan is continued, too, as `watch` does.
    grows: bool = False

    @property
    def folder(self) -> Path:
        """Return the folder to scan; raise InvalidInput for a library on a server."""
        if isinstance(self.root, Path):
            return self.root
        raise InvalidInput(f"{self.root} cannot be watched, only scanned again")

    def choices(self) -> str:
        """Return a digest of the choice of files and labels, and of what is verified."""
        label = self.label.digest() if isinstance(self.label, CsvLabels) else self.label is not None
        walk = asdict(self.walk)
        # As before there were the options, so that such scans go on.
        for option in ("raw", "library"):
            if not walk[option]:
                del walk[option]
        chosen = repr((walk, label) + (("verify",) if self.verify else ()))
        return hashlib.sha256(chosen.encode(errors="surrogateescape")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class ListingSummary:
    """The number of images in a folder, their size, and the number of batches and other entries."""

    images: int
    size_bytes: int
    batches: int
    skipped: int
    unreadable_folders: int


@dataclass(frozen=True, slots=True)
class OpenedScan:
    """The scan of a request, and whether it was begun before."""

    scan: Scan
    resumed: bool


def summarize_listing(request: ScanRequest) -> ListingSummary:
    """Return what enqueueing would list, without writing anything."""
    walk = open_listing(request)
    images = size_bytes = batches = 0
    for batch in group_into_batches(walk, max_images=MAX_IMAGES, max_bytes=MAX_BYTES):
        images += len(batch)
        size_bytes += sum(candidate.size_bytes for candidate in batch)
        batches += 1
    return ListingSummary(images, size_bytes, batches, walk.skipped.total(), walk.unreadable_count)


def open_scan(store: Store, request: ScanRequest) -> OpenedScan:
    """Find the scan to continue, or begin one.

    Continue an unfinished scan with the same plan, or a finished one if the request grows;
    otherwise begin one that reuses the verdicts of earlier scans, with `verify` those on the same
    content. With `rescan` neither may reuse verdicts. Of two concurrent requests, one begins the
    scan and the other continues it. Raise NotFound if there is no scan whose errors could be
    retried.
    """
    while True:
        try:
            return _find_or_begin(store, request)
        except ScanExists:
            continue


def _find_or_begin(store: Store, request: ScanRequest) -> OpenedScan:
    # Resolved, so that a folder is the same collection by any of its paths.
    resolved = request.root.resolve() if isinstance(request.root, Path) else request.root
    root = os.fsencode(str(resolved))
    collection = scans.ensure_collection(store, request.name, root)
    plan = scans.ensure_plan(store, request.plan)
    earlier = [scan for scan in scans.list_scans(store, collection) if scan.plan_id == plan]
    if request.retry_errors and not earlier:
        raise NotFound(f"{request.name!r} was never scanned with these detectors: nothing to retry")
    if earlier and (request.retry_errors or _continues(earlier[0], request)):
        scans.change_owner(store, earlier[0].scan_id, request.owner)
        return OpenedScan(scans.find_scan(store, earlier[0].scan_id), resumed=True)
    for unfinished in earlier:
        if unfinished.finished_at is None:
            scans.cancel(store, unfinished.scan_id)
    latest = earlier[0].scan_id if earlier else None
    scan = scans.new_scan(
        store,
        collection,
        plan,
        request.owner,
        choices=request.choices(),
        keep_from=None if request.rescan else latest,
        after=latest or 0,
    )
    return OpenedScan(scan, resumed=False)


def _continues(latest: Scan, request: ScanRequest) -> bool:
    """Return whether a request continues the latest scan."""
    if latest.choices != request.choices():
        return False
    if latest.finished_at is not None and not request.grows:
        return False
    return not (request.rescan and latest.keep_from is not None)


def enqueue(
    store: Store,
    app: Celery,
    opened: OpenedScan,
    request: ScanRequest,
    on_batch: Callable[[], object],
) -> int:
    """Publish all unfinished and new batches of a scan; return their number.

    Call `on_batch` after each. Raise WalkError, StoreError and kombu's OperationalError, after
    which the same request continues the scan.
    """
    start = time.monotonic()
    scan = opened.scan
    if request.retry_errors:
        listing.retry_errors(store, scan.scan_id, MAX_IMAGES, _file_status(request.root))
    published = publish_unfinished(store, app, scan, on_batch)
    if scan.listed_at is None:
        walk = open_listing(request, image_paths(store, scan.collection_id))
        for is_published in _publish_new(store, app, scan, list_images(walk, request)):
            published += is_published
            on_batch()
        scans.mark_listed(store, scan.scan_id, walk.skipped, walk.unreadable_count)
        for entry in walk.unreadable:
            log.warning("%s cannot be read: %s", shown(entry.path) or "the folder", entry.reason)
    scans.add_enqueue_seconds(store, scan.scan_id, time.monotonic() - start)
    return published


def publish_unfinished(
    store: Store, app: Celery, scan: Scan, on_batch: Callable[[], object]
) -> int:
    """Publish the recorded but unfinished batches of a scan; return their number.

    This is harmless for batches that are on the queue or at work. Mark a scan without unfinished
    batches as finished.
    """
    published = 0
    for batch_id in results.unfinished_batches(store, scan.owner, scan.scan_id):
        unfinished = results.requeue_batch(store, batch_id, failed=False)
        if unfinished is not None:
            publish(store, app, scan, unfinished[1])
            published += 1
            on_batch()
    if not published:
        scans.finish_scan_if_done(store, scan.scan_id)
    return published


def retry_moved(store: Store, scan: Scan) -> int:
    """Put the images whose folder had other files into new batches; return their number."""
    root = location_at(scan.root)
    kind = ErrorKind.MOVED
    return listing.retry_errors(store, scan.scan_id, MAX_IMAGES, _file_status(root), kind)


def retry_passing(store: Store, scan: Scan) -> int:
    """Put the images that were away, or changed while they were read, into new batches."""
    kinds = (ErrorKind.UNREADABLE, ErrorKind.CHANGED, ErrorKind.MOVED)
    status = _file_status(location_at(scan.root))
    return sum(
        listing.retry_errors(store, scan.scan_id, MAX_IMAGES, status, kind) for kind in kinds
    )


def open_listing(request: ScanRequest, known: Iterable[bytes] = ()) -> Walk | LibraryListing:
    """Return the images of a request; `known` paths are those of the collection so far."""
    if isinstance(request.root, Path):
        return Walk(request.root, request.walk)
    # Few collections are on such a server.
    from scanner.listing.immich import ImmichImages  # noqa: PLC0415
    from scanner.listing.library_listing import LibraryListing  # noqa: PLC0415
    from scanner.listing.library_server import Server, library_key  # noqa: PLC0415
    from scanner.listing.photoprism import PhotoPrismImages  # noqa: PLC0415

    kind = request.root.kind
    server = Server(request.root, library_key(kind))
    images = ImmichImages(server) if kind is LibraryKind.IMMICH else PhotoPrismImages(server)
    return LibraryListing(images, request.walk, known)


def _file_status(root: Path | LibraryLocation) -> Callable[[bytes], tuple[int, int] | None]:
    """Return a function for the current size and modification time of a file below the root."""

    def read(path: bytes) -> tuple[int, int] | None:
        if not isinstance(root, Path):
            return None
        try:
            status = os.stat(os.path.join(os.fsencode(root), path))  # noqa: PTH116, PTH118 - bytes
        except OSError:
            return None
        return status.st_size, clamp_mtime(status.st_mtime_ns)

    return read


def list_images(walk: Iterable[Candidate], request: ScanRequest) -> Iterator[ListedImage]:
    """Yield the files of a walk with what a request wants to know of each."""
    with closing(open_source(request.root, MAX_FILE_BYTES)) as source:
        for file in walk:
            label = None if request.label is None else request.label(without_key(file.path))
            digest = _digest(source, file.path) if request.verify else None
            yield ListedImage(
                file.path, file.size_bytes, file.mtime_ns, label, file.sidecars, digest, file.edited
            )


def _digest(source: Source, path: bytes) -> bytes:
    """Return the SHA-256 of a file; empty where it cannot be read."""
    try:
        if not isinstance(source, LocalSource):
            return source.fetch(path).digest
        with source.open_file(path) as descriptor, open(descriptor, "rb", closefd=False) as file:
            return hashlib.file_digest(file, "sha256").digest()
    except FetchError:
        return b""


def _publish_new(
    store: Store, app: Celery, scan: Scan, images: Iterator[ListedImage]
) -> Iterator[bool]:
    """Record and publish batch by batch; yield whether each was new and published."""
    unmarked: list[int] = []
    earlier = kept.earlier_scans(store, scan, keeps_verdicts=scan.keep_from is not None)
    groups = group_into_batches(images, max_images=MAX_IMAGES, max_bytes=MAX_BYTES)
    for commit in _group_into_commits(groups):
        for batch in listing.add_batches(store, scan, commit, earlier):
            if batch is not None:
                publish(store, app, scan, batch)
                unmarked.append(batch.batch_id)
            if len(unmarked) >= MARK_BATCHES:
                results.mark_published(store, unmarked)
                unmarked = []
            yield batch is not None
    results.mark_published(store, unmarked)


def _group_into_commits(
    groups: Iterable[Sequence[ListedImage]],
) -> Iterator[list[Sequence[ListedImage]]]:
    """Yield batches in the groups that are committed at once, the first by itself.

    A commit waits for the disk; workers wait for the first batch, and on a slow disk for each.
    """
    commit: list[Sequence[ListedImage]] = []
    most, since = 1, time.monotonic()
    for group in groups:
        commit.append(group)
        if len(commit) >= most or time.monotonic() - since >= COMMIT_SECONDS:
            yield commit
            commit, most, since = [], min(2 * most, COMMIT_BATCHES), time.monotonic()
    if commit:
        yield commit
