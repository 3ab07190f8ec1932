"""The store's list of sidecars after an export, so that a rescan keeps the verdicts.

A sidecar that changes makes its image one to judge again. What an export writes is no evidence:
where it is the only change, the store lists the sidecars as they are now.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from scanner.listing.sidecars import find_sidecars
from scanner.listing.times import clamp_mtime
from storage.records import Sidecar
from storage.writes.listing import record_sidecars

if TYPE_CHECKING:
    from scanner.writeback.sidecar_change import Change
    from storage.database.store import Store
    from storage.reads.exports import ExportedImage

# Changes that are recorded together: their folders are listed once.
_TOGETHER = 1000


class ListedSidecars:
    """Collects changes of sidecars, and records those that nothing else explains."""

    def __init__(self, store: Store, scan_id: int, root: bytes) -> None:
        self._store = store
        self._scan_id = scan_id
        self._root = root
        self._changes: list[tuple[ExportedImage, Change]] = []

    def add(self, image: ExportedImage, change: Change) -> None:
        """Record that a change was written, at the latest by `flush`."""
        self._changes.append((image, change))
        if len(self._changes) >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Write what was collected to the store."""
        paths = {image.path: os.path.join(self._root, image.path) for image, _ in self._changes}  # noqa: PTH118 - bytes
        found = find_sidecars(paths.values())
        known: dict[int, tuple[Sidecar, ...]] = {}
        for image, change in self._changes:
            now = found.get(paths[image.path], ())
            name = os.path.basename(change.path)  # noqa: PTH119 - bytes
            listed = {sidecar.name: sidecar for sidecar in image.sidecars}
            present = {sidecar.name: sidecar for sidecar in now}
            was_listed = listed.pop(name, None) == _before(name, change)
            present.pop(name, None)
            if was_listed and listed == present:
                known[image.image_id] = now
        record_sidecars(self._store, self._scan_id, known)
        self._changes.clear()


def _before(name: bytes, change: Change) -> Sidecar | None:
    if change.before is None:
        return None
    return Sidecar(name, len(change.before), clamp_mtime(change.status.st_mtime_ns))
