"""Export of a selection: as CSV, as a list of files, or as a script that moves or tags them.

Exporting changes no file; only running the script does. Names are bytes and may hold anything but
a NUL, so scripts quote them and never begin an argument with one.
"""

from __future__ import annotations

import io
import os
import posixpath
import shlex
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scanner.language import marked
from scanner.report.formats.csv_lines import csv_line
from scanner.report.formats.json_parts import share
from scanner.report.formats.stream import cell
from scanner.writeback import exiftool
from scanner.writeback.keywords import KEYWORDS, Source
from scanner.writeback.xmp_packet import new_packet
from storage.paths import fields
from storage.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from storage.reads.gallery import Tile

CSV_COLUMNS = ("path", "path_b64", "verdict", "score", "detector", "error", "review")

_MOVE = b"""#!/bin/sh
# Moves the selected images to a folder: `sh move.sh FOLDER`. Existing files are not overwritten.
target=${1:?"usage: sh $0 FOLDER"}
mkdir -p -- "$target" && target=$(CDPATH= cd -- "$target" && pwd) || exit 1
failed=0
move() { # FILE FOLDER NAME
    if [ -e "$target/$2/$3" ] || [ -L "$target/$2/$3" ]; then
        printf 'already exists: %s\\n' "$target/$2/$3" >&2
        failed=1
    elif ! { mkdir -p -- "$target/$2" && mv -- "$1" "$target/$2/$3"; }; then
        failed=1
    fi
}
"""
_TAG = b"""#!/bin/sh
# Writes an XMP sidecar (NAME.xmp) with the verdict as a keyword next to each selected image:
# `sh tag.sh`. Existing sidecars are not overwritten.
failed=0
tag() { # FILE KEYWORD
    if [ -e "$1.xmp" ] || [ -L "$1.xmp" ]; then
        printf 'already exists: %s\\n' "$1.xmp" >&2
        failed=1
        return
    fi
    cat >"$1.xmp" <<END || failed=1
<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
   <dc:subject><rdf:Bag><rdf:li>$2</rdf:li></rdf:Bag></dc:subject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
END
}
"""
_END = b"exit $failed\n"


@dataclass(frozen=True, slots=True)
class Format:
    """An export format: file name, media type, description, and the function that writes it.

    `write` takes the images and their collection's root, and yields parts of the file.
    """

    file: str
    media_type: str
    description: str
    write: Callable[[Iterable[Tile], bytes], Iterator[bytes]]


def as_csv(tiles: Iterable[Tile], _root: bytes) -> Iterator[bytes]:
    """Yield a row per image; spreadsheets take no cell for a formula."""
    yield _row(CSV_COLUMNS)
    for tile in tiles:
        path = fields(tile.path)
        yield _row(
            (
                cell("path", path["path"]),
                path.get("path_b64", ""),
                tile.outcome.value,
                share(tile.score),
                tile.detector,
                tile.error,
                tile.answer,
            )
        )


def as_lines(tiles: Iterable[Tile], root: bytes) -> Iterator[bytes]:
    """Yield a path per line; names with a line break are left out."""
    for tile in tiles:
        if b"\n" not in tile.path:
            yield posixpath.join(root, tile.path) + b"\n"


def as_nul(tiles: Iterable[Tile], root: bytes) -> Iterator[bytes]:
    """Yield every path, each followed by a NUL, for `xargs -0`."""
    for tile in tiles:
        yield posixpath.join(root, tile.path) + b"\0"


def as_move(tiles: Iterable[Tile], root: bytes) -> Iterator[bytes]:
    """Yield a shell script that moves the files, with their folders, to another folder."""
    yield _MOVE
    for tile in tiles:
        folder, name = posixpath.split(tile.path)
        arguments = (posixpath.join(root, tile.path), folder or b".", name)
        yield b"move " + b" ".join(map(quoted, arguments)) + b"\n"
    yield _END


def as_tag(tiles: Iterable[Tile], root: bytes) -> Iterator[bytes]:
    """Yield a shell script that writes a sidecar for each file, with verdict or review."""
    yield _TAG
    for tile in tiles:
        keyword = f"scanner:{tile.outcome}" if tile.answer is None else f"reviewed:{tile.answer}"
        path = quoted(posixpath.join(root, tile.path))
        yield b"tag " + path + b" " + quoted(keyword.encode()) + b"\n"
    yield _END


def as_exiftool(tiles: Iterable[Tile], root: bytes) -> Iterator[bytes]:
    """Yield an argument file of exiftool that gives the files their keywords.

    exiftool takes no names with a line break: they are left out.
    """
    for tile in tiles:
        if tile.answer is None and tile.outcome is Outcome.ERROR:
            continue
        if b"\n" not in tile.path and b"\r" not in tile.path:
            path = posixpath.join(root, tile.path)
            yield b"".join(line + b"\n" for line in exiftool.arguments(path, _keyword(tile)))


def as_xmp_zip(tiles: Iterable[Tile], _root: bytes) -> Iterator[bytes]:
    """Yield a ZIP file of XMP sidecars, in the folders of their images.

    Names that are not UTF-8 are left out, since no ZIP file holds them.
    """
    out = _Parts()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for tile in tiles:
            if tile.answer is None and tile.outcome is Outcome.ERROR:
                continue
            with suppress(UnicodeDecodeError):
                archive.writestr(tile.path.decode() + ".xmp", new_packet(_keyword(tile)))
            yield out.take()
    yield out.take()


class _Parts(io.RawIOBase):
    """A file that cannot seek, whose content is taken in parts."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """Return that it is written to."""
        return True

    def write(self, part: Any) -> int:  # noqa: ANN401 - any buffer
        """Keep a part until it is taken."""
        self._parts.append(bytes(part))
        return len(part)

    def take(self) -> bytes:
        """Return what was written since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _keyword(tile: Tile) -> str:
    """Return the keyword of `scanner export`: by the review, else by the verdict."""
    if tile.answer is not None:
        return KEYWORDS[Source.REVIEWS][tile.answer.value]
    return KEYWORDS[Source.VERDICTS][tile.outcome.value]


FORMATS = {
    "csv": Format(
        "selection.csv", "text/csv; charset=utf-8", marked("CSV, one row per image"), as_csv
    ),
    "list": Format(
        "selection.txt",
        "text/plain; charset=utf-8",
        marked("list of files, one per line (without names that contain a line break)"),
        as_lines,
    ),
    "nul": Format(
        "selection.nul",
        "application/octet-stream",
        marked("list of files, each followed by a NUL, for xargs -0"),
        as_nul,
    ),
    "move": Format(
        "move.sh",
        "text/x-shellscript",
        marked("script that moves them to a folder"),
        as_move,
    ),
    "exiftool": Format(
        "selection.args",
        "text/plain; charset=utf-8",
        marked("arguments for exiftool, which write keywords into the files: exiftool -@ FILE"),
        as_exiftool,
    ),
    "xmp": Format(
        "sidecars.zip",
        "application/zip",
        marked("XMP sidecars with keywords, as a ZIP file to unpack over the folder"),
        as_xmp_zip,
    ),
    "tag": Format(
        "tag.sh",
        "text/x-shellscript",
        marked("script that writes XMP sidecars next to them"),
        as_tag,
    ),
}


def quoted(argument: bytes) -> bytes:
    """Return an argument quoted for a POSIX shell; it may hold any byte but a NUL."""
    return os.fsencode(shlex.quote(os.fsdecode(argument)))


def _row(cells: Iterable[object]) -> bytes:
    return csv_line(cells).encode()
