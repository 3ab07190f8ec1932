"""Find candidate images under a root folder, lazily and in a stable order."""
# ruff: noqa: PTH116, PTH118 -- paths are bytes here, which pathlib does not take

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scanner.listing.copies import Copies
from scanner.listing.edited import is_edited
from scanner.listing.extensions import IMAGE, RAW, file_kind
from scanner.listing.external_sort import sort_names
from scanner.listing.libraries import is_trash, is_year
from scanner.listing.sidecars import WaitingSidecars, common_beginnings, is_sidecar
from scanner.listing.times import clamp_mtime
from storage.errors import ScannerError
from storage.paths import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pathspec import GitIgnoreSpec

    from scanner.listing.copies import Digests
    from storage.records import Sidecar

# Unreadable paths that are kept; all are counted.
MAX_EXAMPLES = 20

# Appended to a name while its folder is sorted. No name contains NUL, the smallest byte, so the
# order is that of the names alone. A sidecar stands before the images that it may belong to, by
# what their names have in common; its own name follows the mark.
_SIDECAR, _FOLDER, _FILE, _LINK = b"\0a", b"\0d", b"\0f", b"\0l"
# The folder of a year, after a byte with which hardly a name begins: a library's albums come first.
_LATE_FOLDER, _LATE = b"\0y", b"\xff"
_MARK_BYTES = 2
_DOT = ord(".")
# What sidecars are for the walk itself: skipped by their extension, or files among all files.
_SIDECARS_SKIPPED: tuple[bytes | str, ...] = ("document", "sidecar")
_SIDECARS_LISTED = (*_SIDECARS_SKIPPED, _FILE)

# The entry was removed after its folder was listed.
_VANISHED = frozenset({errno.ENOENT, errno.ENOTDIR})


class WalkError(ScannerError):
    """The root cannot be walked; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be an image; its path is relative to the root.

    `edited` is true of the edited version of another one.
    """

    path: bytes
    size_bytes: int
    mtime_ns: int
    sidecars: tuple[Sidecar, ...] = ()
    edited: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file or folder that could not be read, and why."""

    path: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class WalkOptions:
    """Which files to list; for the patterns see `scanner.listing.globs`.

    `include` lists only files that match; `exclude` skips files and whole folders, and wins over
    `include`. `all_files` lists regular files of any extension, `raw` those of cameras' RAW files.
    `follow_symlinks` follows links to targets inside the root, since workers refuse paths that
    leave it (`workers.sources.local`), and walks each folder once, so loops end. `library` lists
    a folder that a photo library wrote, see `scanner.listing.libraries`.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hidden: bool = False
    follow_symlinks: bool = False
    all_files: bool = False
    raw: bool = False
    library: bool = False


