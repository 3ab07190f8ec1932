"""The opened sources of a worker, by collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.sources.fingerprint import WrongCollection, verify_fingerprint
from workers.sources.hub import HubSource
from workers.sources.library import LibrarySource, open_library
from workers.sources.local import LocalSource
from workers.sources.location import HubLocation, LibraryLocation, UrlLocation, display_name
from workers.sources.read_ahead import AHEAD_FILES, ReadAhead
from workers.sources.remote import RemoteSource
from workers.sources.source import SourceMoved

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from workers.sources.fingerprint import KnownFile
    from workers.sources.location import SourceLocation
    from workers.sources.source import Source


def open_source(location: SourceLocation, max_bytes: int) -> Source:
    """Open a location, to read files of at most so many bytes; raise SourceUnavailable."""
    if isinstance(location, HubLocation):
        return HubSource(location, max_bytes)
    if isinstance(location, UrlLocation):
        return RemoteSource(location, max_bytes)
    if isinstance(location, LibraryLocation):
        return open_library(location, max_bytes)
    return LocalSource(location, max_bytes)


def reading_ahead(source: Source) -> Source:
    """Return a source that reads ahead, where the one given may be used by other threads.

    The hub's share and photo libraries by one of them, on its one connection; of the file systems
    behind URLs those that are made for many requests at a time.
    """
    if isinstance(source, HubSource | LibrarySource):
        return ReadAhead(source, threads=1)
    if isinstance(source, RemoteSource) and source.is_concurrent:
        return ReadAhead(source, AHEAD_FILES)
    return source


class SourceRegistry:
    """Opens each collection's source once: where `mapped` has it, else where `location_of` says."""

    def __init__(
        self,
        mapped: Mapping[str, SourceLocation],
        location_of: Callable[[str], SourceLocation],
        fingerprint_of: Callable[[str], Sequence[KnownFile]],
        max_bytes: int,
    ) -> None:
        self._mapped = mapped
        self._location_of = location_of
        self._fingerprint_of = fingerprint_of
        self._max_bytes = max_bytes
        self._sources: dict[str, Source] = {}
        # By collection, the identity of the source when it was verified: another mount in the same
        # location is verified again.
        self._verified: dict[str, object] = {}

    def get(self, collection: str) -> Source:
        """Return the source of a collection; raise SourceUnavailable where it cannot be read."""
        source = self._sources.get(collection)
        if source is None:
            location = self._mapped.get(collection) or self._location_of(collection)
            source = reading_ahead(open_source(location, self._max_bytes))
            try:
                self._verify(collection, source)
            except BaseException:
                source.close()
                raise
            self._sources[collection] = source
        return source

    def forget(self, collection: str) -> None:
        """Close a collection's source, to open it again at the next use."""
        source = self._sources.pop(collection, None)
        if source is not None:
            source.close()

    def _verify(self, collection: str, source: Source) -> None:
        if self._verified.get(collection) == source.identity:
            return
        try:
            verify_fingerprint(source, self._fingerprint_of(collection))
        except WrongCollection as error:
            name = display_name(source.location)
            raise SourceMoved(f"{name} is not {collection}: {error}") from error
        self._verified[collection] = source.identity
