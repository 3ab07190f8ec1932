"""Reading ahead: the images that come next are fetched while one is judged.

A store on a network has a latency, and bandwidth that lies idle while an image is decoded. Results
are the same: each image still gets its own bytes, or its own error.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from storage.records import BatchImage, Sidecar
    from workers.sources.location import SourceLocation
    from workers.sources.source import Fetched, Source

# What is fetched ahead of the image that is judged: enough for the latency of a distant server. Of
# a slow link all of it together takes far less than the time limit of an image.
AHEAD_FILES, AHEAD_BYTES = 8, 16 * 2**20


class ReadAhead:
    """A source that is told what comes; the one below it is used by its own threads alone."""

    def __init__(self, source: Source, threads: int) -> None:
        """Take a source that so many threads may use at a time."""
        self._source = source
        self._threads = ThreadPoolExecutor(threads, "fetch")
        # By path, in order: sizes of what comes, and what is being fetched or waits to be judged.
        self._coming: dict[bytes, int] = {}
        self._ahead: dict[bytes, tuple[int, Future[Fetched]]] = {}

    @property
    def location(self) -> SourceLocation:
        """Return what was opened."""
        return self._source.location

    @property
    def identity(self) -> object:
        """Return the identity of the source."""
        return self._source.identity

    def expect(self, images: Sequence[BatchImage]) -> None:
        """Fetch these images, which come next in this order, and forget what else was to come."""
        paths = {image.path for image in images}
        for path in self._ahead.keys() - paths:
            self._ahead.pop(path)[1].cancel()
        self._coming = {
            image.path: image.size_bytes for image in images if image.path not in self._ahead
        }
        self._fill()

    def fetch(self, relative: bytes, expected_size: int | None = None) -> Fetched:
        """Return a file, see `workers.sources.source.Source.fetch`."""
        self._coming.pop(relative, None)
        _, future = self._ahead.pop(relative, (0, None))
        if future is None:
            future = self._threads.submit(self._source.fetch, relative, expected_size)
        self._fill()
        return future.result()

    def fetch_sidecar(self, image: bytes, sidecar: Sidecar) -> bytes:
        """Return a sidecar, see `workers.sources.source.Source.fetch_sidecar`."""
        return self._threads.submit(self._source.fetch_sidecar, image, sidecar).result()

    def close(self) -> None:
        """Close the source, without waiting for what nobody needs any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._source.close()

    def _fill(self) -> None:
        """Begin to fetch as many of the coming images as there is room for, one at least."""
        while self._coming and len(self._ahead) < AHEAD_FILES:
            path, size = next(iter(self._coming.items()))
            # A library may list a size that it does not know as 0.
            room = size or AHEAD_BYTES
            if self._ahead and room + sum(each for each, _ in self._ahead.values()) > AHEAD_BYTES:
                return
            del self._coming[path]
            self._ahead[path] = room, self._threads.submit(self._source.fetch, path, size)
