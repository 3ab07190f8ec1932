"""Where a collection's images are: in a folder, at a URL, in a library, on the hub's share."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from storage.errors import InvalidInput
from storage.paths import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIBRARY = re.compile(r"(immich|photoprism)(?:\+(https?))?://.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class HubLocation:
    """A collection on a hub's share; `cert` is the hub's own certificate as PEM, if it has one."""

    url: str
    token: str
    cert: str | None
    collection: str

    def __str__(self) -> str:
        """Leave out the token."""
        return f"the hub's share {self.url}"


@dataclass(frozen=True, slots=True)
class UrlLocation:
    """A folder on a file system that fsspec opens; the URL may contain a password."""

    url: str

    def __str__(self) -> str:
        """Leave out what may be a password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def has_password(self) -> bool:
        """Check whether the URL contains a password."""
        return urlsplit(self.url).password is not None


class LibraryKind(StrEnum):
    """A program that serves a photo library, as URLs begin."""

    IMMICH = "immich"
    PHOTOPRISM = "photoprism"

    @property
    def program(self) -> str:
        """Return its name."""
        return {"immich": "immich", "photoprism": "PhotoPrism"}[self]

    @property
    def key_variable(self) -> str:
        """Return the name of the environment variable with the key of a server's API."""
        return f"SCANNER_{self.upper()}_KEY"

    def headers(self, key: str) -> dict[str, str]:
        """Return the headers with which a server knows the key."""
        if self is LibraryKind.IMMICH:
            return {"x-api-key": key, "User-Agent": "scanner"}
        return {"Authorization": f"Bearer {key}", "User-Agent": "scanner"}


@dataclass(frozen=True, slots=True)
class LibraryLocation:
    """A server of a photo library, by the URL before `/api`; its key is in the environment."""

    kind: LibraryKind
    url: str

    def __str__(self) -> str:
        """Return the URL as it is typed and stored."""
        return f"{self.kind}+{self.url}"

    @property
    def host(self) -> str:
        """Return the name of the server."""
        return urlsplit(self.url).hostname or ""


SourceLocation = Path | HubLocation | UrlLocation | LibraryLocation


def is_server_url(url: str) -> bool:
    """Tell whether a URL is that of a web server: without user, query, fragment and blanks."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url
    return valid and plain and not parts.query and not parts.fragment and parts.username is None


def library_location(text: str) -> LibraryLocation | None:
    """Return the library that a URL names, None for other text; raise InvalidInput."""
    match = _LIBRARY.fullmatch(text)
    if match is None:
        return None
    kind = LibraryKind(match[1])
    url = f"{match[2] or 'https'}://{text.partition('://')[2]}"
    if not is_server_url(url):
        raise InvalidInput(f"invalid URL: expected {kind}://HOST or {kind}+http://HOST:PORT")
    return LibraryLocation(kind, without_api(url))


def without_api(url: str) -> str:
    """Return the URL of a server without the path of its API."""
    return url.rstrip("/").removesuffix("/v1").removesuffix("/api")


def location_at(recorded: bytes) -> Path | LibraryLocation:
    """Return the location with which a collection was enqueued."""
    text = os.fsdecode(recorded)
    return library_location(text) or Path(text)


def mapped_location(
    roots: Mapping[str, SourceLocation], collection: str, recorded: bytes
) -> Path | LibraryLocation:
    """Return where a collection is read on this machine: its root, else what was recorded."""
    mapped = roots.get(collection)
    return mapped if isinstance(mapped, Path | LibraryLocation) else location_at(recorded)


def display_name(location: SourceLocation) -> str:
    """Return a location as people read it: without secrets and control characters."""
    return shown(str(location).encode(errors="surrogateescape"))
