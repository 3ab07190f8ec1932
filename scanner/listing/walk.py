"""Candidate images under a root, lazily and in a stable order."""
# ruff: noqa: PTH116, PTH118 -- paths are bytes here, which pathlib does not take

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scanner.listing.extensions import IMAGE, kind_of
from scanner.listing.external_sort import in_order
from scanner.listing.globs import compile_patterns
from storage.paths import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# How many of the unreadable places are kept by name; all are counted.
MAX_EXAMPLES = 20

# What stands behind a name while its folder is sorted. NUL, which no name holds, is smaller than
# any other byte, so names sort with it as they would without.
_FOLDER, _FILE, _LINK = b"\0d", b"\0f", b"\0l"
_MARK_BYTES = 2
_DOT = ord(".")

# A time that a file claims may lie beyond what the store holds: 64 bits of nanoseconds end in 2262.
_LAST_NS = 2**63 - 1

# Not there any more: it vanished between the listing and the look at it.
_VANISHED = frozenset({errno.ENOENT, errno.ENOTDIR})


class WalkError(Exception):
    """The root cannot be walked; the message is one sentence for people."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be an image; the path is relative to the root, the time fits 64 bits."""

    path: bytes
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A folder, or a file in a folder, that could not be looked at, and why."""

    path: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class WalkOptions:
    """What to take; the patterns are those of `scanner.listing.globs`.

    `include` takes only files that meet a pattern, `exclude` leaves out files and whole folders
    and wins over `include`. `all_files` takes regular files of any suffix. With
    `follow_symlinks` a link counts as what it leads to, if that lies inside the root: workers
    refuse paths that leave it (`workers.sources.local`). Each folder is then walked once, under its
    first name in the walk's order, so loops end.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hidden: bool = False
    follow_symlinks: bool = False
    all_files: bool = False


def in_range(mtime_ns: int) -> int:
    """A time of change as stores can hold it: some file systems have years far away."""
    return max(-_LAST_NS, min(mtime_ns, _LAST_NS))


class Walk:
    """The candidates under a root, depth first, sorted by the bytes of their names; iterable once.

    Memory does not grow with the number of files (`scanner.listing.external_sort`), only,
    where links are followed, with that of folders. What was passed over is counted while iterating:

    - `skipped`: by kind: `hidden`, `excluded` (by a pattern), `symlink` (not followed, or broken),
      `outside` (a link out of the root), `repeated` (a folder met before), `special` (FIFO,
      socket, device), and what is no image by its suffix: `raw`, `video`, …
      (`scanner.listing.extensions`). A folder that is passed over counts once, its
      content not at all.
    - `unreadable`: the first places that could not be looked at; `unreadable_count`: all of them.

    Raises `WalkError` at once where the root is no folder that can be read or a pattern is wrong,
    and in mid-walk where the root goes away (a vanished mount is no empty folder).
    """

    def __init__(self, root: Path, options: WalkOptions | None = None) -> None:
        self._options = options or WalkOptions()
        self._root = os.path.realpath(os.fsencode(root))
        self._base = os.path.join(self._root, b"")
        self._identity = _root_identity(self._root, shown(os.fsencode(root)))
        self._seen: set[tuple[int, int]] = set()
        self.skipped: Counter[str] = Counter()
        self.unreadable: list[Unreadable] = []
        self.unreadable_count = 0
        try:
            self._included = compile_patterns(self._options.include)
            self._excluded = compile_patterns(self._options.exclude)
        except ValueError as error:
            raise WalkError(f"{error}.") from error

    def __iter__(self) -> Iterator[Candidate]:
        # A stack of folders and not recursion: trees can be deeper than Python's call stack.
        pending = [(b"", self._folder(b""))]
        while pending:
            prefix, records = pending[-1]
            start = self._base + prefix
            for record in records:
                name, mark = record[:-_MARK_BYTES], record[-_MARK_BYTES:]
                if mark == _FOLDER:
                    inner = prefix + name + b"/"
                    pending.append((inner, self._folder(inner)))
                    break
                try:
                    found = os.stat(start + name, follow_symlinks=mark == _LINK)
                except OSError as error:
                    self._not_read(prefix + name, error)
                    continue
                if stat.S_ISREG(found.st_mode):
                    yield Candidate(prefix + name, found.st_size, in_range(found.st_mtime_ns))
            else:
                pending.pop()

    def _folder(self, prefix: bytes) -> Iterator[bytes]:
        return in_order(self._records(prefix))

    def _records(self, prefix: bytes) -> Iterator[bytes]:
        """The names in one folder that are wanted, as they come, each with its mark."""
        try:
            if self._options.follow_symlinks and self._repeated(prefix):
                return
            with os.scandir(self._base + prefix) as entries:
                for entry in entries:
                    mark = self._mark(prefix, entry)
                    if isinstance(mark, bytes):
                        yield entry.name + mark
                    else:
                        self.skipped[mark] += 1
        except OSError as error:
            self._not_read(prefix, error)

    def _mark(self, prefix: bytes, entry: os.DirEntry[bytes]) -> bytes | str:
        """The mark of an entry that is wanted, or the kind that another is skipped as."""
        name = entry.name
        if name[0] == _DOT and not self._options.hidden:
            return "hidden"
        mark: bytes | str = _FILE
        if not entry.is_file(follow_symlinks=False):
            mark = self._mark_of_no_file(prefix, entry)
            if isinstance(mark, str):
                return mark
        path = os.fsdecode(prefix + name) + ("/" if mark == _FOLDER else "")
        if self._excluded and self._excluded.match_file(path):
            return "excluded"
        if mark == _FOLDER:
            return mark
        if not self._options.all_files:
            kind = kind_of(name)
            if kind != IMAGE:
                return kind
        return "excluded" if self._included and not self._included.match_file(path) else mark

    def _mark_of_no_file(self, prefix: bytes, entry: os.DirEntry[bytes]) -> bytes | str:
        if entry.is_dir(follow_symlinks=False):
            return _FOLDER
        if not entry.is_symlink():
            return "special"
        if not self._options.follow_symlinks:
            return "symlink"
        return self._mark_of_link(self._base + prefix + entry.name)

    def _mark_of_link(self, link: bytes) -> bytes | str:
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

    def _repeated(self, prefix: bytes) -> bool:
        found = os.stat(self._base + prefix)
        identity = found.st_dev, found.st_ino
        if identity in self._seen:
            self.skipped["repeated"] += 1
            return True
        self._seen.add(identity)
        return False

    def _not_read(self, path: bytes, error: OSError) -> None:
        """Count what could not be read; raise where the root itself is gone."""
        if _root_identity(self._root, shown(self._root)) != self._identity:
            raise WalkError(f"{shown(self._root)} was replaced during the walk.") from error
        if error.errno in _VANISHED:
            return
        self.unreadable_count += 1
        if len(self.unreadable) < MAX_EXAMPLES:
            self.unreadable.append(Unreadable(path.rstrip(b"/"), error.strerror or str(error)))


def _root_identity(root: bytes, name: str) -> tuple[int, int]:
    """Device and inode of the root; raises `WalkError` where it is no folder that can be read."""
    try:
        os.scandir(root).close()
        found = os.stat(root)
    except FileNotFoundError as error:
        raise WalkError(f"{name} is not there.") from error
    except NotADirectoryError as error:
        raise WalkError(
            f"{name} is not a folder; `scanner check` looks at single files."
        ) from error
    except OSError as error:
        raise WalkError(f"{name} cannot be read: {error.strerror}.") from error
    return found.st_dev, found.st_ino
