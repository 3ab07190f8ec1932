"""How long the machines of a fleet have been unable to do something that none of them could do.

The time of the first failure is in Redis, by what is missing; any machine that succeeds removes it.
So a machine that lacks a folder gives nothing up while others work on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from workers.broker.namespace import Namespace


class MissingSince:
    """The times of failures, by Redis' own clock."""

    def __init__(self, namespace: Namespace, limit_seconds: float) -> None:
        self._namespace = namespace
        self._limit_seconds = limit_seconds

    def is_over(self, missing: str) -> bool:
        """Return whether something has been missing for longer than the limit; note that it is.

        Raises redis.RedisError.
        """
        client, key = self._namespace.client, stuck_key(self._namespace)
        now, _ = client.time()
        client.hsetnx(key, missing, now)
        since = cast("bytes | None", client.hget(key, missing)) or b""
        return since.isdigit() and now - int(since) > self._limit_seconds

    def reset(self, *found: str) -> None:
        """Note that what was missing is there. Raises redis.RedisError."""
        self._namespace.client.hdel(stuck_key(self._namespace), *found)


def reset_all(namespace: Namespace) -> None:
    """Give everything that is missing its full time again. Raises redis.RedisError."""
    namespace.client.delete(stuck_key(namespace))


def stuck_key(namespace: Namespace) -> str:
    """Return the key of the hash of what is missing, and since when."""
    return namespace.key("stuck")
