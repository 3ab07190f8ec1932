"""List the images of a photo library on a server: in folders, each once, edited versions marked."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from scanner.listing.edited import original_stems
from scanner.listing.extensions import IMAGE, RAW, file_kind
from scanner.listing.globs import compile_patterns
from scanner.listing.scratch import scratch_database
from scanner.listing.walk import Candidate
from storage.asset_paths import asset_path, key_text, without_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scanner.listing.walk import Unreadable, WalkOptions
    from storage.asset_paths import AssetKey, FileKey
    from storage.errors import ScannerError


@dataclass(frozen=True, slots=True)
class LibraryImage:
    """A file of a library; sizes and times that a server does not know are 0.

    `folders` is where it is listed. `place` is its path on the server, where that says which files
    belong together.
    """

    key: AssetKey | FileKey
    folders: tuple[str, ...]
    name: str
    size_bytes: int
    mtime_ns: int
    is_hidden: bool = False
    place: bytes | None = None


def known_size(value: object) -> int:
    """Return a size in bytes as a server gives it, 0 for anything that is none."""
    return value if isinstance(value, int) and 0 <= value < 2**63 else 0


class Library(Protocol):
    """A photo library on a server."""

    def parts(self) -> Iterator[Iterable[list[LibraryImage]]]:
        """Yield the pages of each album, then those of all images; raise ScannerError."""

    def unexpected(self) -> ScannerError:
        """Return the error for an answer of another form."""


class _Seen(Enum):
    """Whether an image came before."""

    NEW = auto()
    IN_EARLIER_PART = auto()
    IN_THIS_PART = auto()


class LibraryListing:
    """The images of a library, as `scanner.listing.walk.Walk` has those of a folder.

    An image is in the folder of the first part that has it; but where it was listed before, as
    `known` paths say, it stays. Those whose names are of edited versions come last, when all
    originals are known.
    """

    def __init__(self, library: Library, options: WalkOptions, known: Iterable[bytes] = ()) -> None:
        self._library = library
        self._options = options
        self._included = compile_patterns(options.include)
        self._excluded = compile_patterns(options.exclude)
        self._images = scratch_database(
            self,
            "CREATE TABLE known (key BLOB PRIMARY KEY, path BLOB) WITHOUT ROWID",
            "CREATE TABLE seen (key BLOB PRIMARY KEY, part INTEGER) WITHOUT ROWID",
            "CREATE TABLE stems (stem BLOB PRIMARY KEY) WITHOUT ROWID",
            "CREATE TABLE later (path BLOB, size INTEGER, mtime INTEGER, place BLOB)",
        )
        self._images.executemany(
            "INSERT OR IGNORE INTO known VALUES (?, ?)",
            ((key, path) for path in known if (key := key_text(path)) is not None),
        )
        self.skipped: Counter[str] = Counter()
        self.unreadable: list[Unreadable] = []
        self.unreadable_count = 0

    def __iter__(self) -> Iterator[Candidate]:
        for number, pages in enumerate(self._library.parts()):
            for page in pages:
                for image in self._new(page, number):
                    candidate = self._candidate(image)
                    if candidate is not None and not self._is_for_later(image, candidate):
                        yield candidate
        yield from self._later()

    def _new(self, page: list[LibraryImage], part: int) -> list[LibraryImage]:
        """Return the images of a page that came in no page before."""
        seen = [self._see(image, part) for image in page]
        # A server that gives the same again would keep this going for ever.
        if page and all(one is _Seen.IN_THIS_PART for one in seen):
            raise self._library.unexpected()
        return [image for image, one in zip(page, seen, strict=True) if one is _Seen.NEW]

    def _see(self, image: LibraryImage, part: int) -> _Seen:
        key = bytes(image.key)
        row = self._images.execute("SELECT part FROM seen WHERE key = ?", (key,)).fetchone()
        self._images.execute("INSERT OR REPLACE INTO seen VALUES (?, ?)", (key, part))
        if row is None:
            return _Seen.NEW
        return _Seen.IN_THIS_PART if row[0] == part else _Seen.IN_EARLIER_PART

    def _candidate(self, image: LibraryImage) -> Candidate | None:
        kind = file_kind(image.name.encode(errors="replace"))
        if image.is_hidden:
            self.skipped["hidden"] += 1
            return None
        if kind == RAW and not (self._options.raw or self._options.all_files):
            self.skipped[RAW] += 1
            return None
        if kind not in (IMAGE, RAW) and not self._options.all_files:
            self.skipped[kind] += 1
            return None
        if image.place is not None:
            self._images.execute("INSERT OR IGNORE INTO stems VALUES (?)", (_stem(image.place),))
        path = asset_path(image.folders, image.key, image.name)
        row = self._images.execute(
            "SELECT path FROM known WHERE key = ?", (bytes(image.key),)
        ).fetchone()
        path = bytes(row[0]) if row is not None else path
        if not self._is_wanted(os.fsdecode(without_key(path))):
            self.skipped["excluded"] += 1
            return None
        return Candidate(path, image.size_bytes, image.mtime_ns)

    def _is_wanted(self, path: str) -> bool:
        if self._excluded and self._excluded.match_file(path):
            return False
        return not self._included or self._included.match_file(path)

    def _is_for_later(self, image: LibraryImage, candidate: Candidate) -> bool:
        """Keep an image with the name of an edited version until all originals are known."""
        if image.place is None or not any(_originals(image.place)):
            return False
        row = (candidate.path, candidate.size_bytes, candidate.mtime_ns, image.place)
        self._images.execute("INSERT INTO later VALUES (?, ?, ?, ?)", row)
        return True

    def _later(self) -> Iterator[Candidate]:
        for path, size, mtime, place in self._images.execute("SELECT * FROM later ORDER BY rowid"):
            candidate = Candidate(bytes(path), size, mtime)
            yield replace(candidate, edited=any(map(self._is_there, _originals(place))))

    def _is_there(self, stem: bytes) -> bool:
        query = "SELECT 1 FROM stems WHERE stem = ?"
        return self._images.execute(query, (stem,)).fetchone() is not None


def _originals(place: bytes) -> Iterator[bytes]:
    """Yield the paths without extension that the original of an edited version may have."""
    folder, slash, name = place.rpartition(b"/")
    return (folder + slash + stem for stem in original_stems(_stem(name)))


def _stem(place: bytes) -> bytes:
    return place.rpartition(b".")[0]
