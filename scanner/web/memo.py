"""Answers that are kept for a short while, so that many who ask cost no more than one."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

V = TypeVar("V")

# Of one core's time, what making an answer again and again may take.
SHARE = 0.02
# Seconds that an answer is kept at the most: some wait for a network and not for a processor.
MOST_SECONDS = 15.0
# Answers kept; old ones go when there are more.
MAX_ANSWERS = 256


class Memo(Generic[V]):
    """Keeps each answer for `seconds` at the least, for a while where it took long to make."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._answers: dict[Hashable, _Answer[V]] = {}

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The answer to a question; made by one thread at a time, while others are answered."""
        with self._lock:
            if len(self._answers) >= MAX_ANSWERS and key not in self._answers:
                self._answers.clear()
            known = self._answers.setdefault(key, _Answer())
        with known.lock:
            began = time.monotonic()
            if known.made and began < known.until:
                return known.made[0]
            known.made = (make(),)
            now = time.monotonic()
            kept = min(max(self._seconds, (now - began) / SHARE), MOST_SECONDS)
            known.until = now + kept
            return known.made[0]


class _Answer(Generic[V]):
    """An answer, once it is made, and until when it holds."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.until = 0.0
        self.made: tuple[()] | tuple[V] = ()
