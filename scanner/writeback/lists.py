"""Chosen images as a list of files, and as an argument file of exiftool."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scanner.writeback import exiftool
from scanner.writeback.sidecars import Skipped
from storage.paths import shown

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

    from scanner.writeback.keywords import Wanted


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many images are not in an argument file of exiftool.

    It takes no names that contain a line break, and would invalidate the signatures of C2PA. Of
    images that cannot be read here nobody knows which list their keyword belongs in.
    """

    names: int = 0
    signed: int = 0
    unread: int = 0

    def __add__(self, other: LeftOut) -> LeftOut:
        """Return the sums."""
        return LeftOut(
            self.names + other.names, self.signed + other.signed, self.unread + other.unread
        )


def write_list(wanted: Iterable[Wanted], root: bytes, out: BinaryIO, *, nul: bool) -> int:
    """Write the path of each image, on a line or followed by a NUL.

    Return how many were left out: with lines, names that contain a line break.
    """
    left_out = 0
    for each in wanted:
        path = posixpath.join(root, each.image.path)
        if nul:
            out.write(path + b"\0")
        elif b"\n" in path:
            left_out += 1
        else:
            # A name must not be able to clear a terminal.
            out.write((shown(path).encode() if out.isatty() else path) + b"\n")
    return left_out


def write_arguments(wanted: Iterable[Wanted], root: bytes, out: BinaryIO) -> LeftOut:
    """Write what `exiftool -@ FILE` needs to give each image its keyword; return what it lacks."""
    names = signed = unread = 0
    for each in wanted:
        path = posixpath.join(root, each.image.path)
        if exiftool.has_line_break(path):
            names += 1
        elif each.keyword is not None and each.image.is_signed:
            signed += 1
        else:
            try:
                into = exiftool.lists_for(root, each.image) if each.keyword is not None else ()
            except Skipped:
                unread += 1
                continue
            out.writelines(line + b"\n" for line in exiftool.arguments(path, each.keyword, into))
    return LeftOut(names, signed, unread)
