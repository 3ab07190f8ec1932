"""What a scan's images can be filtered by: cameras, generators, and months of taking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from storage.database.schema import finding, verdict
from storage.reads.selection import images_of_generators, names_generator

if TYPE_CHECKING:
    from storage.database.store import Store

# Of each kind; a list of more cannot be chosen from.
MAX_CHOICES = 200


@dataclass(frozen=True, slots=True)
class Choices:
    """Cameras and generators by name; `taken` has the first and last date, None without any."""

    cameras: tuple[str, ...]
    generators: tuple[str, ...]
    taken: tuple[float, float] | None


def read_choices(store: Store, scan_id: int) -> Choices:
    """Return what a scan's images can be filtered by."""
    with store.read() as connection:
        return Choices(
            _cameras(connection, scan_id),
            _generators(connection, scan_id),
            _taken(connection, scan_id),
        )


def _cameras(connection: sa.Connection, scan_id: int) -> tuple[str, ...]:
    """Look each camera up behind the last one: reading all of the index would take a second."""
    cameras: list[str] = []
    for _ in range(MAX_CHOICES):
        behind = sa.select(verdict.c.camera).where(
            verdict.c.scan_id == scan_id,
            verdict.c.camera > (cameras[-1] if cameras else ""),
            # As the condition of the partial index, word for word.
            sa.text("verdict.camera IS NOT NULL"),
        )
        camera = connection.scalar(behind.order_by(verdict.c.camera).limit(1))
        if camera is None:
            break
        cameras.append(camera)
    return tuple(cameras)


def _generators(connection: sa.Connection, scan_id: int) -> tuple[str, ...]:
    name = finding.c.detail["generator"].as_string()
    names = (
        sa.select(name)
        .where(
            names_generator(scan_id),
            finding.c.image_id.in_(images_of_generators(scan_id)),
            name.is_not(None),
        )
        .distinct()
        .limit(MAX_CHOICES)
    )
    return tuple(sorted(filter(None, connection.scalars(names)), key=str.lower))


def _taken(connection: sa.Connection, scan_id: int) -> tuple[float, float] | None:
    known = sa.select(verdict.c.taken_at).where(
        verdict.c.scan_id == scan_id, sa.text("verdict.taken_at IS NOT NULL")
    )
    first = connection.scalar(known.order_by(verdict.c.taken_at).limit(1))
    last = connection.scalar(known.order_by(verdict.c.taken_at.desc()).limit(1))
    return None if first is None or last is None else (first, last)
