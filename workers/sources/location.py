"""Where a collection's images are: in a folder, at a URL, or on the hub's share."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from storage.paths import from_wire, shown, to_wire

if TYPE_CHECKING:
    from collections.abc import Mapping


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


SourceLocation = Path | HubLocation | UrlLocation


def local_root(roots: Mapping[str, SourceLocation], collection: str, recorded: bytes) -> Path:
    """Return the folder of a collection on this machine: its root, else the recorded one."""
    mapped = roots.get(collection)
    return mapped if isinstance(mapped, Path) else Path(os.fsdecode(recorded))


def display_name(location: SourceLocation) -> str:
    """Return a location as people read it: without secrets and control characters."""
    return shown(str(location).encode(errors="surrogateescape"))


def location_to_json(location: SourceLocation) -> dict[str, Any]:
    """Return a location as JSON for `location_from_json` in another process."""
    if isinstance(location, HubLocation):
        return {"share": asdict(location)}
    if isinstance(location, UrlLocation):
        return {"url": location.url}
    return {"folder": to_wire(os.fsencode(location))}


def location_from_json(raw: dict[str, Any]) -> SourceLocation:
    """Return the location that `location_to_json` wrote."""
    if "share" in raw:
        return HubLocation(**raw["share"])
    if "url" in raw:
        return UrlLocation(raw["url"])
    return Path(os.fsdecode(from_wire(raw["folder"])))
