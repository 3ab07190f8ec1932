"""What a hub says of itself in Redis, and what a worker asks before it takes work."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import redis

from workers.broker import wire
from workers.broker.messages import VERSION
from workers.pipeline.plan import RULES_VERSION

if TYPE_CHECKING:
    from workers.broker.namespace import Namespace

log = logging.getLogger(__name__)

# A hub that has said nothing for so long does not run.
HELLO_SECONDS = 30
# Seconds that a worker's clock may differ from the broker's: what is not acknowledged goes back to
# the queue by each worker's own clock, and reports tell times by it.
MOST_SKEW_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Handshake:
    """A hub's version, and those of its messages and its rules, which have to be ours."""

    version: str
    messages: int = VERSION
    rules: int = RULES_VERSION


def publish_handshake(namespace: Namespace, version: str) -> None:
    """Say that a hub of this version runs; to be said again before HELLO_SECONDS are over."""
    try:
        namespace.client.set(
            namespace.key("hub"), json.dumps(asdict(Handshake(version))), ex=HELLO_SECONDS
        )
    except redis.RedisError as error:
        log.warning("the hub's queue does not answer: %s", error)


def hello(namespace: Namespace) -> Handshake | None:
    """The hub that runs just now; None where none has said so. Raises redis.RedisError."""
    raw = namespace.client.get(namespace.key("hub"))
    if raw is None:
        return None
    try:
        said = json.loads(raw)
        return Handshake(
            wire.name(said["version"]), wire.number(said["messages"]), wire.number(said["rules"])
        )
    except wire.TROUBLE:
        return None


def skew_seconds(namespace: Namespace) -> float:
    """How far this machine's clock is ahead of the broker's. Raises redis.RedisError."""
    before = time.time()
    seconds, microseconds = namespace.client.time()
    after = time.time()
    return (before + after) / 2 - (seconds + microseconds / 1e6)
