"""Keywords written into image files by exiftool, which has to be installed."""
# ruff: noqa: PTH118 -- paths are bytes here, which pathlib does not take

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from scanner.writeback.keywords import ALL_KEYWORDS, PARENT
from scanner.writeback.new_packet import own_document
from scanner.writeback.sidecars import (
    Skipped,
    read_metadata,
    real_root,
    require_unchanged,
    resolve_below,
)
from scanner.writeback.xmp_packet import (
    PROPERTIES,
    USUAL,
    PacketRefused,
    Property,
    has_others,
    is_ours,
    properties_for,
    rdf_of,
)
from storage.errors import ScannerError
from workers.provenance import has_manifest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from scanner.writeback.keywords import Wanted
    from scanner.writeback.tally import Tally
    from storage.reads.exports import ExportedImage

# Files of one call of exiftool, which takes 0.2 s to start and may then take a second for each.
_TOGETHER = 100
_SECONDS = 600
# Why a file is not written to. A manifest is evidence, of a camera as of a generator.
LINE_BREAK = "exiftool takes no name with a line break"
SIGNED = "it is signed with C2PA, and whatever is written into it makes the signature invalid"
# IPTC's keywords, which programs read where XMP has none: they are in question as lists of others.
_IPTC = Property("", "iptc:keywords", "", "")
_LISTS = (*{each.name: each for each in PROPERTIES}.values(), _IPTC)
_GROUPS = {
    "dc": "XMP-dc",
    "lr": "XMP-lr",
    "digiKam": "XMP-digiKam",
    "MicrosoftPhoto": "XMP-microsoft",
    "iptc": "IPTC",
}


@dataclass(frozen=True, slots=True)
class _File:
    wanted: Wanted
    path: bytes


def require_exiftool() -> str:
    """Return the path of exiftool; raise ScannerError where it is not installed."""
    found = shutil.which("exiftool")
    if found is None:
        raise ScannerError(
            "exiftool not found: install it (Debian: libimage-exiftool-perl), or write sidecars "
            "without --into-files"
        )
    return found


def has_line_break(path: bytes) -> bool:
    """Check whether a name cannot stand in an argument file."""
    return b"\n" in path or b"\r" in path


def arguments(path: bytes, keyword: str | None, into: Collection[Property] = USUAL) -> list[bytes]:
    """Return the lines of an argument file that give one file its keyword and no other of them."""
    lines = []
    names = {each.name for each in into}
    for each in _LISTS:
        ours = [PARENT, *map(each.value, sorted(ALL_KEYWORDS))]
        lines += [f"-{_tag(each)}-={value}" for value in ours]
        if keyword is not None and each.name in names:
            lines.append(f"-{_tag(each)}+={each.value(keyword)}")
    return [*(line.encode() for line in lines), path, b"-execute"]


def lists_for(root: bytes, image: ExportedImage) -> Collection[Property]:
    """Return the lists for the keyword in an image's file; raise Skipped, also without its folder.

    `root` is the folder of the collection.
    """
    try:
        own = read_metadata(real_root(root), image)
        rdf = rdf_of(own_document(own))
    except PacketRefused as error:
        raise Skipped(f"its own XMP {error}") from error
    except ScannerError as error:
        raise Skipped(str(error)) from error
    has_iptc = any(not is_ours(word, _IPTC) for word in own.iptc_keywords)
    return properties_for(
        lambda each: has_iptc if each is _IPTC else has_others(rdf, each), (*PROPERTIES, _IPTC)
    )


def write_into_files(wanted: Iterable[Wanted], root: bytes, tally: Tally, *, write: bool) -> None:
    """Give each file its keyword; exiftool keeps what it was as NAME_original.

    Files with a C2PA manifest are skipped. Raise ScannerError without exiftool, or where it does
    not work.
    """
    program = require_exiftool()
    images = iter(wanted)
    while group := list(islice(images, _TOGETHER)):
        files = [file for each in group if (file := _file(root, each, tally)) is not None]
        current = _read(program, files)
        differing = []
        for file in files:
            if _has(current.get(file.path), file.wanted.keyword):
                tally.unchanged += file.wanted.keyword is not None
            elif _may_be_written(file, root, current, tally):
                differing.append(file)
        if write and differing:
            lines = [
                line
                for file in differing
                for line in arguments(file.path, file.wanted.keyword, _into(current[file.path]))
            ]
            complaint = _run(program, lines)[1]
            current = _read(program, differing)
        for file in differing:
            if not write or _has(current.get(file.path), file.wanted.keyword):
                word = "removed" if file.wanted.keyword is None else "tagged"
                tally.add(word, file.wanted.image.path)
            else:
                tally.skip(file.wanted.image.path, _reason(complaint, file.path))


