"""When a worker may take work."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import redis

from storage.writes.results import Host
from workers.broker.namespace import Namespace
from workers.host import availability
from workers.host.availability import Availability, pause, unpause
from workers.working_hours import Hours, parse_hours

if TYPE_CHECKING:
    from collections.abc import Iterator

ATTIC = Host("a" * 32, "pi", "aarch64", {})
CELLAR = Host("c" * 32, "pi", "aarch64", {})


@pytest.fixture
def namespace(clean_redis: str) -> Iterator[Namespace]:
    """Return a client of an empty Redis."""
    with redis.Redis.from_url(clean_redis) as client:
        yield Namespace(client, "s1")


def at(monkeypatch: pytest.MonkeyPatch, hour: int, minute: int = 0) -> None:
    """Set this machine's clock."""
    now = time.struct_time((2026, 11, 24, hour, minute, 0, 1, 328, 0))
    monkeypatch.setattr(availability.time, "localtime", lambda: now)


def test_by_label_and_by_id(namespace: Namespace) -> None:
    """A label pauses both hosts that have it, an id pauses one of them."""
    attic, cellar = Availability(namespace, ATTIC, None), Availability(namespace, CELLAR, None)
    assert "" == attic.unavailable_reason() == cellar.unavailable_reason()
    pause(namespace, CELLAR.host_id)
    assert "" == attic.unavailable_reason()
    assert "paused; resume with `scanner unpause`" == cellar.unavailable_reason()
    pause(namespace, "pi")
    assert attic.unavailable_reason()
    assert unpause(namespace, "pi")
    assert not unpause(namespace, "pi")
    assert "" == attic.unavailable_reason()
    assert cellar.unavailable_reason()


def test_broker_unavailable(namespace: Namespace) -> None:
    """A paused worker stays paused while the broker is unavailable."""
    pause(namespace, "pi")
    worker = Availability(namespace, ATTIC, None)
    assert worker.unavailable_reason()
    worker._namespace = Namespace(redis.Redis("127.0.0.1", 1), "s1")

    assert worker.unavailable_reason()


def test_hours(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside its hours a worker waits, and says when they are."""
    worker = Availability(namespace, ATTIC, parse_hours("22-7"))
    at(monkeypatch, 12)
    assert "waiting for its hours, 22:00-07:00" == worker.unavailable_reason()
    at(monkeypatch, 23)
    assert "" == worker.unavailable_reason()


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("22-7", [(22, 0), (23, 59), (0, 0), (6, 59)], [(7, 0), (12, 0), (21, 59)]),
        ("9-17", [(9, 0), (16, 59)], [(8, 59), (17, 0), (0, 0)]),
        ("22:30-7:15", [(22, 30), (7, 14)], [(22, 29), (7, 15)]),
        ("0-24", [(0, 0), (23, 59)], []),
        ("22-24", [(23, 0)], [(0, 0)]),
    ],
)
def test_what_hours_include(
    text: str, inside: list[tuple[int, int]], outside: list[tuple[int, int]]
) -> None:
    """The first minute is included, the last one is not; a range may contain midnight."""
    hours = parse_hours(text)

    assert all(hours.includes(60 * hour + minute) for hour, minute in inside)
    assert not any(hours.includes(60 * hour + minute) for hour, minute in outside)


@pytest.mark.parametrize("text", ["", "22", "22-22", "22-25", "7:60-8", "-1-5", "a-b", "22-7 x"])
def test_invalid_hours(text: str) -> None:
    """Invalid hours are refused."""
    with pytest.raises(ValueError, match=r".*"):
        parse_hours(text)


def test_hours_as_text() -> None:
    """Hours are shown as people write them."""
    assert "22:30-07:05" == str(Hours(22 * 60 + 30, 7 * 60 + 5))
