"""Folders that may be scanned from the pages: the roots that the server was given, and below."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scanner.language import gettext
from storage.errors import ScannerError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Folders that are listed in one.
MAX_FOLDERS = 1_000


class NoFolder(ScannerError):
    """A folder is not below the roots, or cannot be opened."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder at a path relative to its root, with the folders in it; `path` is its real path."""

    root: str
    relative: bytes
    path: Path
    folders: tuple[bytes, ...]
    is_cut: bool

    @property
    def name(self) -> bytes:
        """Return the name that its collection gets."""
        return b"/".join(filter(None, (os.fsencode(self.root), self.relative)))

    def inside(self, name: bytes) -> bytes:
        """Return the relative path of a folder in it."""
        return b"/".join(filter(None, (self.relative, name)))

    @property
    def ways_up(self) -> list[tuple[bytes, bytes]]:
        """Return (name, relative path) of each folder above it, below the root, then its own."""
        parts = self.relative.split(b"/") if self.relative else []
        return [(part, b"/".join(parts[: n + 1])) for n, part in enumerate(parts)]


def open_folder(roots: Mapping[str, Path], root: str, relative: bytes) -> Folder:
    """Return a folder below a root; raise NoFolder for any other, and beyond a link."""
    if root not in roots:
        raise NoFolder(gettext("Folder not found: the server has no root of this name."))
    parts = [part for part in relative.split(b"/") if part]
    if any(part in (b".", b"..") or b"\0" in part for part in parts):
        raise NoFolder(gettext("Folder not found below this root."))
    try:
        top = roots[root].resolve(strict=True)
        path = top.joinpath(*map(os.fsdecode, parts))
        if path.resolve(strict=True) != path:
            raise NoFolder(gettext("Folder not found below this root."))
        names = _folders_in(path)
    except (OSError, RuntimeError) as error:
        raise NoFolder(gettext("The folder cannot be opened.")) from error
    return Folder(
        root, b"/".join(parts), path, tuple(names[:MAX_FOLDERS]), len(names) > MAX_FOLDERS
    )


def is_below(roots: Mapping[str, Path], folder: bytes) -> bool:
    """Return whether a folder is one of the roots, or below one."""
    path = Path(os.fsdecode(folder))
    return any(path.is_relative_to(root.resolve()) for root in roots.values())


def _folders_in(path: Path) -> list[bytes]:
    """Return the names of the folders in a folder, without hidden ones and links."""
    with os.scandir(os.fsencode(path)) as entries:
        return sorted(
            entry.name
            for entry in entries
            if not entry.name.startswith(b".") and entry.is_dir(follow_symlinks=False)
        )
