"""List the images of an immich library by its API: albums as folders, each image once."""

from __future__ import annotations

import base64
import binascii
import os
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from scanner.listing.extensions import IMAGE, RAW, file_kind
from scanner.listing.globs import compile_patterns
from scanner.listing.immich_search import search_pages, text_of
from scanner.listing.scratch import scratch_database
from scanner.listing.times import clamp_mtime
from scanner.listing.walk import Candidate
from storage.asset_paths import CHECKSUM_BYTES, AssetKey, asset_path, key_of, without_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from scanner.listing.library_server import Server
    from scanner.listing.walk import Unreadable, WalkOptions

# What is listed; `hidden` are the films of Live Photos, `locked` needs a PIN.
_LISTED = ("timeline", "archive")
_NO_ALBUM = "no date"


class ImmichListing:
    """The images of a library, as `scanner.listing.walk.Walk` has those of a folder.

    An image is in the folder of the first of its albums by name, in that of its year if it is in
    none; but where it was listed before, as `known` paths say, it stays. Neither what is in the
    trash nor the locked folder is listed.
    """

    def __init__(self, server: Server, options: WalkOptions, known: Iterable[bytes] = ()) -> None:
        self._server = server
        self._options = options
        self._included = compile_patterns(options.include)
        self._excluded = compile_patterns(options.exclude)
        self._assets = scratch_database(
            self,
            "CREATE TABLE known (key BLOB PRIMARY KEY, path BLOB) WITHOUT ROWID",
            "CREATE TABLE seen (id BLOB PRIMARY KEY, part INTEGER) WITHOUT ROWID",
        )
        self._assets.executemany(
            "INSERT OR IGNORE INTO known VALUES (?, ?)",
            ((bytes(key), path) for path in known if (key := key_of(path)) is not None),
        )
        self.skipped: Counter[str] = Counter()
        self.unreadable: list[Unreadable] = []
        self.unreadable_count = 0

    def __iter__(self) -> Iterator[Candidate]:
        for number, (folder, conditions) in enumerate(self._parts()):
            for asset in self._search(number, conditions):
                candidate = self._candidate(asset, folder)
                if candidate is not None:
                    yield candidate

    def _parts(self) -> Iterator[tuple[str | None, Mapping[str, object]]]:
        """Yield folders with the conditions of their assets; the folder of what is in no album."""
        albums = self._server.objects(self._server.call("GET", "/api/albums"))
        for album in sorted(
            albums, key=lambda one: (text_of(one, "albumName"), text_of(one, "id"))
        ):
            yield text_of(album, "albumName"), {"albumIds": [text_of(album, "id")]}
        for visibility in _LISTED:
            yield None, {"visibility": visibility}

    def _search(self, part: int, conditions: Mapping[str, object]) -> Iterator[Mapping[str, Any]]:
        """Yield the images that meet conditions and that no earlier part had."""
        for items in search_pages(self._server, {**conditions, "type": "IMAGE"}):
            marks = [self._mark(one, part) for one in items]
            # A server that gives the same again would keep this going for ever.
            if items and not any(marks):
                raise self._server.unexpected()
            yield from (one for one, mark in zip(items, marks, strict=True) if mark == "new")

    def _mark(self, asset: Mapping[str, Any], part: int) -> str:
        """Return `new`, or `seen` in an earlier part; nothing where this part had it."""
        number = self._id(asset).bytes
        row = self._assets.execute("SELECT part FROM seen WHERE id = ?", (number,)).fetchone()
        self._assets.execute("INSERT OR REPLACE INTO seen VALUES (?, ?)", (number, part))
        if row is None:
            return "new"
        return "" if row[0] == part else "seen"

    def _candidate(self, asset: Mapping[str, Any], folder: str | None) -> Candidate | None:
        name = text_of(asset, "originalFileName")
        kind = file_kind(name.encode(errors="replace"))
        if asset.get("isTrashed") or asset.get("visibility", _LISTED[0]) not in _LISTED:
            self.skipped["hidden"] += 1
            return None
        if kind == RAW and not (self._options.raw or self._options.all_files):
            self.skipped[RAW] += 1
            return None
        if kind not in (IMAGE, RAW) and not self._options.all_files:
            self.skipped[kind] += 1
            return None
        key = AssetKey(self._id(asset), _checksum(asset))
        path = asset_path(folder if folder is not None else _year(asset), key, name)
        row = self._assets.execute("SELECT path FROM known WHERE key = ?", (bytes(key),)).fetchone()
        path = bytes(row[0]) if row is not None else path
        if not self._is_wanted(os.fsdecode(without_key(path))):
            self.skipped["excluded"] += 1
            return None
        exif = asset.get("exifInfo")
        size = exif.get("fileSizeInByte") if isinstance(exif, dict) else 0
        known = size if isinstance(size, int) and 0 <= size < 2**63 else 0
        return Candidate(path, known, _time(asset))

    def _is_wanted(self, path: str) -> bool:
        if self._excluded and self._excluded.match_file(path):
            return False
        return not self._included or self._included.match_file(path)

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
