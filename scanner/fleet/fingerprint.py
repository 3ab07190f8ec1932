"""A sample of a collection, by which workers tell whether they were sent to the right place."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from scanner.listing.walk import Walk
from workers.sources.fingerprint import SAMPLE_FILES, KnownFile
from workers.sources.local import LocalSource
from workers.sources.source import FetchError

if TYPE_CHECKING:
    from scanner.fleet.producer import Request

# Of the first so many files a few are taken, as far from each other as can be.
FIRST_FILES = 200
# Larger ones are passed over: each worker reads all of a sample.
MOST_BYTES = 32 * 2**20


def take_fingerprint(request: Request) -> list[KnownFile]:
    """A few of the files that a request lists. Raises WalkError and SourceUnavailable."""
    listed = islice(Walk(request.root, request.walk), FIRST_FILES)
    small = [one for one in listed if 0 < one.size_bytes <= MOST_BYTES]
    sample = []
    with LocalSource(request.root) as root:
        for one in small[:: max(1, -(-len(small) // SAMPLE_FILES))]:
            try:
                fetched = root.fetch(one.path)
            except FetchError:
                continue
            sample.append(KnownFile(one.path, len(fetched.data), fetched.digest))
    return sample
