"""Keywords in a photo library on a server: by checksum, up to date, once.

Each group of images is finished before the next, so an export that breaks off goes on when it is
run again.
"""
# ruff: noqa: PTH118 -- paths are bytes here, which pathlib does not take

from __future__ import annotations

import hashlib
import os
import stat
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

from scanner.writeback.keywords import ALL_KEYWORDS
from scanner.writeback.sidecars import Skipped, require_unchanged, resolve_below

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from scanner.writeback.keywords import Wanted
    from scanner.writeback.tally import Tally
    from storage.reads.exports import ExportedImage

_Thing = TypeVar("_Thing")

# Images that are looked up, tagged and untagged together.
_TOGETHER = 200
# What a tally has of them.
OUT_OF_ALBUM = "taken out of the album"


@dataclass(frozen=True, slots=True)
class LocalFile:
    """An image here: its path in the collection, the SHA-1 of its bytes in hex, and its size."""

    path: bytes
    sha1: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Asset:
    """An image in a library; `path` is the server's. What is not known is empty or 0."""

    asset_id: str
    sha1: str
    path: str
    size_bytes: int = 0

    @property
    def name(self) -> str:
        """Return the name of the file."""
        return self.path.rpartition("/")[2]

    def is_of(self, file: LocalFile) -> bool:
        """Check for the same bytes; or the same size below the same folders.

        The latter for files that a server only refers to, without a checksum.
        """
        end = "/" + os.fsdecode(file.path)
        is_there = 0 < self.size_bytes == file.size_bytes and f"/{self.path}".endswith(end)
        return self.sha1 == file.sha1 or is_there


class Library(Protocol):
    """A photo library on a server."""

    name: str

    def find(self, files: Sequence[LocalFile]) -> Mapping[str, str]:
        """Return the ids of assets by the SHA-1 of the files that are in the library."""

    def reference(self, path: bytes) -> str | None:
        """Return what the path of an image that was listed from the library says of its asset.

        That is the asset's id or SHA-1.
        """

    def find_listed(self, references: Sequence[str]) -> Mapping[str, str]:
        """Return the ids of assets by what their paths say."""

    def tagged(self, keyword: str) -> Iterator[Asset]:
        """Yield the assets that have a keyword."""

    def tag(self, keyword: str, assets: Sequence[str]) -> Collection[str]:
        """Give assets a keyword; return those that the server refused."""

    def untag(self, keyword: str, assets: Sequence[str]) -> None:
        """Take a keyword from assets."""

    def in_album(self, album: str) -> Collection[str]:
        """Return the ids of the assets in an album; none where there is no such album."""

    def add_to_album(self, album: str, assets: Sequence[str]) -> int:
        """Put assets in an album, which is made if needed; return how many were not in it."""

    def remove_from_album(self, album: str, assets: Sequence[str]) -> None:
        """Take assets out of an album, if there is one."""


@dataclass(frozen=True, slots=True)
class LibraryExport:
    """A library, the folder here without links, and the album for chosen images, if any.

    Without a folder, the images were listed from the library itself, and their paths have its ids.
    """

    library: Library
    root: bytes | None
    album: str | None
    write: bool


def write_to_library(
    into: LibraryExport, images: Callable[[], Iterable[Wanted]], tally: Tally
) -> None:
    """Give the chosen images in a library their keyword, and take it from the others.

    `images` yields all images in question, each time that it is called. Assets of other scans
    keep what they have.
    """
    current: dict[str, set[str]] = defaultdict(set)
    # Several of one id: the files of one photo.
    assets: dict[str, list[Asset]] = defaultdict(list)
    for keyword in sorted(ALL_KEYWORDS):
        for asset in into.library.tagged(keyword):
            current[asset.asset_id].add(keyword)
            assets[asset.asset_id].append(asset)
    inside = set(into.library.in_album(into.album)) if into.album is not None else set()
    wanted = _tag_chosen(into, images(), current, inside, tally)
    stale = ((one, current.get(one, set()) - words) for one, words in wanted.items())
    for group in _groups((one, words) for one, words in stale if words):
        _untag(into, dict(group))
        for asset_id, _ in group:
            tally.add("changed", assets[asset_id][0].path.encode(errors="replace"))
    others = {asset_id: assets[asset_id] for asset_id in current if asset_id not in wanted}
    for paths in _groups(_not_chosen(into, images(), others)):
        leaving = [asset_id for asset_id, _ in paths if asset_id in inside]
        # The keywords last: while an asset has one, a further run does the rest.
        _take_out(into, leaving, tally)
        _untag(into, {asset_id: current[asset_id] for asset_id, _ in paths})
        for _, path in paths:
            tally.add("untagged", path)


def _groups(things: Iterable[_Thing]) -> Iterator[list[_Thing]]:
    """Yield what is done together."""
    every = iter(things)
    while group := list(islice(every, _TOGETHER)):
        yield group


