"""A collection in immich or PhotoPrism: originals by their API, with a key from the environment."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
from abc import ABC, abstractmethod
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote, urlsplit

from storage.asset_paths import file_key_of, key_of
from storage.records import ErrorKind
from workers.sources.connection import Connection
from workers.sources.location import LibraryKind
from workers.sources.source import (
    FetchError,
    SourceUnavailable,
    outside,
    require_size,
    to_fetched,
)

if TYPE_CHECKING:
    from storage.records import Sidecar
    from workers.sources.connection import Answer
    from workers.sources.location import LibraryLocation
    from workers.sources.source import Fetched

# Answers about one image. immich answers with 400 for one that is gone, or of somebody else.
_FILE_STATUSES = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND})
_REFUSALS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
# PhotoPrism gives the token among its settings: the countries, cameras and lenses of the library.
_MAX_CONFIG_BYTES = 16 << 20


def open_library(location: LibraryLocation, max_bytes: int) -> LibrarySource:
    """Open a library on a server; raise SourceUnavailable where there is no key."""
    if location.kind is LibraryKind.IMMICH:
        return ImmichSource(location, max_bytes)
    return PhotoPrismSource(location, max_bytes)


@dataclass(frozen=True, slots=True)
class Original:
    """Where an original is below a server's URL, and the beginning of its SHA-1, if known."""

    path: str
    sha1: bytes


class LibrarySource(ABC):
    """A server of a photo library; not for use by two threads at a time."""

    # What a key needs.
    _right: ClassVar[str]

    def __init__(self, location: LibraryLocation, max_bytes: int) -> None:
        """Prepare the connection; raise SourceUnavailable where there is no key."""
        self.location = self.identity = location
        self._max_bytes = max_bytes
        variable = location.kind.key_variable
        key = os.environ.get(variable, "").strip()
        if not key:
            raise SourceUnavailable(f"{location} needs its key in {variable} on this machine")
        self._headers = location.kind.headers(key)
        secure = urlsplit(location.url).scheme == "https"
        context = ssl.create_default_context() if secure else None
        self._connection = Connection(location.url, str(location), context)

    def fetch(self, relative: bytes, expected_size: int | None = None) -> Fetched:
        """Fetch an original, see `workers.sources.source.Source.fetch`.

        Its size was listed as 0 where the server did not know it.
        """
        original = self._original(relative)
        if original is None:
            raise outside()
        if expected_size is not None:
            require_size(expected_size, None, self._max_bytes)
        answer = self._get(original)
        if answer.status in _FILE_STATUSES:
            program = self.location.kind.program
            raise FetchError(ErrorKind.UNREADABLE, f"cannot be read (not found in {program})")
        if answer.status in _REFUSALS:
            raise SourceUnavailable(f"{self.location} refuses the key, or {self._right}")
        if answer.status != HTTPStatus.OK or answer.content_type == "text/html":
            raise self._unreadable(answer)
        require_size(len(answer.data), expected_size or None, self._max_bytes)
        sha1 = hashlib.sha1(answer.data, usedforsecurity=False).digest()
        if not sha1.startswith(original.sha1):
            raise FetchError(ErrorKind.CHANGED, "has another checksum than when it was listed")
        return to_fetched(answer.data)

    def fetch_sidecar(self, image: bytes, sidecar: Sidecar) -> bytes:  # noqa: ARG002 - as of others
        """Refuse: no sidecars are listed."""
        program = self.location.kind.program
        raise FetchError(ErrorKind.UNREADABLE, f"cannot be read ({program} gives no sidecars)")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @abstractmethod
    def _original(self, relative: bytes) -> Original | None:
        """Return the original at a path; None if the path has no key."""

    def _get(self, original: Original) -> Answer:
        """Ask for an original."""
        return self._connection.get(original.path, self._headers, self._max_bytes)

    def _unreadable(self, answer: Answer) -> SourceUnavailable:
        is_page = answer.status == HTTPStatus.OK
        what = "a web page instead of an image" if is_page else f"HTTP status {answer.status}"
        return SourceUnavailable(f"{self.location} cannot be read just now ({what})")


class ImmichSource(LibrarySource):
    """immich gives an original by the id of its asset."""

    _right = "the right asset.download"

    def _original(self, relative: bytes) -> Original | None:
        key = key_of(relative)
        if key is None:
            return None
        known = key.checksum if any(key.checksum) else b""
        return Original(f"/api/assets/{key.asset_id}/original", known)


class PhotoPrismSource(LibrarySource):
    """PhotoPrism gives a file by its SHA-1, to who has the token that it tells who has the key."""

    _right = "what it may do"
    _token: str | None = None

    def _original(self, relative: bytes) -> Original | None:
        key = file_key_of(relative)
        return None if key is None else Original(f"/api/v1/dl/{key.sha1.hex()}", key.sha1)

    def _get(self, original: Original) -> Answer:
        """Ask for a file; once more where the server has forgotten the token, as after a start."""
        was_new = self._token is None
        answer = self._get_with_token(original)
        if answer.status in _REFUSALS and not was_new:
            self._token = None
            answer = self._get_with_token(original)
        return answer

    def _get_with_token(self, original: Original) -> Answer:
        if self._token is None:
            answer = self._connection.get("/api/v1/config", self._headers, _MAX_CONFIG_BYTES)
            if answer.status in _REFUSALS:
                return answer
            if answer.status != HTTPStatus.OK:
                raise self._unreadable(answer)
            self._token = _token_in(answer.data)
        path = f"{original.path}?t={quote(self._token, safe='')}"
        return self._connection.get(path, self._headers, self._max_bytes)


def _token_in(config: bytes) -> str:
    """Return the token for downloads in PhotoPrism's settings, empty where there is none."""
    try:
        token = json.loads(config).get("downloadToken")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return token if isinstance(token, str) else ""
