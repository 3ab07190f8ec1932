"""Folders that a photo library wrote, which hold an image in several places.

Google Takeout puts an image into the folder of its year and into that of each album. Both Google
and Apple write what was deleted into a folder of its own.
"""
# ruff: noqa: PTH118, PTH119 -- paths are bytes here, which pathlib does not take

from __future__ import annotations

import os
import re
import unicodedata
from itertools import islice
from typing import TYPE_CHECKING

from scanner.listing.extensions import IMAGE, file_kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

GOOGLE, APPLE = "Google Takeout", "Apple Photos"

# Where a library is looked for: levels below the folder, folders, and names in each.
_LEVELS, _FOLDERS, _NAMES = 3, 200, 5_000
# Files that only the library writes: so many in a folder are no strays.
_MIN_SIGNS = 2
_GOOGLE_JSON = b".supplemental-metadata"
_APPLE_LIST = re.compile(rb"photo details.*\.csv", re.IGNORECASE)
_APPLE_NUMBER = re.compile(rb"(IMG_)E([0-9]{4,5})")

# The folder of a year, in the languages of which its name is known, or of a day, until 2020.
_YEAR = r"(?:19|20)[0-9]{2}"
_BEFORE_YEAR = (
    *("photos from", "photos de", "fotos von", "fotos aus", "fotos de", "foto da", "foto dal"),
    *("foto del", "foto_s uit", "foto_s van", "foto's uit", "foto's van", "zdjęcia z"),
    *("zdjęcia z roku", "fotky z", "fotky z roku", "foton från", "bilder fra", "billeder fra"),
    *("фото за", "фотографии за"),
)
_AFTER_YEAR = ("年の写真", "年的照片", "年的相片", "년의 사진", "yılından fotoğraflar")  # noqa: RUF001
_YEAR_FOLDER = re.compile(
    rf"(?:{'|'.join(_BEFORE_YEAR)}) {_YEAR}(?: \u0433[._]?)?|{_YEAR} ?(?:{'|'.join(_AFTER_YEAR)})"
    rf"|{_YEAR}-[0-9]{{2}}-[0-9]{{2}}[-#0-9 ]*"
)
# One of another language, or an album: the year is first or last.
_LIKE_YEAR_FOLDER = re.compile(rf"(?:.*[^0-9])?{_YEAR}|{_YEAR}[^0-9].*", re.DOTALL)
_TRASH = frozenset(
    {
        *("trash", "bin", "papierkorb", "corbeille", "papelera", "cestino", "prullenbak"),
        *("papperskorg", "recently deleted"),
    }
)
# The JSON of an album has a name of one word; those of images have the image's, with a dot or cut.
_ALBUM_CHARACTERS = 40


def find_library(root: Path) -> str | None:
    """Return the name of the library that wrote most of a folder; None for an ordinary one."""
    if b"Takeout" in os.path.realpath(os.fsencode(root)).split(b"/"):
        return GOOGLE
    written = {GOOGLE: 0, APPLE: 0}
    ordinary = 0
    tops: list[bytes] = []
    for folder, names in _folders(os.fsencode(root)):
        if _is_top_of_google(os.path.basename(folder), names):
            tops.append(folder + b"/")
        if (folder + b"/").startswith(tuple(tops)) or _has_google_files(names):
            written[GOOGLE] += 1
        elif _has_apple_files(names):
            written[APPLE] += 1
        else:
            ordinary += any(file_kind(name) == IMAGE for name in names)
    library = max(written, key=lambda each: written[each])
    return library if written[library] and written[library] >= ordinary else None


def is_year(folder: bytes) -> bool:
    """Check whether a folder is that of a year, by its name and, if need be, by its files.

    An album of a library may have such a name, too; it has a JSON file of its own.
    """
    name = _plain(os.path.basename(folder))
    if _YEAR_FOLDER.fullmatch(name):
        return True
    return _LIKE_YEAR_FOLDER.fullmatch(name) is not None and not _is_album(folder)


def is_trash(folder: bytes) -> bool:
    """Check whether a folder has what was deleted in a library, and not an album of that name."""
    return _plain(os.path.basename(folder)) in _TRASH and not _is_album(folder)


def _is_album(folder: bytes) -> bool:
    """Check for the JSON of an album, which each language names in its own way."""
    try:
        with os.scandir(folder) as entries:
            return any(
                name.endswith(b".json") and b"." not in name[:-5] and len(name) < _ALBUM_CHARACTERS
                for name in (entry.name for entry in entries)
            )
    except OSError:
        return False


def _plain(name: bytes) -> str:
    return unicodedata.normalize("NFC", name.decode(errors="replace")).lower()


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


def _is_top_of_google(folder: bytes, names: Sequence[bytes]) -> bool:
    """Check for Takeout's own folder, or the one in it, which names Google in every language."""
    if folder == b"Takeout":
        return any(b"Google" in name.split(b" ") for name in names)
    has_years = any(_YEAR_FOLDER.fullmatch(_plain(name)) for name in names)
    return has_years and b"Google" in folder.split(b" ")


def _has_google_files(names: Sequence[bytes]) -> bool:
    signs = (_GOOGLE_JSON in name and name.endswith(b".json") for name in names)
    return sum(signs) >= _MIN_SIGNS


def _has_apple_files(names: Sequence[bytes]) -> bool:
    """Check for edits, for pairs of original and edited version, or a list of all images."""
    if any(name == b".osxphotos_export.db" or _APPLE_LIST.fullmatch(name) for name in names):
        return True
    stems = {name.rpartition(b".")[0] for name in names}
    edited = map(_APPLE_NUMBER.fullmatch, stems)
    pairs = sum(match[1] + match[2] in stems for match in edited if match)
    edits = sum(name[-4:].lower() == b".aae" for name in names)
    return 2 * pairs + edits >= _MIN_SIGNS
