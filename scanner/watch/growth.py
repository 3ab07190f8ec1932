"""Add to a scan what is new or changed in a folder, once it has been still for a while."""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scanner.fleet.producer import MAX_BYTES, MAX_IMAGES, list_images, publish_unfinished
from scanner.fleet.publisher import publish
from scanner.listing.batches import group_into_batches
from scanner.listing.copies import Digests
from scanner.listing.walk import Walk
from storage.paths import shown
from storage.writes import growing, kept, listing, results, scans

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scanner.fleet.producer import ScanRequest
    from scanner.watch.queue import WatchQueue
    from storage.database.store import Store
    from storage.records import Batch, ListedImage
    from storage.writes.scans import Scan

log = logging.getLogger(__name__)

# A file whose last change is at least this long ago (seconds) is not being written: enough for
# clocks that differ. Of others it is observed whether they are still.
SURELY_STILL = 3600.0


class Stillness:
    """Tells whether files have been still for a while, by their size and time of change."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[bytes, tuple[int, int, float]] = {}

    def is_still(self, file: ListedImage) -> bool:
        """Return whether a file has been as it is for long enough; observe it if not."""
        if time.time() - file.mtime_ns / 1e9 >= max(self._seconds, SURELY_STILL):
            self._since.pop(file.path, None)
            return True
        now = time.monotonic()
        size, mtime, since = self._since.get(file.path, (-1, 0, now))
        if (size, mtime) != (file.size_bytes, file.mtime_ns):
            self._since[file.path] = (file.size_bytes, file.mtime_ns, now)
            return False
        if now - since < self._seconds:
            return False
        del self._since[file.path]
        return True

    def forget_old(self) -> None:
        """Forget files that were observed long ago: they are gone."""
        limit = time.monotonic() - self._seconds - SURELY_STILL
        self._since = {path: seen for path, seen in self._since.items() if seen[2] > limit}


@dataclass(slots=True)
class Look:
    """What a look found: images put on the queue, and the folders in which files are not still."""

    new: int = 0
    changed: int = 0
    waiting: set[bytes] = field(default_factory=set)

    def text(self) -> str:
        """Return what was found in words."""
        parts = [(self.new, "new"), (self.changed, "changed")]
        named = " and ".join(f"{number:,} {name}" for number, name in parts if number)
        images = "image" if self.new + self.changed == 1 else "images"
        return f"{named} {images} on the queue"


class Growth:
    """Adds to one scan."""

    def __init__(
        self, store: Store, queue: WatchQueue, scan: Scan, request: ScanRequest, settle: float
    ) -> None:
        self._store = store
        self._queue = queue
        self._scan = scan
        self._request = request
        self._stillness = Stillness(settle)
        keeps_verdicts = scan.keep_from is not None
        self._earlier = kept.earlier_scans(store, scan, keeps_verdicts=keeps_verdicts)
        self._digests = Digests()
        self._unreadable: set[bytes] = set()
        # Batches are in the store that may not be on the queue.
        self._must_publish = True

    def look(self, folders: Mapping[bytes, bool]) -> Look:
        """Look at folders, with all below them where the value is True.

        Raise WalkError if the root is gone, and the errors of store and broker, after which the
        next look goes on.
        """
        if self._must_publish:
            self._publish_unfinished()
        # Of a folder that is a link, or a file that is a copy, the walk from the root takes one.
        if self._request.walk.follow_symlinks or self._request.walk.library:
            folders = {b"": True}
        walk = Walk(self._request.folder, self._request.walk, self._digests)
        look = Look()
        for folder in _uncovered(folders):
            files = list_images(walk.below(folder, deep=folders[folder]), self._request)
            for group in group_into_batches(files, max_images=MAX_IMAGES, max_bytes=sys.maxsize):
                self._add(group, look)
        if folders.get(b""):
            self._end_look_at_all(walk)
        return look

    def _add(self, group: tuple[ListedImage, ...], look: Look) -> None:
        new, changed = growing.read_differing(self._store, self._scan, group)
        for files, is_new in ((new, True), (changed, False)):
            still = []
            for file in files:
                if self._stillness.is_still(file):
                    still.append(file)
                else:
                    look.waiting.add(file.path[: file.path.rfind(b"/") + 1])
            for part in group_into_batches(still, max_images=MAX_IMAGES, max_bytes=MAX_BYTES):
                number = self._publish(self._record(part, is_new=is_new))
                if is_new:
                    look.new += number
                else:
                    look.changed += number

    def _record(self, images: tuple[ListedImage, ...], *, is_new: bool) -> Batch | None:
        if is_new:
            return listing.add_batch(self._store, self._scan, images, self._earlier)
        return growing.add_changed(self._store, self._scan, images)

    def _publish(self, batch: Batch | None) -> int:
        """Publish a batch that is in the store; return its number of images."""
        if batch is None:
            return 0
        self._must_publish = True
        self._queue.prepare()
        publish(self._store, self._queue.app, self._scan, batch)
        results.mark_published(self._store, [batch.batch_id])
        self._must_publish = False
        return len(batch.images)

    def _publish_unfinished(self) -> None:
        publish_unfinished(self._store, self._queue.app, self._scan, lambda: None)
        self._must_publish = False

    def _end_look_at_all(self, walk: Walk) -> None:
        self._stillness.forget_old()
        scans.mark_listed(self._store, self._scan.scan_id, walk.skipped, walk.unreadable_count)
        for entry in walk.unreadable:
            if entry.path not in self._unreadable:
                self._unreadable.add(entry.path)
                log.warning(
                    "%s cannot be read: %s", shown(entry.path) or "the folder", entry.reason
                )


def _uncovered(folders: Mapping[bytes, bool]) -> Iterator[bytes]:
    """Yield the folders that are not below one which is looked at with all that it has."""
    deep: bytes | None = None
    # What is below a folder follows it.
    for folder in sorted(folders):
        if deep is not None and folder.startswith(deep):
            continue
        yield folder
        if folders[folder]:
            deep = folder
