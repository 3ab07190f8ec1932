"""Which folders to look at: those that the file system tells of, or all of them now and then."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import watchfiles

from storage.errors import ScannerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from watchfiles.main import FileChange

# Seconds between two looks at everything where the file system tells of changes: some may be lost
# when very many come at once. A name that is not UTF-8 ends the telling (`NotTold`).
ALL_SECONDS = 900.0
# Milliseconds in which changes are collected, and after which the thread checks whether to stop.
_COLLECT_MS = 400
_STOP_MS = 500


class NotTold(ScannerError):
    """The file system cannot be asked to tell of changes; the message says why."""


@dataclass(frozen=True, slots=True)
class _Due:
    """A folder to look at: with all below it if `deep`; until that time at least (monotonic)."""

    deep: bool
    until: float


class Changes:
    """The folders in which something may have changed, by their path as `Walk.below` takes it.

    A folder stays among them for the seconds after its last change in which files become still.
    """

    def __init__(self, root: Path, settle: float, *, poll: float | None) -> None:
        """Let the file system tell, or `poll` everything after that many seconds."""
        self._root = os.fsencode(root)
        self._settle = settle
        self._every = ALL_SECONDS if poll is None else poll
        self._lock = threading.Lock()
        self._due: dict[bytes, _Due] = {}
        self._all_at = 0.0
        self._stop = threading.Event()
        self._trouble: Exception | None = None
        self._is_listening = threading.Event()
        self._thread = None
        if poll is None:
            self._thread = threading.Thread(target=self._listen, name="changes", daemon=True)

    def due(self) -> Mapping[bytes, bool]:
        """Return the folders to look at, and whether to look at all below each, too.

        None until the file system tells, so that no change comes between the first look and that.
        Raise NotTold if the file system tells of no more changes.
        """
        if self._trouble is not None:
            raise NotTold(f"the system does not tell of changes ({self._trouble})")
        if self._thread is not None and not self._is_listening.is_set():
            return {}
        now = time.monotonic()
        with self._lock:
            if now >= self._all_at:
                self._due[b""] = _Due(deep=True, until=now)
            return {folder: due.deep for folder, due in self._due.items()}

    def looked(self, folders: Iterable[bytes], at: float, waiting: Iterable[bytes]) -> None:
        """Drop folders that were looked at, from the time `at` on; keep those where files wait."""
        with self._lock:
            for folder in folders:
                if folder == b"" and self._due[folder].deep:
                    self._all_at = time.monotonic() + self._every
                if self._due[folder].until <= at:
                    del self._due[folder]
            for folder in waiting:
                self._due.setdefault(folder, _Due(deep=False, until=at))

    def add(self, changes: Iterable[FileChange]) -> None:
        """Note the folders of changed files, and new folders with all that is in them."""
        until = time.monotonic() + self._settle
        for kind, changed in changes:
            path = os.fsencode(changed)
            if kind is watchfiles.Change.added and os.path.isdir(path):  # noqa: PTH112 - bytes
                self._note(path, until, deep=True)
            if path != self._root:
                self._note(os.path.dirname(path), until, deep=False)  # noqa: PTH120 - bytes

    def _note(self, folder: bytes, until: float, *, deep: bool) -> None:
        base = self._root.rstrip(b"/") + b"/"
        relative = (folder.rstrip(b"/") + b"/").removeprefix(base)
        if relative.startswith(b"/"):
            return  # of the root itself
        with self._lock:
            known = self._due.get(relative)
            self._due[relative] = _Due(deep or (known is not None and known.deep), until)

    def _listen(self) -> None:
        try:
            for changes in watchfiles.watch(
                os.fsdecode(self._root),
                watch_filter=None,
                debounce=_COLLECT_MS,
                rust_timeout=_STOP_MS,
                yield_on_timeout=True,
                stop_event=self._stop,
                raise_interrupt=False,
                ignore_permission_denied=True,
            ):
                self._is_listening.set()
                self.add(changes)
        except Exception as error:  # noqa: BLE001 - from native code; the caller goes on otherwise
            self._trouble = error

    def __enter__(self) -> Self:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5 * _STOP_MS / 1000)
