"""Search a PhotoPrism library by its API, to list it or to write findings back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scanner.listing.library_server import Server

# Files of a page; the API returns up to a hundred times as many.
_PAGE = 1000
# The most that the API returns.
MOST = 100_000


def search_pages(
    server: Server, conditions: Mapping[str, object]
) -> Iterator[list[dict[str, Any]]]:
    """Yield the photos that meet conditions, each with its files, a page at a time.

    A photo whose files are of two pages is on both. Those of any quality are found, but for what
    is archived or hidden. Raise ScannerError.
    """
    offset, last = 0, None
    while True:
        query = {"count": _PAGE, "offset": offset, "order": "added", "merged": "true", "quality": 0}
        answer = server.call("GET", "/api/v1/photos", query={**query, **conditions})
        photos = server.objects(answer)
        files = sum(len(server.objects(photo.get("Files"))) for photo in photos)
        # A server that gives the same again would keep this going for ever.
        if photos and photos == last:
            raise server.unexpected()
        if photos:
            yield photos
        offset, last = offset + files, photos
        if files < _PAGE:
            return


def albums(server: Server) -> Iterator[tuple[str, str]]:
    """Yield the titles and ids of the albums that people made; raise ScannerError."""
    # Without the type, months, places and folders are there, too, for those who may see all kinds.
    query = {"count": MOST, "type": "album"}
    for one in server.objects(server.call("GET", "/api/v1/albums", query=query)):
        yield str(one.get("Title", "")), str(one.get("UID", ""))
