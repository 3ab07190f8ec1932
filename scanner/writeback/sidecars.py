"""XMP sidecars with a keyword of scanner's: which, where, and what would change.

A sidecar is written only next to an image that is as it was scanned, below the scan's folder, and
never through a link. It is replaced in one step and keeps its mode; all that others wrote into it
stays. A new one has the image's own metadata, which it would hide from the programs otherwise; as
long as nobody else changes it, it is made again or deleted.
"""
# ruff: noqa: PTH118 -- paths are bytes here, which pathlib does not take

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from scanner.listing.times import clamp_mtime
from scanner.processes.atomic_write import atomic_write
from scanner.writeback.keywords import ALL_KEYWORDS, PARENT
from scanner.writeback.listed_sidecars import ListedSidecars
from scanner.writeback.new_packet import is_as_made, new_packet
from scanner.writeback.own_metadata import read_own
from scanner.writeback.sidecar_change import Change
from scanner.writeback.xmp_packet import (
    PacketRefused,
    stated_extension,
    with_keyword,
)
from storage.errors import ScannerError
from storage.paths import shown
from storage.records import MAX_SIDECAR_BYTES
from workers.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scanner.writeback.keywords import Wanted
    from scanner.writeback.own_metadata import OwnMetadata
    from scanner.writeback.tally import Tally
    from storage.database.store import Store
    from storage.reads.exports import ExportedImage

# Of these files Lightroom Classic reads a sidecar; of others it reads the file itself.
RAW_EXTENSIONS = frozenset(
    b"3fr ari arw bay cr2 cr3 crw dcr erf fff iiq k25 kdc mef mos mrw nef nrw orf pef raf raw rw2 "
    b"rwl sr2 srf srw x3f".split()
)
# What would stop all other files, too.
_HOPELESS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


class Program(StrEnum):
    """Whose sidecars are written: NAME.JPG.xmp, or Lightroom's NAME.xmp."""

    DIGIKAM = "digikam"
    DARKTABLE = "darktable"
    LIGHTROOM = "lightroom"


@dataclass(frozen=True, slots=True)
class SidecarExport:
    """The scan, its folder without links, and whose sidecars are written."""

    store: Store
    scan_id: int
    root: bytes
    program: Program


class Skipped(Exception):
    """A sidecar is left as it is; the message says why."""


def plan_change(root: bytes, wanted: Wanted, program: Program) -> Change | None:
    """Return what has to become of an image's sidecar; None for nothing. Raise Skipped.

    `root` is the folder of the collection, without links.
    """
    image = wanted.image
    folder, name = os.path.split(image.path)
    here = resolve_below(root, folder)
    extension = name.rpartition(b".")[2]
    stated = None
    if program is Program.LIGHTROOM:
        if extension.lower() not in RAW_EXTENSIONS:
            if wanted.keyword is None:
                return None
            raise Skipped("Lightroom reads sidecars of RAW files only: use --into-files")
        name, stated = name.rpartition(b".")[0], extension.decode("ascii", "replace")
    path = os.path.join(here, name + b".xmp")
    before, status = _read(path)
    if wanted.keyword is None and not _may_have_keyword(before):
        return None
    try:
        after = _after(root, wanted, before, stated)
    except PacketRefused as error:
        raise Skipped(f"the sidecar {error}") from error
    if after == before:
        return None
    if wanted.keyword is not None or status is None:
        image_status = require_unchanged(root, image)
        status = status or image_status
    return Change(path, before, after, status)


def make_sidecar(root: bytes, wanted: Wanted, extension: str | None = None) -> bytes:
    """Return a new sidecar with an image's own metadata and its keyword; raise Skipped.

    It states the `extension`, if given, of the one file that it is for.
    """
    try:
        return new_packet(wanted.keyword or "", extension, read_metadata(root, wanted.image))
    except PacketRefused as error:
        raise Skipped(f"its own XMP {error}, and a sidecar would hide it") from error


def read_metadata(root: bytes, image: ExportedImage) -> OwnMetadata:
    """Return the metadata in an image's file; raise Skipped."""
    folder, name = os.path.split(image.path)
    path = os.path.join(resolve_below(root, folder), name)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Skipped("it is not a regular file")
            if status.st_size > Limits().max_bytes:
                raise Skipped("the image is too large to read")
            return read_own(file.read())
    except OSError as error:
        raise Skipped(f"the image cannot be read: {error.strerror}") from error


