"""Folders that a photo library wrote: each image once, and edited versions apart.

Google Takeout puts an image into the folder of its year and into that of each album. Both Google
and Apple put an edited version next to its original, under a name made from the original's.
"""
# ruff: noqa: PTH118 -- paths are bytes here, which pathlib does not take

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from itertools import islice
from typing import TYPE_CHECKING

from scanner.listing.scratch import scratch_database

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

GOOGLE, APPLE = "Google Takeout", "Apple Photos"

# Where a library is looked for: levels below the folder, folders, and names in each.
_LEVELS, _FOLDERS, _NAMES = 3, 200, 5_000
# "Photos from 2019" in the language of the account: the year is first or last.
_YEAR = re.compile(rb"(?:.*[^0-9])?(?:19|20)[0-9]{2}|(?:19|20)[0-9]{2}[^0-9].*", re.DOTALL)
_GOOGLE_JSON = b".supplemental-metadata"

_APPLE_NUMBER = re.compile(rb"(IMG_)E([0-9]{4,5})")
# What follows the name of an original, a hyphen before it, in the languages that are known.
_GOOGLE_WORDS = frozenset(
    {
        *("edited", "effects", "smile", "mix", "bearbeitet", "bewerkt", "edytowane", "modificato"),
        *("modifié", "editado", "ha editado", "editat", "編集済み", "编辑", "已編輯"),
    }
)
# Google cuts names to 47 characters before the extension, the word included.
_CUT_CHARACTERS = 46
# osxphotos adds it.
_APPLE_WORD = b"_edited"
_ORIGINALS = (b"heic", b"heif", b"jpg", b"jpeg", b"png", b"webp", b"gif", b"tif", b"tiff", b"dng")

# Bytes at each end of two files of one size that are compared.
_END_BYTES = 64 * 2**10


def find_library(root: Path) -> str | None:
    """Return the name of the library that wrote a folder; None for an ordinary one."""
    if b"Takeout" in os.path.realpath(os.fsencode(root)).split(b"/"):
        return GOOGLE
    for folder, names in _folders(os.fsencode(root)):
        if _is_from_google(os.path.basename(folder), names):  # noqa: PTH119
            return GOOGLE
        if _is_from_apple(names):
            return APPLE
    return None


def is_year(folder: bytes) -> bool:
    """Check whether a folder may be that of a year, by its name."""
    return _YEAR.fullmatch(folder) is not None


def is_edited(folder: bytes, name: bytes) -> bool:
    """Check whether a file is an edited version of another one in its folder."""
    stem, _, extension = name.rpartition(b".")
    return any(_is_there(folder, original, extension) for original in original_stems(stem))


class Copies:
    """The files that were listed, to know their copies; on disk, not in memory.

    Files are copies that have the same size, and the same bytes at both ends. Those of files
    whose size no other has are not read.
    """

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._known = scratch_database(
            self,
            "CREATE TABLE known (size INTEGER, ends BLOB, path BLOB)",
            "CREATE INDEX by_size ON known (size, ends)",
        )

    def add(self, path: bytes, size: int) -> bool:
        """Return whether a file is a copy of an earlier one; otherwise keep it in mind."""
        if not size:
            return False
        ends = None
        row = self._known.execute(
            "SELECT rowid, path FROM known WHERE size = ? AND ends IS NULL", (size,)
        ).fetchone()
        if row is not None:
            earlier = self._ends(row[1], size)
            self._known.execute("UPDATE known SET ends = ? WHERE rowid = ?", (earlier, row[0]))
        of_size = "SELECT 1 FROM known WHERE size = ?"
        if row is not None or self._known.execute(of_size, (size,)).fetchone():
            ends = self._ends(path, size)
            same = f"{of_size} AND ends = ?"
            if ends and self._known.execute(same, (size, ends)).fetchone():
                return True
        self._known.execute("INSERT INTO known VALUES (?, ?, ?)", (size, ends, path))
        return False

    def _ends(self, path: bytes, size: int) -> bytes:
        """Return a digest of both ends of a file; empty where it cannot be read."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            with open(os.open(self._root + path, flags), "rb") as file:  # noqa: PTH123
                head = file.read(_END_BYTES)
                file.seek(max(len(head), size - _END_BYTES))
                return hashlib.sha256(head + file.read(_END_BYTES)).digest()
        except OSError:
            return b""


def _folders(root: bytes) -> Iterator[tuple[bytes, Sequence[bytes]]]:
    """Yield the first folders below a root, each with the first names in it, level by level."""
    level = [root]
    left = _FOLDERS
    for _ in range(_LEVELS + 1):
        below: list[bytes] = []
        for folder in level[:left]:
            try:
                with os.scandir(folder) as entries:
                    first = list(islice(entries, _NAMES))
            except OSError:
                continue
            below += sorted(
                os.path.join(folder, entry.name)
                for entry in first
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(b".")
            )
            yield folder, [entry.name for entry in first]
        left -= len(level)
        if left <= 0:
            return
        level = below


def _is_from_google(folder: bytes, names: Sequence[bytes]) -> bool:
    if folder == b"Takeout":
        return any(name.startswith(b"Google ") for name in names)
    if folder.startswith(b"Google ") and any(map(is_year, names)):
        return True
    return any(_GOOGLE_JSON in name and name.endswith(b".json") for name in names)


def _is_from_apple(names: Sequence[bytes]) -> bool:
    if any(name[-4:].lower() == b".aae" or name == b".osxphotos_export.db" for name in names):
        return True
    stems = {name.rpartition(b".")[0] for name in names}
    return any(
        match[1] + match[2] in stems for match in map(_APPLE_NUMBER.fullmatch, stems) if match
    )


def original_stems(stem: bytes) -> Iterator[bytes]:
    """Yield the names without extension that the original of an edited version may have."""
    if match := _APPLE_NUMBER.fullmatch(stem):
        yield match[1] + match[2]
    if stem.endswith(_APPLE_WORD):
        yield stem.removesuffix(_APPLE_WORD)
    # A number is at the end: IMG-edited(1).jpg of IMG(1).jpg.
    numbered = re.fullmatch(rb"(.+?)(\([0-9]{1,6}\))?", stem, re.DOTALL)
    original, hyphen, end = numbered[1].rpartition(b"-") if numbered else (b"", b"", b"")
    if numbered and original and hyphen:
        word = unicodedata.normalize("NFC", end.decode(errors="replace")).lower()
        is_cut = len(numbered[1].decode(errors="replace")) >= _CUT_CHARACTERS
        if word in _GOOGLE_WORDS or (
            is_cut and word and any(known.startswith(word) for known in _GOOGLE_WORDS)
        ):
            yield original + (numbered[2] or b"")


def _is_there(folder: bytes, stem: bytes, extension: bytes) -> bool:
    names = (stem + b"." + each for each in (extension, *_ORIGINALS))
    return any(
        os.path.isfile(os.path.join(folder, each))  # noqa: PTH113
        for name in names
        for each in (name, stem + name[len(stem) :].upper())
    )
