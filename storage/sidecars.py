"""Sidecars as the store and the queue have them: [name, size in bytes, time of change in ns]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from storage.paths import from_wire, to_wire
from storage.records import Sidecar

if TYPE_CHECKING:
    from collections.abc import Iterable


def sidecars_to_json(sidecars: Iterable[Sidecar]) -> list[Any] | None:
    """Return the sidecars of an image as JSON; None where it has none."""
    return [
        [to_wire(sidecar.name), sidecar.size_bytes, sidecar.mtime_ns] for sidecar in sidecars
    ] or None


def sidecars_from_json(rows: Iterable[Iterable[Any]] | None) -> tuple[Sidecar, ...]:
    """Return the sidecars that `sidecars_to_json` wrote; ValueError for a name with a folder."""
    sidecars = tuple(Sidecar(from_wire(name), size, mtime) for name, size, mtime in rows or ())
    if any(b"/" in sidecar.name for sidecar in sidecars):
        raise ValueError("invalid sidecar: expected a name without a folder")
    return sidecars
