"""Which files are sidecars of an image, by their names: XMP, settings as text, Takeout's JSON.

A folder is read in the order of names, and the names of an image's sidecars have a beginning in
common with its own. So only the sidecars that the next name may belong to are kept in memory.
"""
# ruff: noqa: PTH118, PTH208 -- paths are bytes here, which pathlib does not take

from __future__ import annotations

import os
import re
import stat
from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING

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
    start, dot, end = title.rpartition(b".")
    beginnings = {start + number + dot + end, title + number}
    return beginnings | {title} if len(title) >= _MIN_CUT_CHARACTERS else beginnings


def belongs(name: bytes, image: bytes) -> bool:
    """Check whether a sidecar is one of an image, both in one folder."""
    stem, _, extension = name.rpartition(b".")
    image_stem, _, image_extension = image.rpartition(b".")
    if stem in (image, image_stem):
        return True
    if extension.lower() != b"json":
        return False
    title, number = _takeout(stem)
    if number:
        numbered = _NUMBERED.fullmatch(image_stem)
        if numbered is None or numbered[2] != number:
            return False
        image_stem = numbered[1]
    whole = image_stem + b"." + image_extension
    is_cut = len(title.decode(errors="replace")) >= _MIN_CUT_CHARACTERS
    return whole.startswith(title) and (len(title) >= len(image_stem) or is_cut)


class WaitingSidecars:
    """The sidecars whose images may follow, in the order of the names of a folder."""

    def __init__(self, folder: bytes) -> None:
        self._folder = folder
        # Beginning and name of each; each beginning starts with the one before it.
        self._waiting: list[tuple[bytes, bytes]] = []

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
        names = dict.fromkeys(name for _, name in self._waiting if belongs(name, image))
        return tuple(filter(None, map(self._stat, islice(names, MAX_SIDECARS))))

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
