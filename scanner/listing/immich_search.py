"""Search an immich library by its API, page after page, to list it or to write findings back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scanner.listing.library_server import Server

# What is listed; `hidden` are the films of Live Photos, `locked` needs a PIN.
LISTED = ("timeline", "archive")
# The most that the API returns at once.
_PAGE = 1000


def search_pages(
    server: Server, visibility: str, conditions: Mapping[str, object]
) -> Iterator[list[dict[str, Any]]]:
    """Yield the assets that meet conditions, a page at a time; raise ScannerError.

    Always of one visibility: without, versions 1.133 to 2 search the timeline only, version 3 all
    but the locked folder.
    """
    page: int | None = 1
    own = {**conditions, "visibility": visibility, "size": _PAGE, "withExif": True}
    while page is not None:
        body = {**own, "page": page}
        answer = server.call("POST", "/api/search/metadata", body)
        assets = answer.get("assets") if isinstance(answer, dict) else None
        items = server.objects(assets.get("items") if isinstance(assets, dict) else None)
        yield items
        following = assets.get("nextPage") if isinstance(assets, dict) else None
        number = int(str(following)) if str(following).isdecimal() else 0
        # A server that names a page again, or has empty ones, would keep this going for ever.
        page = number if items and number > page else None


def text_of(asset: object, key: str) -> str:
    """Return a text of an asset, empty where it is none."""
    value = asset.get(key) if isinstance(asset, dict) else None
    return value if isinstance(value, str) else ""


def size_of(asset: Mapping[str, Any]) -> object:
    """Return what an asset says of its file's size in bytes."""
    exif = asset.get("exifInfo")
    return exif.get("fileSizeInByte") if isinstance(exif, dict) else None
