"""Parts of batches: the batch itself, what was split off it, and second stages, by number."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

# Split-off parts have random numbers from 1 to this one;
MAX_SPLIT = 2**48
# the second stages of a batch come after those, in order: at most one for each of its images.
MAX_PART = MAX_SPLIT + 100_000


@dataclass(frozen=True, order=True, slots=True)
class BatchPart:
    """A batch (number 0), a part that was split off it, or the second stage of some images."""

    batch_id: int
    number: int = 0

    @property
    def name(self) -> str:
        """Return the name in Redis."""
        return f"{self.batch_id}.{self.number}" if self.number else str(self.batch_id)

    @property
    def is_second_stage(self) -> bool:
        """Return whether a strong detector judges the part, and the batch itself is done."""
        return self.number > MAX_SPLIT


def random_part_number() -> int:
    """Return a number for a part that is split off; unique in practice."""
    return secrets.randbelow(MAX_SPLIT) + 1


def second_stage_number(index: int) -> int:
    """Return the number of a batch's second stage; the first one has index 0."""
    return MAX_SPLIT + 1 + index
