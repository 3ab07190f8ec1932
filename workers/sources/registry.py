"""Where a worker finds the images of a collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.paths import shown
from workers.sources.fingerprint import WrongCollection, verify_fingerprint
from workers.sources.local import SourceUnavailable
from workers.sources.places import open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from workers.sources.fingerprint import KnownFile
    from workers.sources.places import Source, SourceLocation


class SourceRegistry:
    """The opened places of collections: as mapped on this machine, else as `place_of` has them."""

    def __init__(
        self,
        mapped: Mapping[str, SourceLocation],
        place_of: Callable[[str], SourceLocation],
        fingerprint_of: Callable[[str], Sequence[KnownFile]],
        max_bytes: int,
    ) -> None:
        self._mapped = mapped
        self._place_of = place_of
        self._fingerprint_of = fingerprint_of
        self._max_bytes = max_bytes
        self._opened: dict[str, Source] = {}
        # What each collection's place was when it was proved: another mount is proved anew.
        self._proved: dict[str, object] = {}

    def root(self, collection: str) -> Source:
        """Return the source of a collection; raise SourceUnavailable where it is not there."""
        opened = self._opened.get(collection)
        if opened is None:
            place = self._mapped.get(collection) or self._place_of(collection)
            opened = open_source(place, self._max_bytes)
            try:
                self._prove(collection, opened)
            except BaseException:
                opened.close()
                raise
            self._opened[collection] = opened
        return opened

    def forget(self, collection: str) -> None:
        """Close the place and open it anew the next time it is asked for."""
        opened = self._opened.pop(collection, None)
        if opened is not None:
            opened.close()

    def _prove(self, collection: str, opened: Source) -> None:
        if self._proved.get(collection) == opened.identity:
            return
        try:
            verify_fingerprint(opened, self._fingerprint_of(collection))
        except WrongCollection as error:
            raise SourceUnavailable(
                f"{name_of(opened.place)} is not {collection}: {error}"
            ) from error
        self._proved[collection] = opened.identity


def name_of(place: SourceLocation) -> str:
    """A place for people."""
    return shown(str(place).encode(errors="surrogateescape"))
