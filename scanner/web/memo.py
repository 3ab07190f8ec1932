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
# Answers kept; old ones go when there are more.
MAX_ANSWERS = 256


class Memo(Generic[V]):
    """Keeps each answer for `seconds` at the least, longer where it took long to make."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._answers: dict[Hashable, tuple[float, V]] = {}

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The answer to a question; made by one thread at a time."""
        with self._lock:
            until, answer = self._answers.get(key, (0.0, None))
            began = time.monotonic()
            if answer is not None and began < until:
                return answer
            answer = make()
            now = time.monotonic()
            if len(self._answers) >= MAX_ANSWERS:
                self._answers.clear()
            self._answers[key] = now + max(self._seconds, (now - began) / SHARE), answer
            return answer
