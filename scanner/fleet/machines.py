"""The machines of a fleet by name, as a user names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.errors import InvalidInput
from storage.reads.progress import list_hosts
from storage.text import nearest
from storage.writes.machines import list_machines
from workers.broker.heartbeat import worker_states

if TYPE_CHECKING:
    from storage.database.store import Store
    from workers.broker.namespace import Namespace


def machine_names(store: Store) -> dict[str, str]:
    """Return the names by id of the machines that have joined or worked; the latter's is newer."""
    joined = {one.machine_id: one.label for one in list_machines(store) if one.revoked_at is None}
    return joined | {host.host_id: host.label for host in list_hosts(store)}


def find_machines(store: Store, namespace: Namespace, name: str) -> list[str]:
    """Return the ids of all machines with a label or an id; one known by its heartbeat has none.

    Machines are those in the store, which have joined or worked, and those with a recent heartbeat.
    Raise InvalidInput if there is none of that name.
    """
    names = machine_names(store)
    labels = {*names.values(), *(state.host for state in worker_states(namespace))}
    if name not in labels | set(names):
        meant = nearest(name, labels)
        if meant:
            hint = f"did you mean {meant}?"
        elif labels:
            hint = f"expected one of: {', '.join(sorted(labels))}"
        else:
            hint = "no machine has joined or worked yet"
        raise InvalidInput(f"invalid host {name!r}: {hint}")
    return [machine_id for machine_id, label in names.items() if name in (label, machine_id)]
