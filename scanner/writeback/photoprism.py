"""PhotoPrism: a label and an album, by its API (https://docs.photoprism.app/developer-guide/api)."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from scanner.listing.library_server import NotThere
from scanner.listing.photoprism_search import MOST, albums, search_pages
from scanner.writeback.library import Asset
from storage.asset_paths import file_key_of
from workers.sources.location import LibraryKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from scanner.listing.library_server import Server
    from scanner.writeback.library import LocalFile

# In percent: PhotoPrism makes no title of a label above 85, and finds no photo by one of 100.
_UNCERTAINTY = 99
_OTHER_CHARACTERS = re.compile(r"[^a-z0-9]+")


class PhotoPrism:
    """A PhotoPrism server, with the rights of an app password or an access token.

    Its labels have no levels, and their names are written as titles: `Scanner:ai`.
    """

    name = LibraryKind.PHOTOPRISM.program

    def __init__(self, server: Server) -> None:
        self._server = server
        self._labels: dict[str, tuple[int, str]] | None = None
        self._albums: dict[str, str] | None = None

    def find(self, files: Sequence[LocalFile]) -> Mapping[str, str]:
        """Return the ids of photos by the SHA-1 of one of their files."""
        return self.find_listed([file.sha1 for file in files])

    def reference(self, path: bytes) -> str | None:
        """Return the SHA-1 of a file, which is in its path where it was listed from here."""
        key = file_key_of(path)
        return None if key is None else key.sha1.hex()

    def find_listed(self, references: Sequence[str]) -> Mapping[str, str]:
        """Return the ids of photos by the SHA-1 of one of their files."""
        found = {}
        for sha1 in references:
            try:
                answer = self._server.call("GET", f"/api/v1/files/{sha1}")
            except NotThere:
                continue
            if photo := self._dict(answer).get("PhotoUID"):
                found[sha1] = str(photo)
        return found

    def tagged(self, keyword: str) -> Iterator[Asset]:
        """Yield the files of photos that have a label."""
        label = self._all_labels().get(_plain(keyword))
        if label is None:
            return
        for photos in search_pages(self._server, {"q": f"label:{label[1]}"}):
            for photo in photos:
                for file in photo["Files"]:
                    yield Asset(
                        str(photo.get("UID", "")),
                        str(file.get("Hash", "")),
                        str(file.get("Name", "")),
                    )

    def tag(self, keyword: str, assets: Sequence[str]) -> Collection[str]:
        """Give photos a label; return those that are no longer there."""
        body = {"Name": keyword, "Priority": 0, "Uncertainty": _UNCERTAINTY}
        gone = set()
        for asset in assets:
            try:
                self._server.call("POST", f"/api/v1/photos/{quote(asset)}/label", body)
            except NotThere:
                gone.add(asset)
        self._labels = None
        return gone

    def untag(self, keyword: str, assets: Sequence[str]) -> None:
        """Take a label from photos."""
        label = self._all_labels().get(_plain(keyword))
        if label is None:
            return
        for asset in assets:
            # Somebody may have taken the label, or the photo, away meanwhile.
            with suppress(NotThere):
                self._server.call("DELETE", f"/api/v1/photos/{quote(asset)}/label/{label[0]}")

    def in_album(self, album: str) -> Collection[str]:
        """Return the photos of an album."""
        found = self._all_albums().get(album)
        pages = [] if found is None else search_pages(self._server, {"s": found})
        return [str(photo.get("UID", "")) for photos in pages for photo in photos]

    def add_to_album(self, album: str, assets: Sequence[str]) -> int:
        """Put photos in an album, which is made if needed."""
        known = self._all_albums()
        if album not in known:
            made = self._server.call("POST", "/api/v1/albums", {"Title": album})
            known[album] = str(self._dict(made).get("UID", ""))
        path = f"/api/v1/albums/{quote(known[album])}/photos"
        answer = self._dict(self._server.call("POST", path, {"photos": list(assets)}))
        added = answer.get("added")
        return len(added) if isinstance(added, list) else 0

    def remove_from_album(self, album: str, assets: Sequence[str]) -> None:
        """Take photos out of an album, if there is one."""
        found = self._all_albums().get(album)
        if found is not None:
            path = f"/api/v1/albums/{quote(found)}/photos"
            self._server.call("DELETE", path, {"photos": list(assets)})

    def _all_labels(self) -> dict[str, tuple[int, str]]:
        """Return the numbers and slugs of labels by what is left of their names."""
        if self._labels is None:
            query = {"count": MOST, "all": "true"}
            labels = self._server.objects(self._server.call("GET", "/api/v1/labels", query=query))
            self._labels = {
                _plain(str(one.get("Slug", ""))): (int(one["ID"]), str(one.get("Slug", "")))
                for one in labels
                if isinstance(one.get("ID"), int)
            }
        return self._labels

    def _all_albums(self) -> dict[str, str]:
        if self._albums is None:
            self._albums = dict(albums(self._server))
        return self._albums

    def _dict(self, answer: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        if not isinstance(answer, dict):
            raise self._server.unexpected()
        return answer


def _plain(name: str) -> str:
    """Return a name as PhotoPrism compares names, whatever it makes of other characters."""
    return _OTHER_CHARACTERS.sub("-", name.lower())
