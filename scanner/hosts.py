"""Naming a machine of the fleet, by its label or its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.exits import Failed
from storage.queries import hosts
from workers.channel import worker_states

if TYPE_CHECKING:
    from storage.store import Store
    from workers.space import Space


def require_host(store: Store, space: Space, name: str) -> list[str]:
    """The ids of the machines of that label or id, if they have worked; Failed if there is none.

    Empty for one that has shown itself and done nothing yet.
    """
    known = hosts(store)
    ids = [one.host_id for one in known if name in (one.label, one.host_id)]
    alive = {state.host for state in worker_states(space)}
    if not ids and name not in alive:
        labels = sorted({one.label for one in known} | alive)
        raise Failed(
            f"No machine called {name!r} has worked here: "
            + (f"there are {', '.join(labels)}" if labels else "there is none yet")
        )
    return ids
