"""The images of a PhotoPrism library by its API: albums as folders, the others where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scanner.listing.library_listing import LibraryImage, known_size
from scanner.listing.photoprism_search import albums, search_pages
from storage.asset_paths import SHA1_BYTES, FileKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scanner.listing.library_server import Server
    from storage.errors import ScannerError

# The folder `originals`; copies that PhotoPrism made are elsewhere.
_ORIGINALS = "/"


class PhotoPrismImages:
    """The originals of the albums in the order of their titles, then all originals.

    Neither what is archived nor what is broken or missing is among them.
    """

    def __init__(self, server: Server) -> None:
        self._server = server

    def parts(self) -> Iterator[Iterator[list[LibraryImage]]]:
        """Yield the pages of each album, then those of all images; raise ScannerError."""
        for title, album in sorted(albums(self._server)):
            yield self._pages({"s": album}, title)
        yield self._pages({}, None)

    def unexpected(self) -> ScannerError:
        """Return the error for an answer of another form."""
        return self._server.unexpected()

    def _pages(
        self, conditions: Mapping[str, object], album: str | None
    ) -> Iterator[list[LibraryImage]]:
        for photos in search_pages(self._server, conditions):
            files = (file for photo in photos for file in photo["Files"])
            yield [self._image(file, album) for file in files if file.get("Root") == _ORIGINALS]

    def _image(self, file: Mapping[str, Any], album: str | None) -> LibraryImage:
        place = file.get("Name")
        if not isinstance(place, str):
            raise self._server.unexpected()
        *folders, name = place.split("/")
        return LibraryImage(
            self._key(file),
            tuple(folders) if album is None else (album,),
            name,
            known_size(file.get("Size")),
            0,
            bool(file.get("Missing")),
            place.encode(errors="replace"),
        )

    def _key(self, file: Mapping[str, Any]) -> FileKey:
        try:
            sha1 = bytes.fromhex(str(file.get("Hash")))
        except ValueError as error:
            raise self._server.unexpected() from error
        if len(sha1) != SHA1_BYTES:
            raise self._server.unexpected()
        return FileKey(sha1)
