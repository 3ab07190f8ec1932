"""A change of a sidecar: what it was, and what it becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os


@dataclass(frozen=True, slots=True)
class Change:
    """A sidecar that is written or deleted.

    `before` is None where there is none, `after` where it is deleted. `status` is that of the
    sidecar, or of the image for a new one.
    """

    path: bytes
    before: bytes | None
    after: bytes | None
    status: os.stat_result

    @property
    def action(self) -> str:
        """Return what becomes of the sidecar."""
        if self.after is None:
            return "deleted"
        return "new" if self.before is None else "changed"
