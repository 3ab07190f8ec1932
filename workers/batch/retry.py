"""Retry what fails because a store, a broker or a mount is unavailable for a while."""

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


class ResultBacklog(Exception):
    """Too many results wait for the result writer; more would fill Redis' memory."""


# Any error that Redis answers with counts: its disk or memory may be full, or it may be a replica
# now. OperationalError is kombu's name for them.
TRANSIENT_ERRORS = (
    StoreUnavailable,
    SourceUnavailable,
    ResultBacklog,
    redis.RedisError,
    OperationalError,
)

# Then the batch goes back to the queue: another worker may have what is missing here.
RETRY_SECONDS = 120.0
FIRST_DELAY_SECONDS = 0.5
MAX_DELAY_SECONDS = 5.0


class RequeueBatch(Exception):
    """The batch must return to the queue: the worker stops, or something it needs is missing."""


class CollectionUnknown(RequeueBatch):
    """This machine does not know where the collection is; another one may."""


class BatchGivenUp(Exception):
    """No machine could do the batch for a long time; the message says what is missing."""


class Retry:
    """Retries actions with increasing delays, and reports what it waits for."""

    def __init__(self, stop: StopFlag, report: Callable[[str], object]) -> None:
        self._stop = stop
        self._report = report

    def until_done(self, action: Callable[[], T]) -> T:
        """Return the action's result, after any number of attempts.

        Raises RequeueBatch after RETRY_SECONDS, or when the worker stops.
        """
        deadline = time.monotonic() + RETRY_SECONDS
        delay = FIRST_DELAY_SECONDS
        while True:
            try:
                return action()
            except TRANSIENT_ERRORS as error:
                log.warning("waiting: %s", error)
                self._report(str(error))
                if self._stop.is_set() or time.monotonic() >= deadline:
                    raise RequeueBatch(str(error)) from error
            time.sleep(delay)
            delay = min(2 * delay, MAX_DELAY_SECONDS)
