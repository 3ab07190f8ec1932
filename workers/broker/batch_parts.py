"""Parts of batches: the batch itself, or what was split off it, by number."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

# Split-off parts have random numbers from 1 to this one.
MAX_PART = 2**48


@dataclass(frozen=True, order=True, slots=True)
class BatchPart:
    """A batch (number 0), or a part that was split off it."""

    batch_id: int
    number: int = 0

    @property
    def name(self) -> str:
        """Return the name in Redis."""
        return f"{self.batch_id}.{self.number}" if self.number else str(self.batch_id)


def random_part_number() -> int:
    """Return a number for a part that is split off; unique in practice."""
    return secrets.randbelow(MAX_PART) + 1
