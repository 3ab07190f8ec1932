"""A connection to a web server, over which files are fetched one after the other."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from storage.records import ErrorKind
from workers.sources.source import FetchError, SourceUnavailable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

# Seconds to wait for an answer, or for the next part of one.
TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer: the status, the body and its type."""

    status: int
    data: bytes
    content_type: str


class Connection:
    """A connection that is opened again when needed; no redirects are followed.

    `name` is what messages call the server. Not for use by two threads at a time.
    """

    def __init__(self, url: str, name: str, context: ssl.SSLContext | None) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        self._name = name
        self._base = parts.path.rstrip("/")
        self._connection: http.client.HTTPConnection
        if context is None:
            self._connection = http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_SECONDS)
        else:
            self._connection = http.client.HTTPSConnection(
                host, parts.port, timeout=TIMEOUT_SECONDS, context=context
            )

    def get(self, path: str, headers: Mapping[str, str], max_bytes: int) -> Answer:
        """Return what the server answers, whatever its status.

        Raise SourceUnavailable where it does not answer, FetchError for more than `max_bytes`.
        """
        try:
            answer = self._request(self._base + path, headers)
            has_end = answer.length is not None or answer.chunked
            data = answer.read(max_bytes + 1)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise SourceUnavailable(
                f"{self._name} does not answer ({type(error).__name__})"
            ) from error
        is_too_large = len(data) > max_bytes
        if not has_end or answer.length or not answer.isclosed() or is_too_large:
            # Not all of it was read; the next file needs a new connection.
            self.close()
            if is_too_large:
                raise FetchError(ErrorKind.TOO_LARGE, f"has more than {max_bytes} bytes")
            raise SourceUnavailable(f"{self._name} broke off in the middle of a file")
        return Answer(answer.status, data, answer.headers.get_content_type())

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _request(self, path: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        is_new = self._connection.sock is None
        try:
            self._connection.request("GET", path, headers=headers)
            return self._connection.getresponse()
        except ConnectionError:
            self.close()
            if is_new:
                raise
        # Servers close connections that were idle for a while.
        self._connection.request("GET", path, headers=headers)
        return self._connection.getresponse()
