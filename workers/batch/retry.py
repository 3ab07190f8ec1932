"""Waiting for the world: a store, a broker or a mount that is away and may come back."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, TypeVar

import redis
from kombu.exceptions import OperationalError

from storage.errors import StoreUnavailable
from workers.sources.source import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.batch.stopping import StopFlag

log = logging.getLogger(__name__)

T = TypeVar("T")


class ResultWriterAway(Exception):
    """Results pile up that nobody records; more of them would fill Redis' memory."""


# A Redis that answers with an error (its disk or memory is full, it is a replica now) is as good as
# away.
# OperationalError is what kombu makes of it; its other transports are of no concern here.
WORLD = (StoreUnavailable, SourceUnavailable, ResultWriterAway, redis.RedisError, OperationalError)

# Seconds that a batch waits for the world before it goes back to the queue: somebody else may
# have what is missing here.
RETRY_SECONDS = 120.0
LONGEST_PAUSE_SECONDS = 5.0


class GiveBack(Exception):
    """The batch has to go back to the queue: the worker stops, or what it needs is away."""


class Retry:
    """Tries again while the world is away, telling what it waits for."""

    def __init__(self, stop: StopFlag, tell: Callable[[str], object]) -> None:
        self._stop = stop
        self._tell = tell

    def until_done(self, action: Callable[[], T]) -> T:
        """The action's result, however often it takes; GiveBack when it takes too long."""
        until = time.monotonic() + RETRY_SECONDS
        pause = 0.5
        while True:
            try:
                return action()
            except WORLD as error:
                log.warning("waiting: %s", error)
                self._tell(str(error))
                if self._stop.is_set() or time.monotonic() >= until:
                    raise GiveBack(str(error)) from error
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
