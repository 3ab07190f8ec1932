"""Keys and queues of a store in Redis, those of Celery among them; one prefix begins all of them.

It is `[PREFIX]scanner:STORE:`, with the store's own id, and the prefix in the broker's URL if there
is one. So stores can share a Redis, leftovers of a deleted store disturb no other, and a user of
Redis can be limited to one store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import redis


# Celery's names of its queues, and of the hash of results that the result writer is writing. Celery
# puts the store's prefix before them, see `workers.broker.app`.
QUEUE = "queue"
RESULTS = "results"
RECORDING = "recording"


def key_prefix(store_id: str, prefix: str = "") -> str:
    """Return what every key of a store begins with."""
    return f"{prefix}scanner:{store_id}:"


@dataclass(frozen=True, slots=True)
class Namespace:
    """The keys of one store in a Redis."""

    client: redis.Redis
    store_id: str
    prefix: str = ""

    def key(self, *parts: object) -> str:
        """Return the name of something in this namespace."""
        return key_prefix(self.store_id, self.prefix) + ":".join(map(str, parts))

    @property
    def queue(self) -> str:
        """Return the name of the queue of batches."""
        return self.key(QUEUE)

    @property
    def results(self) -> str:
        """Return the name of the queue of results for the store's result writer."""
        return self.key(RESULTS)


def count_pending_results(namespace: Namespace) -> int:
    """Return how many results wait for the result writer, or are being written by it."""
    with namespace.client.pipeline() as pipe:
        pipe.llen(namespace.results)
        pipe.hlen(namespace.key(RECORDING))
        return int(sum(pipe.execute()))