def write_change(change: Change) -> None:
    """Write or delete a sidecar; raise Skipped, or ScannerError for what would stop others, too."""
    try:
        if _read(change.path)[0] != change.before:
            raise Skipped("the sidecar has just been changed by another program")
        if change.after is None:
            os.unlink(change.path)  # noqa: PTH108 - bytes
            return
        file = Path(os.fsdecode(change.path))
        mode = stat.S_IMODE(change.status.st_mode)
        try:
            # A new sidecar can be read by those who can read the image; it is not executable.
            own = mode if change.before is not None else mode & 0o666 | stat.S_IWUSR
            _replace(file, change.after, own)
        except PermissionError as error:
            if error.errno != errno.EPERM:
                raise
            # FAT and exFAT know one mode for all files: that of the image.
            _replace(file, change.after, mode)
        if os.geteuid() == 0:
            with suppress(OSError):
                os.chown(file, change.status.st_uid, change.status.st_gid)
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _HOPELESS:
            raise ScannerError(f"{shown(change.path)} cannot be written: {reason}") from error
        raise Skipped(f"the sidecar cannot be written: {reason}") from error


def write_sidecars(
    export: SidecarExport, wanted: Iterable[Wanted], tally: Tally, *, write: bool
) -> None:
    """Give each image the sidecar that it is to have; without `write` only count.

    Raise ScannerError for what would stop all others, too.
    """
    listed = ListedSidecars(export.store, export.scan_id, export.root)
    try:
        for each in wanted:
            try:
                change = plan_change(export.root, each, export.program)
                if change is None:
                    tally.unchanged += each.keyword is not None
                    continue
                if write:
                    write_change(change)
                    listed.add(each.image, change)
                tally.add(change.action, os.path.relpath(change.path, export.root))
            except Skipped as error:
                tally.skip(each.image.path, str(error))
    finally:
        listed.flush()


def _replace(file: Path, content: bytes, mode: int) -> None:
    with atomic_write(file, mode) as output:
        output.write(content)


def real_root(root: bytes) -> bytes:
    """Return a collection's folder without links; raise ScannerError where it is not there."""
    real = os.path.realpath(root)
    if not Path(os.fsdecode(real)).is_dir():
        raise ScannerError(
            f"folder not found: {shown(root)}; mount it, or name where it is with --root NAME=PATH"
        )
    return real


def resolve_below(root: bytes, folder: bytes) -> bytes:
    """Return a folder of the collection without links; raise Skipped if it leads elsewhere."""
    real = os.path.realpath(os.path.join(root, folder))
    if not (real + b"/").startswith(root.rstrip(b"/") + b"/"):
        raise Skipped("its folder leads out of the scanned folder")
    return real


def require_unchanged(root: bytes, image: ExportedImage) -> os.stat_result:
    """Return the status of an image that is as it was scanned; raise Skipped."""
    try:
        status = os.stat(os.path.join(root, image.path))  # noqa: PTH116 - bytes
    except OSError as error:
        raise Skipped(f"the image cannot be read: {error.strerror}") from error
    if (status.st_size, clamp_mtime(status.st_mtime_ns)) != (image.size_bytes, image.mtime_ns):
        raise Skipped("the image has changed since the scan")
    return status


def _read(path: bytes) -> tuple[bytes | None, os.stat_result | None]:
    """Return a sidecar and its status; None for both where there is none. Raise Skipped."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None, None
    except OSError as error:
        is_link = error.errno == errno.ELOOP
        reason = "is a link" if is_link else f"cannot be read: {error.strerror}"
        raise Skipped(f"the sidecar {reason}") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise Skipped("the sidecar is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        return file.read(MAX_SIDECAR_BYTES + 1), status


def _may_have_keyword(packet: bytes | None) -> bool:
    words = (PARENT, *ALL_KEYWORDS)
    return packet is not None and any(word.encode() in packet for word in words)


def _after(
    root: bytes, wanted: Wanted, before: bytes | None, extension: str | None
) -> bytes | None:
    """Return what a sidecar becomes; `extension` is that which Lightroom's state."""
    if before is not None and extension is not None:
        stated = stated_extension(before)
        if stated is not None and stated.lower() != extension.lower():
            if wanted.keyword is None:
                return before
            raise PacketRefused(f"is for the {shown(stated.encode())} file of that name")
    if before is not None and not is_as_made(before):
        return with_keyword(before, wanted.keyword)
    return None if wanted.keyword is None else make_sidecar(root, wanted, extension)
