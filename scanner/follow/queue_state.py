"""The current state of a fleet's queue, from the broker."""

from __future__ import annotations

from dataclasses import dataclass

import redis

from workers.broker.app import make_redis
from workers.broker.heartbeat import WorkerState, worker_states
from workers.broker.namespace import Namespace


@dataclass(frozen=True, slots=True)
class QueueState:
    """The number of waiting batches, and the processes with a recent heartbeat."""

    waiting: int
    workers: tuple[WorkerState, ...]


def read_queue_state(broker_url: str, store_id: str) -> QueueState | None:
    """Return the state of a store's queue; None if the broker's URL is invalid or it is away."""
    try:
        client = make_redis(broker_url)
    except ValueError:
        return None
    try:
        namespace = Namespace(client, store_id)
        return QueueState(int(client.llen(namespace.queue)), tuple(worker_states(namespace)))
    except redis.RedisError:
        return None
    finally:
        client.close()


def waiting_note(namespace: Namespace) -> str:
    """Return what a worker says that it waits for; empty if none waits."""
    try:
        return next((state.note for state in worker_states(namespace) if state.note), "")
    except redis.RedisError:
        return ""
