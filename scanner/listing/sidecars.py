"""Which files are sidecars of an image, by their names: XMP, settings as text, Takeout's JSON.

A folder is read in the order of names, and the names of an image's sidecars have a beginning in
common with its own. So only the sidecars that the next name may belong to are kept in memory.

Google writes one JSON for an image and its edited version, which is named after the image.
"""
# ruff: noqa: PTH118, PTH208 -- paths are bytes here, which pathlib does not take

from __future__ import annotations

import os
import re
import stat
from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING

from scanner.listing.edited import google_original
from scanner.listing.times import clamp_mtime
from storage.records import MAX_SIDECAR_BYTES, MAX_SIDECARS, Sidecar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

EXTENSIONS = frozenset({b"xmp", b"txt", b"json"})

# Sidecars whose image may still come.
_MAX_WAITING = 64

# Google Takeout names the file for IMG(1).jpg "IMG.jpg.supplemental-metadata(1).json". It cuts all
# before the number to 46 characters, and did without the middle part until 2024.
_MIDDLE = b".supplemental-metadata"
_TAKEOUT = re.compile(
    rb"(?P<title>.+?)(?P<middle>%s)?(?P<number>\(\d{1,6}\))?"
    % b"|".join(re.escape(_MIDDLE[:length]) for length in range(len(_MIDDLE), 0, -1)),
    re.DOTALL,
)
_NUMBERED = re.compile(rb"(.*)(\(\d{1,6}\))", re.DOTALL)
# A title of this length may have been cut anywhere: 46 without the number.
_MIN_CUT_CHARACTERS = 40
# Images that Takeout may have written as JPEG, under the title that they had.
_CONVERTED = frozenset({b"heic", b"heif"})
_JPEG = frozenset({b"jpg", b"jpeg"})


def is_sidecar(name: bytes) -> bool:
    """Check whether a file may be a sidecar of an image, by its extension."""
    stem, _, extension = name.rpartition(b".")
    return bool(stem) and extension.lower() in EXTENSIONS


def common_beginnings(name: bytes) -> Iterable[bytes]:
    """Return the beginnings that a sidecar's name has in common with those of its images."""
    stem, _, extension = name.rpartition(b".")
    if extension.lower() != b"json":
        return (stem,)
    title, number = _takeout(stem)
    start, dot, end = _split(title)
    # The last two are those of edited versions.
    beginnings = {start + number + dot + end, title + number, start + b"-", start + number + b"-"}
    if end.lower() in _CONVERTED:
        beginnings.add(start + number + dot)
    return beginnings | {title} if len(title) >= _MIN_CUT_CHARACTERS else beginnings


def belongs(name: bytes, image: bytes) -> bool:
    """Check whether a sidecar is one of an image, both in one folder, by their names.

    That of a HEIC belongs to a JPEG, too, unless the HEIC is there, see `WaitingSidecars`.
    """
    stem, _, extension = name.rpartition(b".")
    image_stem, _, image_extension = image.rpartition(b".")
    if stem in (image, image_stem):
        return True
    if extension.lower() != b"json":
        return False
    original = google_original(image_stem)
    stems = (image_stem,) if original is None else (image_stem, original)
    return any(_is_of_takeout(stem, each, image_extension) for each in stems)


def _is_of_takeout(stem: bytes, image_stem: bytes, image_extension: bytes) -> bool:
    """Check whether a name without `.json` is that of an image in Takeout."""
    title, number = _takeout(stem)
    numbered = _NUMBERED.fullmatch(image_stem)
    if number:
        if numbered is None or numbered[2] != number:
            return False
        image_stem = numbered[1]
    elif numbered is not None and numbered[1].startswith(title):
        # The title was cut before the number, which stands behind it in the JSON of the image.
        return False
    whole = image_stem + b"." + image_extension
    is_cut = len(title.decode(errors="replace")) >= _MIN_CUT_CHARACTERS
    if whole.startswith(title) and (len(title) >= len(image_stem) or is_cut):
        return True
    start, _, extension = _split(title)
    is_converted = extension.lower() in _CONVERTED and image_extension.lower() in _JPEG
    return is_converted and start == image_stem


