"""What becomes of a scan: the word for it on the terminal, on the pages, in HTML and in JSON."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.writes.scans import Scan


class Phase(StrEnum):
    """Whether a scan is over, and if not, who works on it; `scanner.follow.phase` decides."""

    RUNNING = "running"
    WAITING = "waiting"  # for workers of a fleet
    PAUSED = "paused"  # on purpose: by the pages, or because all workers of a fleet are
    INTERRUPTED = "interrupted"  # no process works on it any more
    FINISHED = "finished"
    CANCELLED = "cancelled"
    UNFINISHED = "unfinished"  # one of the first four, where nobody was asked


def stored(scan: Scan) -> Phase:
    """Return what the store knows."""
    return Phase(scan.state)
