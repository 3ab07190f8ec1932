"""Whether the watched folder is there: a disk that is not mounted is not an empty folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from storage.paths import shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Root:
    """The watched folder, and which folder it was when it was last there."""

    def __init__(self, path: Path, had_images: Callable[[], bool]) -> None:
        self._path = os.fsencode(path)
        self._had_images = had_images
        self._identity: tuple[int, int] | None = None

    def trouble(self) -> str:
        """Return why the folder cannot be watched; empty where it can.

        An empty folder is trusted if it is the one that was there before, or was never full.
        """
        try:
            status = os.stat(self._path)  # noqa: PTH116 - bytes
            with os.scandir(self._path) as entries:
                is_empty = next(entries, None) is None
        except OSError as error:
            return f"{shown(self._path)} cannot be read ({error.strerror})"
        identity = status.st_dev, status.st_ino
        if identity == self._identity:
            return ""
        if is_empty and (self._identity is not None or self._had_images()):
            return f"{shown(self._path)} is empty, and was not before (is its disk mounted?)"
        self._identity = identity
        return ""

    def is_new(self) -> bool:
        """Return whether there is another folder at the path than the last one that was there."""
        try:
            status = os.stat(self._path)  # noqa: PTH116 - bytes
        except OSError:
            return True
        return (status.st_dev, status.st_ino) != self._identity
