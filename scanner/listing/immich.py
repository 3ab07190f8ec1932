"""The images of an immich library by its API: albums as folders, the others by year."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from scanner.listing.immich_search import LISTED, search_pages, size_of, text_of
from scanner.listing.library_listing import LibraryImage, known_size
from scanner.listing.times import clamp_mtime
from storage.asset_paths import CHECKSUM_BYTES, AssetKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scanner.listing.library_server import Server
    from storage.errors import ScannerError

_NO_ALBUM = "no date"


class ImmichImages:
    """The images of the albums in the order of their names, then all images.

    Neither what is in the trash nor the locked folder is among them.
    """

    def __init__(self, server: Server) -> None:
        self._server = server

    def parts(self) -> Iterator[Iterator[list[LibraryImage]]]:
        """Yield the pages of each album, then those of all images; raise ScannerError."""
        albums = self._server.objects(self._server.call("GET", "/api/albums"))
        for album in sorted(
            albums, key=lambda one: (text_of(one, "albumName"), text_of(one, "id"))
        ):
            condition = {"albumIds": [text_of(album, "id")]}
            for visibility in LISTED:
                yield self._pages(visibility, condition, text_of(album, "albumName"))
        for visibility in LISTED:
            yield self._pages(visibility, {}, None)

    def unexpected(self) -> ScannerError:
        """Return the error for an answer of another form."""
        return self._server.unexpected()

    def _pages(
        self, visibility: str, conditions: Mapping[str, object], folder: str | None
    ) -> Iterator[list[LibraryImage]]:
        for assets in search_pages(self._server, visibility, {**conditions, "type": "IMAGE"}):
            yield [self._image(asset, folder) for asset in assets]

    def _image(self, asset: Mapping[str, Any], folder: str | None) -> LibraryImage:
        return LibraryImage(
            AssetKey(self._id(asset), _checksum(asset)),
            (folder if folder is not None else _year(asset),),
            text_of(asset, "originalFileName"),
            known_size(size_of(asset)),
            _time(asset),
            bool(asset.get("isTrashed")),
        )

    def _id(self, asset: Mapping[str, Any]) -> UUID:
        try:
            return UUID(text_of(asset, "id"))
        except ValueError as error:
            raise self._server.unexpected() from error


def _checksum(asset: Mapping[str, Any]) -> bytes:
    """Return the beginning of a file's SHA-1; zeros for a file that immich only refers to.

    The checksum of such a file is that of its path.
    """
    unknown = bytes(CHECKSUM_BYTES)
    if asset.get("libraryId"):
        return unknown
    try:
        sha1 = base64.b64decode(text_of(asset, "checksum"), validate=True)
    except (binascii.Error, ValueError):
        return unknown
    return sha1[:CHECKSUM_BYTES] if len(sha1) >= CHECKSUM_BYTES else unknown


def _year(asset: Mapping[str, Any]) -> str:
    year = text_of(asset, "localDateTime")[:4]
    return year if year.isascii() and year.isdigit() else _NO_ALBUM


def _time(asset: Mapping[str, Any]) -> int:
    """Return the time of a file's change in nanoseconds, 0 where it is not known."""
    try:
        changed = datetime.fromisoformat(text_of(asset, "fileModifiedAt"))
        return clamp_mtime(round(changed.timestamp() * 1_000_000) * 1000)
    except (ValueError, OverflowError):
        return 0
