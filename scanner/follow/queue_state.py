"""The current state of a fleet's queue, from the broker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis

from storage.paths import shown
from workers.broker.app import make_namespace
from workers.broker.dead_letters import read_letters
from workers.broker.heartbeat import WorkerState, worker_states

if TYPE_CHECKING:
    from workers.broker.namespace import Namespace


@dataclass(frozen=True, slots=True)
class QueueState:
    """The number of waiting batches, and the processes with a recent heartbeat."""

    waiting: int
    workers: tuple[WorkerState, ...]


def read_queue_state(broker_url: str, store_id: str) -> QueueState | None:
    """Return the state of a store's queue; None if the broker's URL is invalid or it is away."""
    try:
        namespace = make_namespace(broker_url, store_id)
    except ValueError:
        return None
    try:
        waiting = int(namespace.client.llen(namespace.queue))
        return QueueState(waiting, tuple(worker_states(namespace)))
    except redis.RedisError:
        return None
    finally:
        namespace.client.close()


def waiting_note(namespace: Namespace) -> str:
    """Return what a worker says that it waits for, else why a batch was given up, if one was."""
    try:
        notes = [state.note for state in worker_states(namespace) if state.note]
        notes += [
            f"given up, see `scanner deadletters`: {shown(letter.reason.encode())}"
            for letter in read_letters(namespace)
            if letter.batch_id
        ]
    except redis.RedisError:
        return ""
    return next(iter(notes), "")