class Walk:
    """The candidates under a root, depth first, in the byte order of their names; iterable once.

    Memory does not grow with the number of files (`scanner.listing.external_sort`), and only if
    links are followed with the number of folders. Updated during iteration:

    - `skipped`: entries by kind: `hidden`, `excluded` (by a pattern), `symlink` (not followed, or
      broken), `outside` (a link out of the root), `repeated` (a folder walked before), `copy` (of a
      file that is listed), `trash` (what was deleted in a library), `special` (FIFO, socket,
      device), or by extension `raw`, `video`, … (`scanner.listing.extensions`). A skipped folder
      counts once, its content not at all. Sidecars of images do not count.
    - `unreadable`: the first MAX_EXAMPLES entries that could not be read; `unreadable_count`: all.

    Raise WalkError at once for an invalid pattern or a root that cannot be read, and during
    iteration if the root goes away: a mount that vanishes is not an empty folder.
    """

    def __init__(
        self, root: Path, options: WalkOptions | None = None, digests: Digests | None = None
    ) -> None:
        self._options = options or WalkOptions()
        self._root = os.path.realpath(os.fsencode(root))
        self._base = os.path.join(self._root, b"")
        self._identity = _root_identity(self._root, shown(os.fsencode(root)))
        self._seen: set[tuple[int, int]] = set()
        self._copies = Copies(self._base, digests) if self._options.library else None
        # The folders of years below the folders that have such, of a library.
        self._years: dict[bytes, list[bytes]] = {}
        self.skipped: Counter[str] = Counter()
        self.unreadable: list[Unreadable] = []
        self.unreadable_count = 0
        try:
            self._included = _compiled(self._options.include)
            self._excluded = _compiled(self._options.exclude)
        except ValueError as error:
            raise WalkError(f"{error}.") from error

    def __iter__(self) -> Iterator[Candidate]:
        return self.below(b"", deep=True)

    def below(self, folder: bytes, *, deep: bool) -> Iterator[Candidate]:
        """Yield the candidates in one folder, and if `deep` in all folders below it.

        The folder's path is relative to the root and ends with a slash, or is empty. Nothing is
        yielded of a folder that the walk would skip.
        """
        if not self._is_walked(folder):
            return
        # A stack of folders and not recursion: trees can be deeper than Python's call stack.
        pending = [self._open(folder)]
        while pending:
            prefix, entries, sidecars = pending[-1]
            for entry in entries:
                end = entry.index(b"\0")
                name, mark = entry[:end], entry[end : end + _MARK_BYTES]
                if mark == _SIDECAR:
                    sidecars.add(name, entry[end + _MARK_BYTES :])
                    continue
                if mark == _LATE_FOLDER:
                    name = name[len(_LATE) :]
                if mark in (_FOLDER, _LATE_FOLDER):
                    if not deep:
                        continue
                    pending.append(self._open(prefix + name + b"/"))
                    break
                candidate = self._candidate(prefix, name, mark, sidecars)
                if candidate is not None:
                    yield candidate
            else:
                pending.pop()

    def _candidate(
        self, prefix: bytes, name: bytes, mark: bytes, sidecars: WaitingSidecars
    ) -> Candidate | None:
        """Return a file with its size and time; None for anything but a file, and for a copy."""
        start = self._base + prefix
        try:
            status = os.stat(start + name, follow_symlinks=mark == _LINK)
        except OSError as error:
            self._count_unreadable(prefix + name, error)
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        beside = sidecars.of(name)
        if beside and not self._options.all_files:
            self.skipped -= Counter(map(file_kind, sidecars.first_used(name, beside)))
        mtime_ns = clamp_mtime(status.st_mtime_ns)
        edited = False
        if self._copies is not None:
            if self._copies.add(prefix + name, status.st_size, mtime_ns):
                self.skipped["copy"] += 1
                return None
            parent = os.path.dirname(prefix[:-1])  # noqa: PTH120
            edited = is_edited(start, name, self._years.get(parent, ()))
        return Candidate(prefix + name, status.st_size, mtime_ns, beside, edited)

    def _open(self, prefix: bytes) -> tuple[bytes, Iterator[bytes], WaitingSidecars]:
        """Return a folder with its sorted entries and their sidecars."""
        return prefix, sort_names(self._entries(prefix)), WaitingSidecars(self._base + prefix)

    def _entries(self, prefix: bytes) -> Iterator[bytes]:
        """Yield the selected names in one folder, unsorted, each with its mark."""
        may_be_sidecars = _SIDECARS_LISTED if self._options.all_files else _SIDECARS_SKIPPED
        try:
            if self._options.follow_symlinks and self._is_repeated(prefix):
                return
            with os.scandir(self._base + prefix) as entries:
                for entry in entries:
                    mark = self._mark(prefix, entry)
                    if mark == _FOLDER and self._options.library and is_year(entry.path):
                        self._years.setdefault(prefix[:-1], []).append(entry.path)
                        yield _LATE + entry.name + _LATE_FOLDER
                    elif isinstance(mark, bytes):
                        yield entry.name + mark
                    else:
                        self.skipped[mark] += 1
                    if mark in may_be_sidecars and is_sidecar(entry.name):
                        for beginning in common_beginnings(entry.name):
                            yield beginning + _SIDECAR + entry.name
        except OSError as error:
            self._count_unreadable(prefix, error)

    def _is_walked(self, folder: bytes) -> bool:
        """Check that no name on the way to a folder is skipped, as it would be in a walk."""
        prefix = b""
        for name in folder.split(b"/")[:-1]:
            if self._mark(prefix, _Named(self._base + prefix, name)) != _FOLDER:
                return False
            prefix += name + b"/"
        return True

    def _mark(self, prefix: bytes, entry: os.DirEntry[bytes] | _Named) -> bytes | str:
        """Return the mark of an entry, or the kind (str) that it is skipped as."""
        name = entry.name
        if name[0] == _DOT and not self._options.hidden:
            return "hidden"
        mark: bytes | str = _FILE
        if not entry.is_file(follow_symlinks=False):
            mark = self._mark_other(prefix, entry)
            if isinstance(mark, str):
                return mark
        path = prefix + name + b"/" if mark == _FOLDER else prefix + name
        if self._excluded and self._excluded.match_file(os.fsdecode(path)):
            return "excluded"
        if mark == _FOLDER:
            is_deleted = self._options.library and is_trash(self._base + path[:-1])
            return "trash" if is_deleted else mark
        if not self._options.all_files:
            kind = file_kind(name)
            if kind != IMAGE and not (kind == RAW and self._options.raw):
                return kind
        is_left_out = self._included and not self._included.match_file(os.fsdecode(path))
        return "excluded" if is_left_out else mark

    def _mark_other(self, prefix: bytes, entry: os.DirEntry[bytes] | _Named) -> bytes | str:
        if entry.is_dir(follow_symlinks=False):
            return _FOLDER
        if not entry.is_symlink():
            return "special"
        if not self._options.follow_symlinks:
            return "symlink"
        return self._mark_link(self._base + prefix + entry.name)

    def _mark_link(self, link: bytes) -> bytes | str:
        try:
            target = os.path.realpath(link, strict=True)
            mode = os.stat(target).st_mode
        except OSError:
            return "symlink"
        if not (target + b"/").startswith(self._base):
            return "outside"
        if stat.S_ISDIR(mode):
            return _FOLDER
        return _LINK if stat.S_ISREG(mode) else "special"

    def _is_repeated(self, prefix: bytes) -> bool:
        status = os.stat(self._base + prefix)
        identity = status.st_dev, status.st_ino
        if identity in self._seen:
            self.skipped["repeated"] += 1
            return True
        self._seen.add(identity)
        return False

    def _count_unreadable(self, path: bytes, error: OSError) -> None:
        """Count an entry that could not be read; raise WalkError if the root itself is gone."""
        if _root_identity(self._root, shown(self._root)) != self._identity:
            raise WalkError(f"{shown(self._root)} was replaced during the scan.") from error
        if error.errno in _VANISHED:
            return
        self.unreadable_count += 1
        if len(self.unreadable) < MAX_EXAMPLES:
            self.unreadable.append(Unreadable(path.rstrip(b"/"), error.strerror or str(error)))


