"""The versions that a hub announces in Redis, and the checks of a worker before it takes work."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import redis
from msgspec import Struct, json

from storage.records import RULES_VERSION
from workers.broker.field_types import (
    VERSION,
    Id,
    MessageError,
    Name,
    message_errors,
    require_printable,
)

if TYPE_CHECKING:
    from workers.broker.namespace import Namespace

log = logging.getLogger(__name__)

# A hub without a handshake for this long counts as not running.
HANDSHAKE_SECONDS = 30
# How far a worker's clock may differ from the broker's: each worker returns unacknowledged messages
# to the queue by its own clock, and reports use its times.
MAX_SKEW_SECONDS = 5.0


class Handshake(Struct, frozen=True):
    """The version of a hub, and those of its messages and rules."""

    version: Name
    messages: Id
    rules: Id

    @property
    def is_compatible(self) -> bool:
        """Return whether the hub's messages and rules are those of this version."""
        return (self.messages, self.rules) == (VERSION, RULES_VERSION)


def publish_handshake(namespace: Namespace, version: str) -> None:
    """Announce a running hub; to be repeated within HANDSHAKE_SECONDS."""
    handshake = Handshake(version, VERSION, RULES_VERSION)
    try:
        namespace.client.set(namespace.key("hub"), json.encode(handshake), ex=HANDSHAKE_SECONDS)
    except redis.RedisError as error:
        log.warning("the hub's broker does not respond: %s", error)


def read_handshake(namespace: Namespace) -> Handshake | None:
    """Return the handshake of the running hub, if there is one. Raises redis.RedisError."""
    raw = namespace.client.get(namespace.key("hub"))
    if raw is None:
        return None
    try:
        with message_errors("handshake"):
            handshake = json.decode(raw, type=Handshake)
            require_printable(handshake.version)
            return handshake
    except MessageError:
        return None


def clock_skew_seconds(namespace: Namespace) -> float:
    """Return how far this machine's clock is ahead of the broker's. Raises redis.RedisError."""
    before = time.time()
    seconds, microseconds = namespace.client.time()
    after = time.time()
    return (before + after) / 2 - (seconds + microseconds / 1e6)
