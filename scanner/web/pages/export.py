"""Export of a selection: as CSV, as a list of files, or as a script that moves or tags them.

Exporting changes no file; only running the script does. Names are bytes and may hold anything but
a NUL, so scripts quote them and never begin an argument with one.
"""

from __future__ import annotations

import codecs
import io
import os
import posixpath
import shlex
import zipfile
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from scanner.language import marked
from scanner.report.formats.csv_lines import csv_line
from scanner.report.formats.json_parts import share
from scanner.report.formats.stream import cell
from scanner.writeback import exiftool
from scanner.writeback.keywords import Wanted, answer_of, keyword_of
from scanner.writeback.new_packet import new_packet
from scanner.writeback.sidecars import (
    Program,
    Skipped,
    make_sidecar,
    plan_change,
    real_root,
)
from storage.errors import ScannerError
from storage.paths import fields, shown
from storage.reads.exports import read_exported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from storage.database.store import Store
    from storage.reads.exports import ExportedImage
    from storage.reads.gallery import Tile

# Images that are read together.
_TOGETHER = 1000
# In the ZIP file of sidecars: what is not in it, and why.
LEFT_OUT = "scanner-left-out.txt"
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
# Writes an XMP sidecar (NAME.xmp) with the keyword of `scanner export` next to each selected image,
# by its reviews, else by its verdict: `sh tag.sh`. Existing sidecars are not overwritten. Photo
# managers read the sidecar and not the image's own metadata, so it has these, too.
failed=0
tag() { # FILE SIDECAR
    if [ -e "$1.xmp" ] || [ -L "$1.xmp" ]; then
        printf 'already exists: %s\\n' "$1.xmp" >&2
        failed=1
        return
    fi
    printf '%s\\n' "$2" >"$1.xmp" || failed=1
}
plain() { # FILE KEYWORD, of an image without metadata
    tag "$1" "$(cat <<END
PACKET
END
)"
}
"""
_END = b"exit $failed\n"


@dataclass(frozen=True, slots=True)
class Selected:
    """An image that is exported: as the gallery shows it, and as `scanner export` sees it."""

    tile: Tile
    image: ExportedImage

    @property
    def wanted(self) -> Wanted:
        """Return the image with the keyword that it is to have."""
        return Wanted(self.image, keyword_of(self.image))


def read_selected(store: Store, scan_id: int, tiles: Iterable[Tile]) -> Iterator[Selected]:
    """Yield images of a scan for an export."""
    every = iter(tiles)
    while part := list(islice(every, _TOGETHER)):
        images = read_exported(store, scan_id, [tile.image_id for tile in part])
        for tile in part:
            if tile.image_id in images:
                yield Selected(tile, images[tile.image_id])


@dataclass(frozen=True, slots=True)
class Format:
    """An export format: file name, media type, description, and the function that writes it.

    `write` takes the images and their collection's root, and yields parts of the file.
    """

    file: str
    media_type: str
    description: str
    write: Callable[[Iterable[Selected], bytes], Iterator[bytes]]


def as_csv(selected: Iterable[Selected], _root: bytes) -> Iterator[bytes]:
    """Yield a row per image; spreadsheets take no cell for a formula, and names for UTF-8."""
    yield codecs.BOM_UTF8 + _row(CSV_COLUMNS)
    for each in selected:
        tile = each.tile
        path = fields(tile.path)
        yield _row(
            (
                cell("path", path["path"]),
                path.get("path_b64", ""),
                tile.outcome.value,
                share(tile.score),
                tile.detector,
                tile.error,
                answer_of(each.image.answers),
            )
        )


def as_lines(selected: Iterable[Selected], root: bytes) -> Iterator[bytes]:
    """Yield a path per line; names with a line break are left out."""
    for each in selected:
        if b"\n" not in each.tile.path:
            yield posixpath.join(root, each.tile.path) + b"\n"


def as_nul(selected: Iterable[Selected], root: bytes) -> Iterator[bytes]:
    """Yield every path, each followed by a NUL, for `xargs -0`."""
    for each in selected:
        yield posixpath.join(root, each.tile.path) + b"\0"


def as_move(selected: Iterable[Selected], root: bytes) -> Iterator[bytes]:
    """Yield a shell script that moves the files, with their folders, to another folder."""
    yield _MOVE
    for each in selected:
        folder, name = posixpath.split(each.tile.path)
        arguments = (posixpath.join(root, each.tile.path), folder or b".", name)
        yield b"move " + b" ".join(map(quoted, arguments)) + b"\n"
    yield _END


def as_tag(selected: Iterable[Selected], root: bytes) -> Iterator[bytes]:
    """Yield a shell script that writes a sidecar for each file that has none.

    What has metadata that cannot be read, and would be hidden, is only named in a comment.
    """
    yield _TAG.replace(b"PACKET", new_packet("$2").strip())
    for each in selected:
        wanted = each.wanted
        if wanted.keyword is None:
            continue
        try:
            packet = make_sidecar(real_root(root), wanted)
        except (Skipped, ScannerError) as error:
            yield f"# left out: {shown(wanted.image.path)}: {error}\n".encode()
            continue
        path = quoted(posixpath.join(root, wanted.image.path))
        if packet == new_packet(wanted.keyword):
            yield b"plain " + path + b" " + quoted(wanted.keyword.encode()) + b"\n"
        else:
            yield b"tag " + path + b" " + quoted(packet.strip()) + b"\n"
    yield _END


def as_exiftool(selected: Iterable[Selected], root: bytes) -> Iterator[bytes]:
    """Yield an argument file of exiftool that gives the files their keywords.

    exiftool takes no names with a line break, and would invalidate signatures; of files that cannot
    be read nobody knows in which lists they have keywords. Such files are left out, which comments
    in the file say.
    """
    for each in selected:
        wanted = each.wanted
        name = wanted.image.path
        if wanted.keyword is None:
            continue
        if wanted.image.is_signed:
            yield f"# left out: {shown(name)}: {exiftool.SIGNED}\n".encode()
        elif exiftool.has_line_break(name):
            yield f"# left out: {shown(name)}: its name has a line break\n".encode()
        else:
            try:
                into = exiftool.lists_for(root, wanted.image)
            except Skipped as error:
                yield f"# left out: {shown(name)}: {error}\n".encode()
                continue
            lines = exiftool.arguments(posixpath.join(root, name), wanted.keyword, into)
            yield b"".join(line + b"\n" for line in lines)


def as_xmp_zip(selected: Iterable[Selected], root: bytes) -> Iterator[bytes]:
    """Yield a ZIP file of the sidecars that `scanner export xmp` would write.

    Sidecars that exist are in it with what others wrote into them. What cannot be in it, as one
    that cannot be read, or an image that has changed, is listed in a file of its own.
    """
    out = _Parts()
    left_out: list[str] = []
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in selected:
            try:
                packet = _packet(each.wanted, root)
            except (Skipped, ScannerError) as error:
                left_out.append(f"{shown(each.tile.path)}: {error}\n")
                continue
            if packet is not None:
                archive.writestr(each.tile.path.decode() + ".xmp", packet)
                yield out.take()
        if left_out:
            archive.writestr(LEFT_OUT, "".join(left_out))
    yield out.take()


def _packet(wanted: Wanted, root: bytes) -> bytes | None:
    """Return what an image's sidecar is to hold; None where nothing is to change."""
    if wanted.keyword is None:
        return None
    try:
        wanted.image.path.decode()
    except UnicodeDecodeError as error:
        raise Skipped("its name is not UTF-8, which no ZIP file holds") from error
    change = plan_change(real_root(root), wanted, Program.DIGIKAM)
    return None if change is None else change.after


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


FORMATS = {
    "csv": Format(
        "selection.csv",
        "text/csv; charset=utf-8",
        marked("table for a spreadsheet (CSV), one row per image"),
        as_csv,
    ),
    "move": Format(
        "move.sh",
        "text/x-shellscript",
        marked("script that moves them to a folder"),
        as_move,
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
        marked("script that writes XMP sidecars next to those that have none"),
        as_tag,
    ),
    "list": Format(
        "selection.txt",
        "text/plain; charset=utf-8",
        marked("list of files, one per line (without names that contain a line break)"),
        as_lines,
    ),
    "exiftool": Format(
        "selection.args",
        "text/plain; charset=utf-8",
        marked("for exiftool, which writes keywords into the files: exiftool -@ FILE"),
        as_exiftool,
    ),
    "nul": Format(
        "selection.nul",
        "application/octet-stream",
        marked("list of files for programs, each followed by a NUL (xargs -0)"),
        as_nul,
    ),
}


def quoted(argument: bytes) -> bytes:
    """Return an argument quoted for a POSIX shell; it may hold any byte but a NUL."""
    return os.fsencode(shlex.quote(os.fsdecode(argument)))


def _row(cells: Iterable[object]) -> bytes:
    return csv_line(cells).encode()
