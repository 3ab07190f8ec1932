"""Where a collection's images are to be had: a folder, a URL, or the hub's share."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from storage.paths import from_wire, to_wire
from workers.sources.hub import ShareAt, SharedRoot
from workers.sources.local import open_root
from workers.sources.remote import RemoteRoot, Url

if TYPE_CHECKING:
    from workers.sources.local import Fetched

Place = Path | ShareAt | Url


class Source(Protocol):
    """An opened place."""

    @property
    def place(self) -> Place:
        """What was opened."""

    @property
    def identity(self) -> object:
        """Equal as long as the same thing is there."""

    def fetch(self, relative: bytes, expected_size: int | None = None) -> Fetched:
        """The bytes of one image; FetchError is about it, RootGone about the world."""

    def close(self) -> None:
        """Give everything back."""


def open_place(place: Place, max_bytes: int) -> Source:
    """A place's images, of at most so many bytes each; RootGone where it is not there."""
    if isinstance(place, ShareAt):
        return SharedRoot(place, max_bytes)
    if isinstance(place, Url):
        return RemoteRoot(place, max_bytes)
    return open_root(place, max_bytes)


def place_to_json(place: Place) -> dict[str, Any]:
    """A place for another process of ours."""
    if isinstance(place, ShareAt):
        return {"share": asdict(place)}
    if isinstance(place, Url):
        return {"url": place.url}
    return {"folder": to_wire(os.fsencode(place))}


def place_from_json(raw: dict[str, Any]) -> Place:
    """A place from another process of ours."""
    if "share" in raw:
        return ShareAt(**raw["share"])
    if "url" in raw:
        return Url(raw["url"])
    return Path(os.fsdecode(from_wire(raw["folder"])))
