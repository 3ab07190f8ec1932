"""Batches, what was split off them, and second looks at them, told apart by number."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

# What is split off a batch is numbered by chance, with so many possibilities;
MAX_SPLIT = 2**48
# second looks at it come after those, in order: no more than a batch has images.
MAX_PART = MAX_SPLIT + 100_000


@dataclass(frozen=True, order=True, slots=True)
class Part:
    """A batch, or what was split off one, or a second look at some of it."""

    batch_id: int
    number: int = 0

    @property
    def name(self) -> str:
        """As it is called in Redis."""
        return f"{self.batch_id}.{self.number}" if self.number else str(self.batch_id)

    @property
    def is_second_look(self) -> bool:
        """Whether a strong detector is at it, and the batch itself is done."""
        return self.number > MAX_SPLIT


def split_number() -> int:
    """A number for what is split off, unlike any other's."""
    return secrets.randbelow(MAX_SPLIT) + 1


def second_look_number(n: int) -> int:
    """The number of the `n`th second look at a batch, from 0."""
    return MAX_SPLIT + 1 + n