def _file(root: bytes, wanted: Wanted, tally: Tally) -> _File | None:
    """Return a regular file below the root whose name exiftool takes."""
    path = wanted.image.path
    try:
        path.decode()
        if has_line_break(path):
            raise Skipped(LINE_BREAK)  # noqa: TRY301
        folder, name = os.path.split(path)
        found = os.path.join(resolve_below(root, folder), name)
        if not stat.S_ISREG(os.lstat(found).st_mode):
            raise Skipped("it is not a regular file")  # noqa: TRY301
    except UnicodeDecodeError:
        reason = "its name is not UTF-8"
    except OSError as error:
        reason = f"the image cannot be read: {error.strerror}"
    except Skipped as error:
        reason = str(error)
    else:
        return _File(wanted, found)
    if wanted.keyword is not None:
        tally.skip(path, reason)
    return None


def _may_be_written(file: _File, root: bytes, current: dict[bytes, Any], tally: Tally) -> bool:
    if file.path not in current:
        tally.skip(file.wanted.image.path, "exiftool cannot read it")
        return False
    try:
        if file.wanted.keyword is not None:
            require_unchanged(root, file.wanted.image)
            _require_unsigned(file.path)
    except Skipped as error:
        tally.skip(file.wanted.image.path, str(error))
        return False
    return True


def _require_unsigned(path: bytes) -> None:
    """Raise Skipped for a file that a C2PA manifest signs."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - bytes
            is_signed = has_manifest(file.read())
    except OSError as error:
        raise Skipped(f"the image cannot be read: {error.strerror}") from error
    if is_signed:
        raise Skipped(f"{SIGNED}: write a sidecar")


def _read(program: str, files: Sequence[_File]) -> dict[bytes, Any]:
    """Return the keywords of files by path; files that exiftool cannot read are not there."""
    if not files:
        return {}
    lines = [b"-json", *(f"-{_tag(each)}".encode() for each in _LISTS)]
    output, complaint = _run(program, [*lines, *(file.path for file in files)])
    try:
        read = json.loads(output) if output.strip() else []
        return {os.fsencode(one["SourceFile"]): one for one in read if "Error" not in one}
    except (ValueError, KeyError, TypeError) as error:
        raise ScannerError(f"exiftool does not work: {complaint.strip()[:200]}") from error


def _run(program: str, lines: Sequence[bytes]) -> tuple[str, str]:
    """Run exiftool with an argument file; return what it printed on stdout and stderr."""
    try:
        done = subprocess.run(  # noqa: S603 - a list, no shell
            [program, "-config", "", "-m", "-charset", "filename=utf8", "-@", "-"],
            input=b"\n".join(lines) + b"\n",
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ScannerError(f"exiftool has not ended within {_SECONDS} seconds") from error
    return done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def _has(read: Any, keyword: str | None) -> bool:  # noqa: ANN401 - JSON
    if read is None:
        return False
    into = _into(read)
    for each in _LISTS:
        values = _values(read, each)
        ours = values & {each.value(one) for one in ALL_KEYWORDS}
        if ours != ({each.value(keyword)} if keyword and each in into else set()):
            return False
        if keyword is None and PARENT in values:
            return False
    return True


def _into(read: Any) -> Collection[Property]:  # noqa: ANN401 - JSON
    """Return the properties for the keyword in a file, by what exiftool read of it."""
    return properties_for(
        lambda each: not all(is_ours(value, each) for value in _values(read, each)), _LISTS
    )


def _values(read: Any, of: Property) -> set[str]:  # noqa: ANN401 - JSON
    value = read.get(of.local[0].upper() + of.local[1:], [])
    return {str(one) for one in (value if isinstance(value, list) else [value])} - {""}


def _reason(complaint: str, path: bytes) -> str:
    name = os.fsdecode(path)
    lines = [line for line in complaint.splitlines() if line.endswith(name)]
    return lines[0].removesuffix(f" - {name}") if lines else "exiftool could not write it"


def _tag(of: Property) -> str:
    prefix, _, local = of.name.partition(":")
    return f"{_GROUPS[prefix]}:{local[0].upper()}{local[1:]}"
