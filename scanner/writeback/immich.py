"""immich: a tag below `ai-photo-scanner`, and an album, by its API (https://api.immich.app)."""

from __future__ import annotations

import base64
import binascii
import os
from typing import TYPE_CHECKING, Any

from scanner.listing.immich_search import LISTED, search_pages, size_of, text_of
from scanner.writeback.keywords import PARENT
from scanner.writeback.library import Asset
from storage.asset_paths import key_of
from workers.sources.location import LibraryKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from scanner.listing.library_server import Server
    from scanner.writeback.library import LocalFile

# Where assets are looked for; the locked folder needs a PIN.
_VISIBILITIES = (*LISTED, "hidden")


class Immich:
    """An immich server, with the rights of an API key."""

    name = LibraryKind.IMMICH.program

    def __init__(self, server: Server) -> None:
        self._server = server
        self._tags: dict[str, str] | None = None
        self._albums: dict[str, str] = {}

    def find(self, files: Sequence[LocalFile]) -> Mapping[str, str]:
        """Return the ids of assets by SHA-1.

        An asset of an external library has a checksum of its path; it is found by its name, size
        and the end of its path, if only one is.
        """
        checks = [{"id": file.sha1, "checksum": file.sha1} for file in files]
        answer = self._call("POST", "/api/assets/bulk-upload-check", {"assets": checks})
        results = answer.get("results") if isinstance(answer, dict) else None
        found = {
            text_of(one, "id"): text_of(one, "assetId")
            for one in self._server.objects(results)
            if one.get("action") == "reject" and one.get("assetId") and not one.get("isTrashed")
        }
        for file in files:
            if file.sha1 not in found and (asset := self._find_by_place(file)) is not None:
                found[file.sha1] = asset
        return found

    def _find_by_place(self, file: LocalFile) -> str | None:
        try:
            name = os.path.basename(file.path).decode()  # noqa: PTH119 - bytes
        except UnicodeDecodeError:
            return None  # names in immich are text
        same = [one for one in self._search({"originalFileName": name}) if one.is_of(file)]
        return same[0].asset_id if len(same) == 1 else None

    def reference(self, path: bytes) -> str | None:
        """Return the id of an asset, which is in its path where it was listed from here."""
        key = key_of(path)
        return None if key is None else str(key.asset_id)

    def find_listed(self, references: Sequence[str]) -> Mapping[str, str]:
        """Return the ids of assets, which are what they are known by."""
        return {one: one for one in references}

    def tagged(self, keyword: str) -> Iterator[Asset]:
        """Yield the assets that have a keyword."""
        tag = self._all_tags().get(f"{PARENT}/{keyword}")
        if tag is not None:
            yield from self._search({"tagIds": [tag]})

    def tag(self, keyword: str, assets: Sequence[str]) -> Collection[str]:
        """Give assets a keyword; return those that the server refused."""
        value = f"{PARENT}/{keyword}"
        if value not in self._all_tags():
            made = self._server.objects(self._call("PUT", "/api/tags", {"tags": [value]}))
            self._all_tags().update({text_of(one, "value"): text_of(one, "id") for one in made})
        tag = self._all_tags().get(value)
        if tag is None:
            raise self._server.unexpected()
        answer = self._call("PUT", f"/api/tags/{tag}/assets", {"ids": list(assets)})
        return {
            text_of(one, "id")
            for one in self._server.objects(answer)
            if not one.get("success") and one.get("error") != "duplicate"
        }

    def untag(self, keyword: str, assets: Sequence[str]) -> None:
        """Take a keyword from assets."""
        tag = self._all_tags().get(f"{PARENT}/{keyword}")
        if tag is not None:
            self._call("DELETE", f"/api/tags/{tag}/assets", {"ids": list(assets)})

    def in_album(self, album: str) -> Collection[str]:
        """Return the assets of an album of the user's own."""
        found = self._album(album)
        assets = [] if found is None else self._search({"albumIds": [found]})
        return [one.asset_id for one in assets]

    def add_to_album(self, album: str, assets: Sequence[str]) -> int:
        """Put assets in an album of the user's own, which is made if needed."""
        found = self._album(album)
        if found is None:
            made = self._call("POST", "/api/albums", {"albumName": album, "assetIds": list(assets)})
            self._albums[album] = text_of(made, "id")
            return len(assets)
        answer = self._call("PUT", f"/api/albums/{found}/assets", {"ids": list(assets)})
        return sum(bool(one.get("success")) for one in self._server.objects(answer))

    def remove_from_album(self, album: str, assets: Sequence[str]) -> None:
        """Take assets out of an album, if there is one."""
        found = self._album(album)
        if found is not None:
            self._call("DELETE", f"/api/albums/{found}/assets", {"ids": list(assets)})

    def _album(self, name: str) -> str | None:
        if name not in self._albums:
            # Versions before 3 ignore the word, and list no others anyway.
            answer = self._server.call("GET", "/api/albums", query={"isOwned": "true"})
            for one in self._server.objects(answer):
                self._albums.setdefault(text_of(one, "albumName"), text_of(one, "id"))
        return self._albums.get(name)

    def _all_tags(self) -> dict[str, str]:
        if self._tags is None:
            tags = self._server.objects(self._call("GET", "/api/tags"))
            self._tags = {text_of(one, "value"): text_of(one, "id") for one in tags}
        return self._tags

    def _search(self, conditions: Mapping[str, object]) -> Iterator[Asset]:
        for visibility in _VISIBILITIES:
            for items in search_pages(self._server, visibility, conditions):
                yield from map(_asset, items)

    def _call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        return self._server.call(method, path, body)


def _asset(one: Mapping[str, Any]) -> Asset:
    size = size_of(one)
    try:
        sha1 = base64.b64decode(text_of(one, "checksum"), validate=True).hex()
    except (binascii.Error, ValueError):
        sha1 = ""
    path = text_of(one, "originalPath")
    # Of an upload, the server's own path ends in another name.
    is_external = bool(one.get("libraryId"))
    return Asset(
        text_of(one, "id"),
        sha1,
        path if is_external else text_of(one, "originalFileName"),
        size if is_external and isinstance(size, int) else 0,
    )
