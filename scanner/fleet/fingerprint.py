"""Take the fingerprint of a collection, by which workers check that they have its folder."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from scanner.listing.walk import Walk
from workers.sources.fingerprint import SAMPLE_FILES, KnownFile
from workers.sources.local import LocalSource
from workers.sources.source import FetchError

if TYPE_CHECKING:
    from scanner.fleet.producer import ScanRequest

# The files are chosen evenly among the first ones.
FIRST_FILES = 200
# Larger files are skipped, because each worker reads all files of a fingerprint.
MAX_BYTES = 32 * 2**20


def take_fingerprint(request: ScanRequest) -> list[KnownFile]:
    """Return a few of the files that a request lists, none of a library on a server.

    Raise WalkError and SourceUnavailable.
    """
    if not isinstance(request.root, Path):
        return []
    candidates = islice(Walk(request.root, request.walk), FIRST_FILES)
    small = [file for file in candidates if 0 < file.size_bytes <= MAX_BYTES]
    fingerprint = []
    with LocalSource(request.root) as root:
        for file in small[:: max(1, -(-len(small) // SAMPLE_FILES))]:
            try:
                fetched = root.fetch(file.path)
            except FetchError:
                continue
            fingerprint.append(KnownFile(file.path, len(fetched.data), fetched.digest))
    return fingerprint
