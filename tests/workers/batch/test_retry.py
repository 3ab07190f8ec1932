"""Retry: what is away is waited for, for a while, and not at all by one who is to stop."""

from __future__ import annotations

import pytest
import redis

from storage.errors import NotFound, StoreUnavailable
from workers.batch import retry
from workers.batch.retry import RETRY_SECONDS, RequeueBatch, Retry
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


class World:
    """A clock that only sleeping moves, and an action that fails until a time comes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 50.0
        self.pauses: list[float] = []
        self.told: list[str] = []
        self.tries = 0
        self.stop = StopFlag()
        self.retry = Retry(self.stop, self.told.append)
        monkeypatch.setattr(retry.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(retry.time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.pauses.append(seconds)
        self.now += seconds

    def until(self, there_at: float, error: Exception) -> str:
        """Do what fails until that time."""

        def action() -> str:
            self.tries += 1
            if self.now < there_at:
                raise error
            return "done"

        return self.retry.until_done(action)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Return the present state of the environment."""
    return World(monkeypatch)


def test_nothing_is_wrong(world: World) -> None:
    """What can be done is done once, and nobody waits."""
    assert "done" == world.until(0, AWAY[0])
    assert (1, [], []) == (world.tries, world.pauses, world.told)


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
def test_waits(world: World, error: Exception) -> None:
    """What is away is tried again until it is back, and each time it is said what is missing."""
    assert "done" == world.until(world.now + 3, error)
    assert [str(error)] * (world.tries - 1) == world.told
    assert world.tries > 1


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
def test_gives_back(world: World, error: Exception) -> None:
    """What stays away is given up after two minutes, by the name of what was missing."""
    began = world.now
    with pytest.raises(RequeueBatch, match=str(error)):
        world.until(10**9, error)

    assert RETRY_SECONDS <= world.now - began <= RETRY_SECONDS + 5


def test_pauses_grow(world: World) -> None:
    """Pauses grow from half a second to five."""
    with pytest.raises(RequeueBatch):
        world.until(10**9, AWAY[0])

    assert [0.5, 1.0, 2.0, 4.0, 5.0, 5.0] == world.pauses[:6]
    assert 5.0 == max(world.pauses)


def test_not_when_stopping(world: World) -> None:
    """A worker that is to stop does not wait."""
    world.stop.set()
    with pytest.raises(RequeueBatch):
        world.until(10**9, AWAY[0])

    assert (1, []) == (world.tries, world.pauses)


def test_stopping_still_does_what_can_be_done(world: World) -> None:
    """A worker that is to stop commits and releases as long as nothing is away."""
    world.stop.set()

    assert "done" == world.until(0, AWAY[0])


@pytest.mark.parametrize(
    "error", [NotFound("no scan 5"), FetchError(None, "x"), ValueError("a bug")], ids=repr
)
def test_not_for_everything(world: World, error: Exception) -> None:
    """What waiting cannot mend comes through at once."""
    with pytest.raises(type(error)):
        world.until(10**9, error)

    assert 1 == world.tries
