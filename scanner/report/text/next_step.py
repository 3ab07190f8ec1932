"""What to type next about a scan that is not finished."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from scanner.report.figures.phase import Phase
from scanner.report.figures.redact import REDACTED
from storage.paths import shown
from workers.settings import FLEET

if TYPE_CHECKING:
    from storage.writes.scans import Scan


def next_step(scan: Scan, phase: Phase) -> str | None:
    """Return the command that follows, continues or helps a scan; None where none does."""
    if phase is Phase.RUNNING:
        return f"to follow it: `scanner status {scan.scan_id} --watch`"
    if scan.owner == FLEET:
        return _of_fleet(scan, phase)
    is_stopped = phase in (Phase.PAUSED, Phase.INTERRUPTED, Phase.CANCELLED)
    return f"to go on: {_again('scan', scan)}" if is_stopped else None


def _of_fleet(scan: Scan, phase: Phase) -> str | None:
    match phase:
        case Phase.WAITING | Phase.CANCELLED if scan.listed_at is None:
            return f"to list the rest of its folder: {_again('enqueue', scan)}"
        case Phase.WAITING:
            return "to start a worker: `scanner worker`"
        case Phase.PAUSED:
            return "to let a machine take work again: `scanner unpause HOST`"
        case Phase.CANCELLED:
            return f"to go on: `scanner resume {scan.scan_id}`"
        case _:
            return None


def _again(command: str, scan: Scan) -> str:
    root = "FOLDER" if scan.root == REDACTED.encode() else shlex.quote(shown(scan.root))
    return f"`scanner {command} {root}`, with the same options"
