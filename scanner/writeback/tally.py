"""What an export did, or would do: a line for the first few, then counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from storage.asset_paths import shown_image

if TYPE_CHECKING:
    from collections.abc import Callable

# Lines that are printed one by one, of what is done and of what is skipped.
MAX_LINES = 20
NOTHING_WRITTEN = "Nothing was written: add --write to write."


@dataclass
class Tally:
    """Counts what is done by the word for it, what stays, and what is skipped."""

    say: Callable[[str], object]
    done: Counter[str] = field(default_factory=Counter)
    unchanged: int = 0
    skipped: int = 0

    def add(self, word: str, path: bytes) -> None:
        """Count something that is done, or would be."""
        self.done[word] += 1
        self._line(self.done.total(), word, shown_image(path))

    def skip(self, path: bytes, why: str) -> None:
        """Count an image that is left as it is, and why."""
        self.skipped += 1
        self._line(self.skipped, "skipped", f"{shown_image(path)}: {why}")

    def summary(self, things: str, *, written: bool) -> str:
        """Return the counts as one line; unless something was written, they are a plan."""
        parts = [f"{number:,} {word}" for word, number in self.done.items()] or ["nothing to do"]
        parts += [f"{self.unchanged:,} as they should be"] if self.unchanged else []
        parts += [f"{self.skipped:,} skipped"] if self.skipped else []
        return f"{'' if written else 'plan for '}{things}: {', '.join(parts)}"

    def _line(self, number: int, word: str, text: str) -> None:
        if number <= MAX_LINES:
            self.say(f"  {word:<9} {text}")
        elif number == MAX_LINES + 1:
            self.say(f"  {word:<9} …")
