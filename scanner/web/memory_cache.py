"""Results kept in memory for a short time, so that many requests cost no more than one."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

V = TypeVar("V")

# Share of one core's time that computing a result repeatedly may take.
SHARE = 0.02
# Seconds that a result is kept at most: some computations wait for a network, not a processor.
MAX_SECONDS = 15.0
# Results kept; all are dropped when there are more.
MAX_ENTRIES = 256


class MemoryCache(Generic[V]):
    """Keep each result for at least `seconds`, longer where computing it took long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._entries: dict[Hashable, _Entry[V]] = {}

    def get(self, key: Hashable, compute: Callable[[], V]) -> V:
        """Return the result for a key; one thread at a time computes it, other keys go on."""
        with self._lock:
            if len(self._entries) >= MAX_ENTRIES and key not in self._entries:
                self._entries.clear()
            entry = self._entries.setdefault(key, _Entry())
        with entry.lock:
            started = time.monotonic()
            if entry.value and started < entry.expires:
                return entry.value[0]
            entry.value = (compute(),)
            now = time.monotonic()
            seconds = min(max(self._seconds, (now - started) / SHARE), MAX_SECONDS)
            entry.expires = now + seconds
            return entry.value[0]

    def forget(self, key: Hashable) -> None:
        """Drop the result for a key, which has changed."""
        with self._lock:
            self._entries.pop(key, None)


class _Entry(Generic[V]):
    """A result, once computed, and when it expires."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.expires = 0.0
        self.value: tuple[()] | tuple[V] = ()
