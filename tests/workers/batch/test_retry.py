"""Retries while a store, a source or a broker is unavailable, and their end."""

from __future__ import annotations

import pytest
import redis

from storage.errors import NotFound, StoreUnavailable
from workers.batch import retry
from workers.batch.retry import FORGET_SECONDS, RETRY_SECONDS, RequeueBatch, Retry, SaidReasons
from workers.batch.stopping import StopFlag
from workers.sources.source import FetchError, SourceUnavailable

AWAY = [
    StoreUnavailable("the store is locked"),
    SourceUnavailable("the disk is away"),
    redis.ConnectionError("no connection"),
    redis.TimeoutError("no answer"),
    redis.BusyLoadingError("still loading"),
    redis.ResponseError("MISCONF its disk is full"),
]


class Environment:
    """A clock that only sleeping moves, and an action that fails until a given time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 50.0
        self.pauses: list[float] = []
        self.told: list[str] = []
        self.tries = 0
        self.stop = StopFlag()
        self.retry = Retry(self.stop, self.told.append, SaidReasons())
        monkeypatch.setattr(retry.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(retry.time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.pauses.append(seconds)
        self.now += seconds

    def until(self, there_at: float, error: Exception) -> str:
        """Return a result, or fail before the given time."""

        def action() -> str:
            self.tries += 1
            if self.now < there_at:
                raise error
            return "done"

        return self.retry.until_done(action)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Environment:
    """Return the environment, with this clock in place of the real one."""
    return Environment(monkeypatch)


def test_success(environment: Environment) -> None:
    """A successful action runs once, without waiting."""
    assert "done" == environment.until(0, AWAY[0])
    assert (1, [], []) == (environment.tries, environment.pauses, environment.told)


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
def test_retries_until_success(environment: Environment, error: Exception) -> None:
    """A failed action is retried until it succeeds, and each failure is reported."""
    assert "done" == environment.until(environment.now + 3, error)
    assert [str(error)] * (environment.tries - 1) == environment.told
    assert environment.tries > 1


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
def test_gives_up(environment: Environment, error: Exception) -> None:
    """After two minutes the batch is requeued, with the name of what is missing."""
    began = environment.now
    with pytest.raises(RequeueBatch, match=str(error)):
        environment.until(10**9, error)

    assert RETRY_SECONDS <= environment.now - began <= RETRY_SECONDS + 5


def test_delays_grow(environment: Environment) -> None:
    """Delays grow from half a second to five."""
    with pytest.raises(RequeueBatch):
        environment.until(10**9, AWAY[0])

    assert [0.5, 1.0, 2.0, 4.0, 5.0, 5.0] == environment.pauses[:6]
    assert 5.0 == max(environment.pauses)


def test_log(environment: Environment, caplog: pytest.LogCaptureFixture) -> None:
    """The log has the beginning and the end of a wait, and one line for batches that return."""
    error = AWAY[1]
    environment.until(environment.now + 30, error)
    assert ["waiting: the disk is away", "goes on after 32 s: the disk is away"] == caplog.messages

    caplog.clear()
    for _ in range(2):
        with pytest.raises(RequeueBatch):
            environment.until(10**9, error)
    environment.now += FORGET_SECONDS
    with pytest.raises(RequeueBatch):
        environment.until(10**9, error)
    assert ["waiting: the disk is away"] * 2 == caplog.messages


def test_no_wait_when_stopping(environment: Environment) -> None:
    """A stopping worker does not wait."""
    environment.stop.set()
    with pytest.raises(RequeueBatch):
        environment.until(10**9, AWAY[0])

    assert (1, []) == (environment.tries, environment.pauses)


def test_stopping_worker_still_runs_actions(environment: Environment) -> None:
    """A stopping worker still commits and releases as long as everything is available."""
    environment.stop.set()

    assert "done" == environment.until(0, AWAY[0])


@pytest.mark.parametrize(
    "error", [NotFound("no scan 5"), FetchError(None, "x"), ValueError("a bug")], ids=repr
)
def test_other_errors_are_not_retried(environment: Environment, error: Exception) -> None:
    """Errors that waiting cannot fix are raised at once."""
    with pytest.raises(type(error)):
        environment.until(10**9, error)

    assert 1 == environment.tries
