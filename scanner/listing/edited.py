"""Which files are edited versions of others, by their names.

Google and Apple put an edited version next to its original, under a name made from the original's.
"""
# ruff: noqa: PTH118 -- paths are bytes here, which pathlib does not take

from __future__ import annotations

import os
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_APPLE_NUMBER = re.compile(rb"(IMG_)E([0-9]{4,5})")
# What follows the name of an original, a hyphen before it, in the languages that are known.
_GOOGLE_WORDS = frozenset(
    {
        *("edited", "effects", "smile", "mix", "bearbeitet", "bewerkt", "edytowane", "modificato"),
        *("modifié", "editado", "ha editado", "editat", "編集済み", "编辑", "已編輯", "redigerad"),
        *("redigeret", "redigert", "muokattu", "upraveno", "düzenlendi", "измененный"),
        *("отредактировано", "편집됨", "수정됨"),
    }
)
# Google cuts names to 47 characters before the extension, the word included.
_CUT_CHARACTERS = 46
# osxphotos adds it.
_APPLE_WORD = b"_edited"
_ORIGINALS = (b"heic", b"heif", b"jpg", b"jpeg", b"png", b"webp", b"gif", b"tif", b"tiff", b"dng")


def is_edited(folder: bytes, name: bytes, years: Iterable[bytes] = ()) -> bool:
    """Check whether a file is an edited version of another one in its folder.

    An album may have an edited version alone: both are then in one of the folders of `years`.
    """
    stem, _, extension = name.rpartition(b".")
    stems = list(original_stems(stem))
    if any(_is_there(folder, original, extension) for original in stems):
        return True
    return bool(stems) and any(
        os.path.lexists(os.path.join(year, name))
        and any(_is_there(year, original, extension) for original in stems)
        for year in years
    )


def original_stems(stem: bytes) -> Iterator[bytes]:
    """Yield the names without extension that the original of an edited version may have."""
    if match := _APPLE_NUMBER.fullmatch(stem):
        yield match[1] + match[2]
    if stem.endswith(_APPLE_WORD):
        yield stem.removesuffix(_APPLE_WORD)
    if (original := google_original(stem)) is not None:
        yield original


def google_original(stem: bytes) -> bytes | None:
    """Return the name without extension of the original, if Google's edited version has this one.

    A number is at the end: IMG-edited(1).jpg of IMG(1).jpg.
    """
    numbered = re.fullmatch(rb"(.+?)(\([0-9]{1,6}\))?", stem, re.DOTALL)
    original, hyphen, end = numbered[1].rpartition(b"-") if numbered else (b"", b"", b"")
    if not (numbered and original and hyphen):
        return None
    word = unicodedata.normalize("NFC", end.decode(errors="replace")).lower()
    # Of a name of the longest length, nothing but the hyphen may be left.
    is_cut = len(numbered[1].decode(errors="replace")) >= _CUT_CHARACTERS
    if word in _GOOGLE_WORDS or (is_cut and any(w.startswith(word) for w in _GOOGLE_WORDS)):
        return original + (numbered[2] or b"")
    return None


def _is_there(folder: bytes, stem: bytes, extension: bytes) -> bool:
    names = (stem + b"." + each for each in (extension, *_ORIGINALS))
    return any(
        os.path.isfile(os.path.join(folder, each))  # noqa: PTH113
        for name in names
        for each in (name, stem + name[len(stem) :].upper())
    )
