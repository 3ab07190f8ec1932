"""The machines without a store that joined its hub: who may send results."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.schema import machine
from storage.database.store import upsert
from storage.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from storage.database.store import Store


class KeyChanged(InvalidInput):
    """Another key than before was sent for a machine that has joined."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that joined; `secret_digest` is the SHA-256 of its password, in hex."""

    machine_id: str
    label: str
    public_key: bytes
    secret_digest: str
    joined_at: float = 0.0
    revoked_at: float | None = None


def admit(store: Store, joining: Machine) -> None:
    """Record a machine that joins, now, or joins again.

    Raises KeyChanged where a machine with its id has joined with another key and was not shut out:
    who has the join line must not be able to take another machine's place.
    """
    with store.write() as connection:
        known = connection.execute(
            sa.select(machine.c.public_key, machine.c.revoked_at).where(
                machine.c.id == joining.machine_id
            )
        ).first()
        if (
            known is not None
            and known.revoked_at is None
            and bytes(known.public_key) != joining.public_key
        ):
            raise KeyChanged(
                "a machine with this id has joined with another key: run `scanner hub revoke "
                f"{joining.machine_id}` on the hub, then join again with its new line"
            )
        values = {
            "label": joining.label,
            "public_key": joining.public_key,
            "secret_digest": joining.secret_digest,
            "joined_at": time.time(),
            "revoked_at": None,
        }
        insert = upsert(connection.dialect.name, machine).values(id=joining.machine_id, **values)
        connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=values))


def revoke(store: Store, name: str) -> list[Machine]:
    """Shut out the machines with a label or an id, and return them. Raises NotFound."""
    with store.write() as connection:
        is_meant = (machine.c.id == name) | (machine.c.label == name)
        rows = connection.execute(
            sa.select(machine).where(is_meant, machine.c.revoked_at.is_(None))
        ).all()
        if not rows:
            raise NotFound(f"Machine not found: {name!r} (`scanner hub machines` lists all)")
        connection.execute(
            sa.update(machine)
            .where(machine.c.id.in_([row.id for row in rows]))
            .values(revoked_at=time.time())
        )
    return [_machine(row) for row in rows]


def list_machines(store: Store) -> list[Machine]:
    """Return all machines that joined, revoked ones too, in the order of their labels."""
    with store.read() as connection:
        rows = connection.execute(sa.select(machine).order_by(machine.c.label, machine.c.id))
        return [_machine(row) for row in rows]


def find_machine(store: Store, machine_id: str) -> Machine | None:
    """Return a machine by its id."""
    with store.read() as connection:
        row = connection.execute(sa.select(machine).where(machine.c.id == machine_id)).first()
    return None if row is None else _machine(row)


def _machine(row: sa.Row[Any]) -> Machine:
    return Machine(
        row.id,
        row.label,
        bytes(row.public_key),
        row.secret_digest,
        row.joined_at,
        row.revoked_at,
    )