def _tag_chosen(
    into: LibraryExport,
    images: Iterable[Wanted],
    current: Mapping[str, set[str]],
    inside: set[str],
    tally: Tally,
) -> Mapping[str, set[str]]:
    """Tag the chosen images, and put them into the album; return the keywords that assets get.

    `inside` are those that are in the album; those that come are added to it.
    """
    wanted: dict[str, set[str]] = defaultdict(set)
    for group in _groups(each for each in images if each.keyword is not None):
        found = _find(into, group, tally)
        missing: dict[str, dict[str, bytes]] = defaultdict(dict)
        for each, asset_id in found.items():
            path = each.image.path
            if asset_id is None:
                tally.skip(path, f"it is not in {into.library.name}")
                continue
            keyword = each.keyword or ""
            if keyword in wanted[asset_id] | current.get(asset_id, set()):
                tally.unchanged += 1
            else:
                missing[keyword][asset_id] = path
            wanted[asset_id].add(keyword)
        coming = sorted({one for one in found.values() if one is not None} - inside)
        if into.album is not None and coming:
            added = into.library.add_to_album(into.album, coming) if into.write else len(coming)
            tally.done.update({"added to the album": added} if added else {})
            inside.update(coming)
        for keyword, paths in missing.items():
            refused = into.library.tag(keyword, list(paths)) if into.write else ()
            for asset_id, path in paths.items():
                if asset_id in refused:
                    tally.skip(path, f"{into.library.name} refuses to tag it")
                else:
                    tally.add("tagged", path)
    return wanted


def _find(
    into: LibraryExport, group: Iterable[Wanted], tally: Tally
) -> Mapping[Wanted, str | None]:
    """Return the assets of images, None of those that the library does not have."""
    if into.root is None:
        references = {each: into.library.reference(each.image.path) for each in group}
        listed = into.library.find_listed([one for one in references.values() if one is not None])
        return {each: listed.get(one or "") for each, one in references.items()}
    root = into.root
    files = {each: file for each in group if (file := _read(root, each.image, tally))}
    found = into.library.find(list(files.values())) if files else {}
    return {each: found.get(file.sha1) for each, file in files.items()}


def _not_chosen(
    into: LibraryExport, images: Iterable[Wanted], others: Mapping[str, Sequence[Asset]]
) -> Iterator[tuple[str, bytes]]:
    """Yield those of the other assets that are images which are not chosen, with a path of each."""
    by_name: dict[str, set[str]] = defaultdict(set)
    by_reference: dict[str | None, set[str]] = defaultdict(set)
    done: set[str] = set()
    for asset_id, files in others.items():
        for asset in files:
            by_name[asset.name].add(asset_id)
            by_reference[asset.asset_id].add(asset_id)
            by_reference[asset.sha1].add(asset_id)
    for each in images:
        if each.keyword is not None:
            continue
        if into.root is None:
            same = by_reference.get(into.library.reference(each.image.path), set())
        else:
            named = by_name.get(os.fsdecode(os.path.basename(each.image.path)), ())  # noqa: PTH119
            same = _same(into.root, each.image, {one: others[one] for one in named})
        for asset_id in sorted(same - done):
            done.add(asset_id)
            yield asset_id, each.image.path


def _same(root: bytes, image: ExportedImage, others: Mapping[str, Sequence[Asset]]) -> set[str]:
    """Return those of the assets that an image here is."""
    if not others:
        return set()
    try:
        file = _digest(root, image)
    except Skipped:
        return set()
    return {one for one, assets in others.items() if any(asset.is_of(file) for asset in assets)}


def _take_out(into: LibraryExport, assets: Sequence[str], tally: Tally) -> None:
    """Take assets out of the album in which they are."""
    if into.album is not None and assets:
        if into.write:
            into.library.remove_from_album(into.album, assets)
        tally.done[OUT_OF_ALBUM] += len(assets)


def _untag(into: LibraryExport, stale: Mapping[str, Collection[str]]) -> None:
    """Take keywords from assets, all assets of a keyword at once."""
    if into.write:
        for keyword in sorted(set().union(*stale.values())):
            into.library.untag(keyword, [one for one, words in stale.items() if keyword in words])


def _read(root: bytes, image: ExportedImage, tally: Tally) -> LocalFile | None:
    """Return a chosen image that is as it was scanned."""
    try:
        require_unchanged(root, image)
        return _digest(root, image)
    except Skipped as error:
        tally.skip(image.path, str(error))
        return None


def _digest(root: bytes, image: ExportedImage) -> LocalFile:
    folder, name = os.path.split(image.path)
    path = os.path.join(resolve_below(root, folder), name)
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with open(os.open(path, flags), "rb") as file:  # noqa: PTH123 - a descriptor
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise Skipped("it is not a regular file")
            digest = hashlib.file_digest(file, lambda: hashlib.sha1(usedforsecurity=False))
    except OSError as error:
        raise Skipped(f"the image cannot be read: {error.strerror}") from error
    return LocalFile(image.path, digest.hexdigest(), status.st_size)
