"""The machines of a fleet by name, as a user names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.errors import InvalidInput
from storage.reads.progress import list_hosts
from storage.text import nearest
from workers.broker.heartbeat import worker_states

if TYPE_CHECKING:
    from storage.database.store import Store
    from workers.broker.namespace import Namespace


def find_machines(store: Store, namespace: Namespace, name: str) -> list[str]:
    """Return the ids of all machines with a label or an id; a machine without any result has none.

    Machines are those in the store and those with a recent heartbeat. Raise InvalidInput if there
    is none of that name.
    """
    hosts = list_hosts(store)
    labels = {host.label for host in hosts} | {state.host for state in worker_states(namespace)}
    if name not in labels | {host.host_id for host in hosts}:
        meant = nearest(name, labels)
        if meant:
            hint = f"did you mean {meant}?"
        elif labels:
            hint = f"expected one of: {', '.join(sorted(labels))}"
        else:
            hint = "no machine has worked yet"
        raise InvalidInput(f"invalid host {name!r}: {hint}")
    return [host.host_id for host in hosts if name in (host.label, host.host_id)]
