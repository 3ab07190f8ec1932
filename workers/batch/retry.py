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
# More than between two attempts at a batch, also where it returns to the queue in between.
FORGET_SECONDS = 60.0


class RequeueBatch(Exception):
    """The batch must return to the queue: the worker stops, or something it needs is missing."""


class CollectionUnknown(RequeueBatch):
    """This machine does not know where the collection is; another one may."""


class BatchGivenUp(Exception):
    """No machine could do the batch for a long time; the message says what is missing."""


class SaidReasons:
    """What a process has said that it waits for, so that its log has each once.

    A reason that was not met for FORGET_SECONDS is new again: it may have ended in between, while
    another machine had the batch.
    """

    def __init__(self) -> None:
        self._met_at: dict[str, float] = {}

    def is_new(self, reason: str) -> bool:
        """Note that a reason is met, and return whether it has to be said."""
        now = time.monotonic()
        self._met_at = {one: at for one, at in self._met_at.items() if now - at < FORGET_SECONDS}
        is_new = reason not in self._met_at
        self._met_at[reason] = now
        return is_new

    def end(self, reason: str) -> None:
        """Forget a reason that is over."""
        self._met_at.pop(reason, None)


class Retry:
    """Retries actions with increasing delays, and reports what it waits for."""

    def __init__(self, stop: StopFlag, report: Callable[[str], object], said: SaidReasons) -> None:
        self._stop = stop
        self._report = report
        self._said = said

    def until_done(self, action: Callable[[], T]) -> T:
        """Return the action's result, after any number of attempts.

        Raises RequeueBatch after RETRY_SECONDS, or when the worker stops.
        """
        began = time.monotonic()
        deadline = began + RETRY_SECONDS
        delay = FIRST_DELAY_SECONDS
        reason = ""
        while True:
            try:
                done = action()
            except TRANSIENT_ERRORS as error:
                reason = str(error)
                if self._said.is_new(reason):
                    log.warning("waiting: %s", reason)
                self._report(reason)
                if self._stop.is_set() or time.monotonic() >= deadline:
                    raise RequeueBatch(reason) from error
            else:
                if reason:
                    self._said.end(reason)
                    log.warning("goes on after %.0f s: %s", time.monotonic() - began, reason)
                return done
            time.sleep(delay)
            delay = min(2 * delay, MAX_DELAY_SECONDS)
