"""Keys and queues of a store in Redis; all of their names begin with the store's own id.

So stores can share a Redis, and leftovers of a deleted store disturb no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import redis


def key(store_id: str, *parts: object) -> str:
    """Return the name of something that belongs to a store."""
    return ":".join(("scanner", store_id, *map(str, parts)))


def queue_name(store_id: str) -> str:
    """Return the name of the queue of a store's batches."""
    return key(store_id, "queue")


def results_queue(store_id: str) -> str:
    """Return the name of the queue of results for the store's result writer."""
    return key(store_id, "results")


def unacknowledged_results_key(store_id: str) -> str:
    """Return the key of the hash of results that the result writer is writing."""
    return key(store_id, "recording")


@dataclass(frozen=True, slots=True)
class Namespace:
    """The keys of one store in a Redis."""

    client: redis.Redis
    store_id: str

    def key(self, *parts: object) -> str:
        """Return the name of something in this namespace."""
        return key(self.store_id, *parts)

    @property
    def queue(self) -> str:
        """Return the name of the queue of batches."""
        return queue_name(self.store_id)


def count_pending_results(namespace: Namespace) -> int:
    """Return how many results wait for the result writer, or are being written by it."""
    with namespace.client.pipeline() as pipe:
        pipe.llen(results_queue(namespace.store_id))
        pipe.hlen(unacknowledged_results_key(namespace.store_id))
        return int(sum(pipe.execute()))
