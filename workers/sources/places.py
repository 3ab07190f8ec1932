"""Where a collection's images are to be had: a folder, a URL, or the hub's share."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from storage.paths import from_wire, to_wire
from workers.sources.hub import HubLocation, HubSource
from workers.sources.local import open_root
from workers.sources.remote import RemoteSource, Url

if TYPE_CHECKING:
    from workers.sources.local import Fetched

SourceLocation = Path | HubLocation | Url


class Source(Protocol):
    """An opened place."""

    @property
    def place(self) -> SourceLocation:
        """What was opened."""

    @property
    def identity(self) -> object:
        """Equal as long as the same thing is there."""

    def fetch(self, relative: bytes, expected_size: int | None = None) -> Fetched:
        """The bytes of one image; FetchError is about it, SourceUnavailable about the world."""

    def close(self) -> None:
        """Give everything back."""


def open_source(place: SourceLocation, max_bytes: int) -> Source:
    """A place's images, of at most so many bytes each; SourceUnavailable where it is not there."""
    if isinstance(place, HubLocation):
        return HubSource(place, max_bytes)
    if isinstance(place, Url):
        return RemoteSource(place, max_bytes)
    return open_root(place, max_bytes)


def location_to_json(place: SourceLocation) -> dict[str, Any]:
    """A place for another process of ours."""
    if isinstance(place, HubLocation):
        return {"share": asdict(place)}
    if isinstance(place, Url):
        return {"url": place.url}
    return {"folder": to_wire(os.fsencode(place))}


def location_from_json(raw: dict[str, Any]) -> SourceLocation:
    """A place from another process of ours."""
    if "share" in raw:
        return HubLocation(**raw["share"])
    if "url" in raw:
        return Url(raw["url"])
    return Path(os.fsdecode(from_wire(raw["folder"])))
