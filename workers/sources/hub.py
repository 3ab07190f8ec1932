"""A collection on the hub's share, for a machine that has no access to the folder."""

from __future__ import annotations

import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from storage.records import ErrorKind
from workers.sources.connection import Connection
from workers.sources.source import (
    FetchError,
    SourceUnavailable,
    require_image,
    require_size,
    to_fetched,
)

if TYPE_CHECKING:
    from storage.records import Sidecar
    from workers.sources.location import HubLocation
    from workers.sources.source import Fetched

# Answers about one file, not about the share.
_FILE_ERRORS: dict[int, tuple[ErrorKind, str]] = {
    HTTPStatus.NOT_FOUND: (ErrorKind.UNREADABLE, "cannot be read (not found on the hub)"),
    HTTPStatus.BAD_REQUEST: (ErrorKind.UNREADABLE, "cannot be read (the hub refuses its path)"),
    HTTPStatus.REQUEST_URI_TOO_LONG: (ErrorKind.UNREADABLE, "has too long a path"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (ErrorKind.TOO_LARGE, "is larger than the hub sends"),
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: (
        ErrorKind.CHANGED,
        "is smaller than when it was listed",
    ),
}


class HubSource:
    """A connection to a hub's share; not for use by two threads at a time."""

    def __init__(self, location: HubLocation, max_bytes: int) -> None:
        self.location = self.identity = location
        self._max_bytes = max_bytes
        self._share = f"the share {location.url}"
        self._connection = Connection(location.url, self._share, _context(location))

    def fetch(self, relative: bytes, expected_size: int | None = None) -> Fetched:
        """Read the file at a relative path, see `workers.sources.source.Source.fetch`."""
        if expected_size is not None:
            require_image(expected_size, lambda offset, size: self._get(relative, (offset, size)))
        data = self._get(relative)
        require_size(len(data), expected_size, self._max_bytes)
        return to_fetched(data)

    def fetch_sidecar(self, image: bytes, sidecar: Sidecar) -> bytes:
        """Read a sidecar, see `workers.sources.source.Source.fetch_sidecar`."""
        data = self._get(image, sidecar=sidecar.name)
        require_size(len(data), sidecar.size_bytes, self._max_bytes)
        return to_fetched(data).data

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _get(
        self, relative: bytes, part: tuple[int, int] | None = None, sidecar: bytes | None = None
    ) -> bytes:
        """Read a file, or a part of it: offset and size in bytes; or a sidecar of it."""
        path = f"/{quote(self.location.collection, safe='')}/{quote(relative, safe='')}"
        if sidecar is not None:
            path += f"?sidecar={quote(sidecar, safe='')}"
        headers = {"Authorization": f"Bearer {self.location.token}"}
        if part is not None:
            headers["Range"] = f"bytes={part[0]}-{sum(part) - 1}"
        answer = self._connection.get(path, headers, self._max_bytes)
        status = answer.status
        if status in _FILE_ERRORS:
            raise FetchError(*_FILE_ERRORS[status])
        if status == HTTPStatus.UNAUTHORIZED:
            raise SourceUnavailable(f"{self._share} rejects this machine's token: join again")
        if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            raise SourceUnavailable(f"{self._share} cannot be read just now (HTTP status {status})")
        return answer.data


def _context(location: HubLocation) -> ssl.SSLContext | None:
    if urlsplit(location.url).scheme != "https":
        return None
    context = ssl.create_default_context(cadata=location.cert)
    # The hub's own certificate is good for any name by which the hub is reached.
    context.check_hostname = location.cert is None
    return context