class _Named:
    """What `os.scandir` says of an entry, of one whose name is known."""

    def __init__(self, folder: bytes, name: bytes) -> None:
        self.name = name
        try:
            self._mode = os.lstat(folder + name).st_mode
        except OSError:
            self._mode = 0

    def is_file(self, *, follow_symlinks: bool) -> bool:  # noqa: ARG002 - as of os.DirEntry
        return stat.S_ISREG(self._mode)

    def is_dir(self, *, follow_symlinks: bool) -> bool:  # noqa: ARG002
        return stat.S_ISDIR(self._mode)

    def is_symlink(self) -> bool:
        return stat.S_ISLNK(self._mode)


def _compiled(patterns: tuple[str, ...]) -> GitIgnoreSpec | None:
    """Return a matcher, None where there are no patterns: it is asked for each entry."""
    if not patterns:
        return None
    from scanner.listing.globs import compile_patterns  # noqa: PLC0415 - 0.05 s

    return compile_patterns(patterns) or None


def _root_identity(root: bytes, name: str) -> tuple[int, int]:
    """Return device and inode of the root; raise WalkError if it is not a readable folder."""
    try:
        os.scandir(root).close()
        status = os.stat(root)
    except FileNotFoundError as error:
        raise WalkError(f"Folder not found: {name}.") from error
    except NotADirectoryError as error:
        raise WalkError(f"{name} is not a folder; use `scanner check` for single files.") from error
    except OSError as error:
        raise WalkError(f"{name} cannot be read: {error.strerror}.") from error
    return status.st_dev, status.st_ino
