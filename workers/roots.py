"""Where a worker finds the images of a collection."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from storage.scans import collection_root
from workers.fetch import Root, open_root

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.store import Store


class Roots:
    """The opened roots of collections: as mapped on this machine, else as the store has them."""

    def __init__(self, mapped: Mapping[str, Path], store: Store, max_bytes: int) -> None:
        self._mapped = mapped
        self._store = store
        self._max_bytes = max_bytes
        self._opened: dict[str, Root] = {}

    def root(self, collection: str) -> Root:
        """The root of a collection; RootGone where it is not there just now."""
        opened = self._opened.get(collection)
        if opened is None:
            path = self._mapped.get(collection)
            if path is None:
                path = Path(os.fsdecode(collection_root(self._store, collection)))
            opened = self._opened[collection] = open_root(path, self._max_bytes)
        return opened

    def forget(self, collection: str) -> None:
        """Close the root and open it anew the next time it is asked for."""
        opened = self._opened.pop(collection, None)
        if opened is not None:
            opened.close()
