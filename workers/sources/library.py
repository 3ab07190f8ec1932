"""A collection in immich: originals are fetched by its API, with a key from the environment."""

from __future__ import annotations

import hashlib
import os
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from storage.asset_paths import key_of
from storage.records import ErrorKind
from workers.sources.connection import Connection
from workers.sources.location import LIBRARY_KEY
from workers.sources.source import (
    FetchError,
    SourceUnavailable,
    outside,
    require_size,
    to_fetched,
)

if TYPE_CHECKING:
    from storage.records import Sidecar
    from workers.sources.location import LibraryLocation
    from workers.sources.source import Fetched

# Answers about one image. immich answers with 400 for one that is gone, or of somebody else.
_FILE_STATUSES = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND})
_REFUSALS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class LibrarySource:
    """An immich server; not for use by two threads at a time."""

    def __init__(self, location: LibraryLocation, max_bytes: int) -> None:
        """Prepare the connection; raise SourceUnavailable where there is no key."""
        self.location = self.identity = location
        self._max_bytes = max_bytes
        key = os.environ.get(LIBRARY_KEY, "").strip()
        if not key:
            raise SourceUnavailable(f"{location} needs its key in {LIBRARY_KEY} on this machine")
        self._headers = {"x-api-key": key, "User-Agent": "scanner"}
        secure = urlsplit(location.url).scheme == "https"
        context = ssl.create_default_context() if secure else None
        self._connection = Connection(location.url, str(location), context)

    def fetch(self, relative: bytes, expected_size: int | None = None) -> Fetched:
        """Fetch an original, see `workers.sources.source.Source.fetch`.

        Its size was listed as 0 where the server did not know it.
        """
        key = key_of(relative)
        if key is None:
            raise outside()
        if expected_size is not None:
            require_size(expected_size, None, self._max_bytes)
        path = f"/api/assets/{key.asset_id}/original"
        answer = self._connection.get(path, self._headers, self._max_bytes)
        if answer.status in _FILE_STATUSES:
            raise FetchError(ErrorKind.UNREADABLE, "cannot be read (not found in immich)")
        if answer.status in _REFUSALS:
            raise SourceUnavailable(f"{self.location} refuses the key, or the right asset.download")
        if answer.status != HTTPStatus.OK or answer.content_type == "text/html":
            what = f"HTTP status {answer.status}"
            if answer.status == HTTPStatus.OK:
                what = "a web page instead of an image"
            raise SourceUnavailable(f"{self.location} cannot be read just now ({what})")
        require_size(len(answer.data), expected_size or None, self._max_bytes)
        if not key.matches(hashlib.sha1(answer.data, usedforsecurity=False).digest()):
            raise FetchError(ErrorKind.CHANGED, "has another checksum than when it was listed")
        return to_fetched(answer.data)

    def fetch_sidecar(self, image: bytes, sidecar: Sidecar) -> bytes:  # noqa: ARG002 - as of others
        """Refuse: no sidecars are listed."""
        raise FetchError(ErrorKind.UNREADABLE, "cannot be read (immich gives no sidecars)")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
