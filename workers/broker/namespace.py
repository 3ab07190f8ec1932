"""What belongs to one store in Redis: its names there begin with the store's own.

So stores that share a Redis share nothing else, and what an older store left there is nobody's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import redis


def key(store_id: str, *parts: object) -> str:
    """The name in Redis of something that belongs to a store."""
    return ":".join(("scanner", store_id, *map(str, parts)))


def queue_name(store_id: str) -> str:
    """The queue that a store's batches wait in."""
    return key(store_id, "queue")


def second_stage_queue(queue: str, detector: str) -> str:
    """Supervised a store's queue, that of what waits for a second opinion of a strong detector."""
    return f"{queue}:{detector}"


def listening_key(store_id: str, detector: str) -> str:
    """The key that stands while a worker takes what is for a strong detector."""
    return key(store_id, "listening", detector)


def results_queue(store_id: str) -> str:
    """The queue on which results wait for the store's recorder."""
    return key(store_id, "results")


def recording_key(store_id: str) -> str:
    """The hash of what the recorder has taken and not acknowledged."""
    return key(store_id, "recording")


@dataclass(frozen=True, slots=True)
class Namespace:
    """A store's part of a Redis."""

    client: redis.Redis
    store_id: str

    def key(self, *parts: object) -> str:
        """The name of something in it."""
        return key(self.store_id, *parts)

    @property
    def queue(self) -> str:
        """The queue that batches wait in."""
        return queue_name(self.store_id)


def unrecorded(namespace: Namespace) -> int:
    """The results that wait for the recorder, or are being written by it."""
    with namespace.client.pipeline() as pipe:
        pipe.llen(results_queue(namespace.store_id))
        pipe.hlen(recording_key(namespace.store_id))
        return int(sum(pipe.execute()))
