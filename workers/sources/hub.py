"""A collection's images from the hub's share, for a machine that does not see their folder."""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from storage.records import ErrorKind
from workers.images.formats import HEAD_BYTES, TAIL_BYTES, decodable_format, refusal
from workers.sources.local import LARGE_BYTES, Fetched, FetchError, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

# Seconds until an answer, or the next part of one, has to come.
RETRY_SECONDS = 30

# What is the hub's answer about one file, and not about the share.
_REFUSALS = {
    HTTPStatus.NOT_FOUND: (ErrorKind.UNREADABLE, "cannot be read (the hub has no such file)"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (ErrorKind.TOO_LARGE, "is larger than the hub sends"),
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: (
        ErrorKind.CHANGED,
        "is smaller than when it was listed",
    ),
}


@dataclass(frozen=True, slots=True)
class HubLocation:
    """A collection on a hub's share; `cert` is the hub's own certificate as PEM, if it has one."""

    url: str
    token: str
    cert: str | None
    collection: str

    def __str__(self) -> str:
        """Without the token."""
        return f"the hub's share {self.url}"


class HubSource:
    """One connection to a hub's share; not for two threads at a time."""

    def __init__(self, place: HubLocation, max_bytes: int) -> None:
        self.place = self.identity = place
        self._max_bytes = max_bytes
        self._connection = _connection(place)

    def fetch(self, relative: bytes, expected_size: int | None = None) -> Fetched:
        """The bytes of the file at a relative path, of the size in bytes that was listed.

        Raises FetchError as `workers.sources.local.Root` does, SourceUnavailable where the hub does
        not answer.
        """
        if expected_size is not None and expected_size > LARGE_BYTES:
            self._require_image(relative, expected_size)
        data = self._get(relative)
        if expected_size is not None and len(data) != expected_size:
            text = f"has {len(data)} bytes now, {expected_size} when it was listed"
            raise FetchError(ErrorKind.CHANGED, text)
        if not data:
            raise FetchError(ErrorKind.EMPTY, "has no bytes at all")
        return Fetched(data, sha256(data).digest())

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _require_image(self, relative: bytes, size: int) -> None:
        """Refuse, by its two ends, a large file that would be refused when it is decoded."""
        ends = self._get(relative, {"Range": f"bytes=0-{HEAD_BYTES - 1}"})
        if decodable_format(ends) is None:
            ends += self._get(relative, {"Range": f"bytes={size - TAIL_BYTES}-"})
            raise FetchError(*refusal(ends))

    def _get(self, relative: bytes, headers: Mapping[str, str] | None = None) -> bytes:
        path = f"/{quote(self.place.collection, safe='')}/{quote(relative, safe='')}"
        try:
            answer = self._ask(path, headers or {})
            status, promised = answer.status, answer.length
            data = answer.read(self._max_bytes + 1)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise SourceUnavailable(
                f"the share {self.place.url} does not answer ({type(error).__name__})"
            ) from error
        if promised is None or answer.length:
            # Not all of it was read; the next file gets a connection of its own.
            self._connection.close()
            if len(data) > self._max_bytes:
                raise FetchError(ErrorKind.TOO_LARGE, f"has more than {self._max_bytes} bytes")
            raise SourceUnavailable(f"the share {self.place.url} broke off in the middle of a file")
        if status in _REFUSALS:
            raise FetchError(*_REFUSALS[HTTPStatus(status)])
        if status == HTTPStatus.UNAUTHORIZED:
            raise SourceUnavailable(
                f"the share {self.place.url} does not take our token: join again"
            )
        if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            raise SourceUnavailable(
                f"the share {self.place.url} cannot be read just now ({status})"
            )
        return data

    def _ask(self, path: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        wanted = {"Authorization": f"Bearer {self.place.token}", **headers}
        fresh = self._connection.sock is None
        try:
            self._connection.request("GET", path, headers=wanted)
            return self._connection.getresponse()
        except (ConnectionError, http.client.RemoteDisconnected):
            self._connection.close()
            if fresh:
                raise
        # The hub hangs up on those who have asked for nothing in a while.
        self._connection.request("GET", path, headers=wanted)
        return self._connection.getresponse()


def _connection(place: HubLocation) -> http.client.HTTPConnection:
    parts = urlsplit(place.url)
    host = parts.hostname or ""
    if parts.scheme != "https":
        return http.client.HTTPConnection(host, parts.port, timeout=RETRY_SECONDS)
    context = ssl.create_default_context(cadata=place.cert)
    # The certificate is the hub's own, whatever name the hub is called by.
    context.check_hostname = place.cert is None
    return http.client.HTTPSConnection(host, parts.port, timeout=RETRY_SECONDS, context=context)