class WaitingSidecars:
    """The sidecars whose images may follow, in the order of the names of a folder."""

    def __init__(self, folder: bytes) -> None:
        self._folder = folder
        # Beginning and name of each; each beginning starts with the one before it.
        self._waiting: list[tuple[bytes, bytes]] = []
        # Those of them that belong to an image.
        self._used: set[bytes] = set()

    def add(self, beginning: bytes, name: bytes) -> None:
        """Keep a sidecar until a name follows that has another beginning."""
        self._forget_others(beginning)
        self._waiting = [*self._waiting[1 - _MAX_WAITING :], (beginning, name)]

    def of(self, image: bytes) -> tuple[Sidecar, ...]:
        """Return the sidecars of an image that are regular files of a bounded size."""
        self._forget_others(image)
        if not self._waiting:
            return ()
        # Each once: a sidecar may wait with several beginnings.
        names = dict.fromkeys(
            name
            for _, name in self._waiting
            if belongs(name, image) and not self._is_of_other(name, image)
        )
        return tuple(filter(None, map(self._stat, islice(names, MAX_SIDECARS))))

    def first_used(self, image: bytes, sidecars: Iterable[Sidecar]) -> Iterator[bytes]:
        """Yield the names of those sidecars of an image that belonged to none before it."""
        # An edited version has that of its original, which follows or was there.
        if google_original(image.rpartition(b".")[0]) is None:
            names = {sidecar.name for sidecar in sidecars}
            yield from names - self._used
            self._used = (self._used & {name for _, name in self._waiting}) | names

    def _is_of_other(self, name: bytes, image: bytes) -> bool:
        """Check whether the JSON of a HEIC next to a JPEG is that of another image."""
        title, number = _takeout(name.rpartition(b".")[0])
        start, dot, extension = _split(title)
        if extension.lower() not in _CONVERTED:
            return False
        heic = start + number + dot + extension
        stem = image.rpartition(b".")[0]
        is_own = image == heic or google_original(stem) == start + number
        return not is_own and os.path.lexists(os.path.join(self._folder, heic))

    def _forget_others(self, name: bytes) -> None:
        while self._waiting and not name.startswith(self._waiting[-1][0]):
            self._waiting.pop()

    def _stat(self, name: bytes) -> Sidecar | None:
        try:
            status = os.lstat(os.path.join(self._folder, name))
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode) or not 0 < status.st_size <= MAX_SIDECAR_BYTES:
            return None
        return Sidecar(name, status.st_size, clamp_mtime(status.st_mtime_ns))


def find_sidecars(files: Iterable[bytes]) -> dict[bytes, tuple[Sidecar, ...]]:
    """Return the sidecars of files by path; none where their folder cannot be read."""
    by_folder: dict[bytes, list[bytes]] = defaultdict(list)
    for file in files:
        folder, name = os.path.split(file)
        by_folder[folder].append(name)
    return {
        os.path.join(folder, name): sidecars
        for folder, names in by_folder.items()
        for name, sidecars in _find_in_folder(folder, names)
    }


def _find_in_folder(
    folder: bytes, names: Sequence[bytes]
) -> Iterator[tuple[bytes, tuple[Sidecar, ...]]]:
    try:
        present = [name for name in os.listdir(folder or b".") if is_sidecar(name)]
    except OSError:
        return
    waiting = WaitingSidecars(folder)
    sidecars = [(start, False, name) for name in present for start in common_beginnings(name)]
    for start, is_image, name in sorted([*sidecars, *((name, True, name) for name in names)]):
        if is_image:
            yield name, waiting.of(name)
        else:
            waiting.add(start, name)


def _takeout(stem: bytes) -> tuple[bytes, bytes]:
    """Return the title in a name of Google Takeout, and the number behind it, if there is one."""
    match = _TAKEOUT.fullmatch(stem)
    return (match["title"], match["number"] or b"") if match else (stem, b"")


def _split(title: bytes) -> tuple[bytes, bytes, bytes]:
    """Return what is before the extension, the dot and the extension; the last two may be empty."""
    start, dot, extension = title.rpartition(b".")
    return (start, dot, extension) if dot else (title, b"", b"")
