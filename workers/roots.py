"""Where a worker finds the images of a collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.fetch import Root, open_root

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


class Roots:
    """The opened roots of collections: as mapped on this machine, else as `root_of` has them."""

    def __init__(
        self, mapped: Mapping[str, Path], root_of: Callable[[str], Path], max_bytes: int
    ) -> None:
        self._mapped = mapped
        self._root_of = root_of
        self._max_bytes = max_bytes
        self._opened: dict[str, Root] = {}

    def root(self, collection: str) -> Root:
        """The root of a collection; RootGone where it is not there just now."""
        opened = self._opened.get(collection)
        if opened is None:
            path = self._mapped.get(collection) or self._root_of(collection)
            opened = self._opened[collection] = open_root(path, self._max_bytes)
        return opened

    def forget(self, collection: str) -> None:
        """Close the root and open it anew the next time it is asked for."""
        opened = self._opened.pop(collection, None)
        if opened is not None:
            opened.close()
