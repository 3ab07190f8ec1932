"""Leases: one worker to a batch, found out within seconds when it is gone."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
import redis

from workers.broker import leases
from workers.broker.batch_parts import BatchPart
from workers.broker.leases import (
    ImageTimer,
    Lease,
    batches_without_lease,
    lease_key,
    orphaned_parts,
    working_key,
)
from workers.broker.namespace import Namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PART = BatchPart(7)
# Instead of 20 s and 5 s; Redis counts whole seconds here.
LEASE_SECONDS, RENEW_SECONDS = 1, 0.1


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that run out within a test's patience."""
    monkeypatch.setattr(leases, "LEASE_SECONDS", LEASE_SECONDS)
    monkeypatch.setattr(leases, "RENEW_SECONDS", RENEW_SECONDS)


@pytest.fixture
def client(clean_redis: str) -> Iterator[redis.Redis]:
    """Return a client of an empty broker."""
    with redis.Redis.from_url(clean_redis) as opened:
        yield opened


def namespace(client: redis.Redis) -> Namespace:
    """Return a store's namespace in that Redis."""
    return Namespace(client, "s1")


def lease(client: redis.Redis, timer: ImageTimer | None = None, on_overdue: object = None) -> Lease:
    """Return a lease on the batch that is not acquired yet."""

    def never() -> None:
        raise AssertionError("no image has overrun")

    callback: Callable[[], object] = on_overdue if callable(on_overdue) else never
    return Lease(namespace(client), PART, "host:1", timer or ImageTimer(60.0), callback)


def wait_for(condition: Callable[[], object]) -> bool:
    """Whether `condition` comes true in time."""
    until = time.monotonic() + 20
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def keys(client: redis.Redis) -> tuple[bool, bool]:
    """Whether the lease stands, and whether the batch is listed as at work."""
    return bool(client.exists(lease_key(namespace(client), PART))), bool(
        client.hexists(working_key(namespace(client)), PART.name)
    )


def test_only_one_has_it(client: redis.Redis) -> None:
    """A batch that somebody has cannot be had, not even by a worker of the same name."""
    with lease(client) as first, lease(client) as second:
        assert first.acquire()
        assert not second.acquire()
        first.release()


def test_asked_twice(client: redis.Redis) -> None:
    """A worker whose first answer was lost asks again and has its lease."""
    with lease(client) as ours:
        assert ours._run(leases._ACQUIRE, LEASE_SECONDS, PART.name)
        assert ours.acquire()
        ours.release()


def test_release_leaves_nothing(client: redis.Redis) -> None:
    """After an orderly end there is no lease and nobody at work, and the next one can begin."""
    with lease(client) as ours:
        ours.acquire()

        assert (True, True) == keys(client)
        ours.release()
        assert (False, False) == keys(client)

    assert [] == orphaned_parts(namespace(client))
    with lease(client) as following:
        assert following.acquire()
        following.release()


def test_nobody_is_seen_to_have_left_who_has_not(client: redis.Redis) -> None:
    """Batches that are taken and released all the time never look as if they had been left."""
    seen: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            seen.extend(orphaned_parts(namespace(client)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(300):
        with lease(client) as ours:
            ours.acquire()
            ours.release()
    ended.set()
    watcher.join()

    assert [] == seen


def test_another_store_has_its_own(client: redis.Redis) -> None:
    """Batches of one number of two stores that share a Redis are not in each other's way."""
    other = Lease(Namespace(client, "s2"), PART, "host:1", ImageTimer(60.0), print)
    with lease(client) as ours, other:
        assert ours.acquire()
        assert other.acquire()
        ours.release()
        other.release()


def test_junk_among_those_at_work(client: redis.Redis) -> None:
    """What somebody else wrote among the batches at work is passed over."""
    client.hset(
        working_key(namespace(client)),
        mapping={"junk": "x", "-1": "x", "9" * 20: "x", "12": "gone", "12.5": "gone"},
    )

    assert [BatchPart(12), BatchPart(12, 5)] == orphaned_parts(namespace(client))


def test_release_during_a_renewal(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewal that is on its way just as the lease is released does not set it up again."""
    run, ours = client.eval, lease(client)
    asked, released = threading.Event(), threading.Event()

    def eval_(script: str, *arguments: object) -> object:
        if script == leases._ACQUIRE and threading.current_thread() is not threading.main_thread():
            asked.set()
            # Until the release has come through, if it can before this one does.
            released.wait(1)
        answer = run(script, *arguments)
        if script == leases._RELEASE:
            released.set()
        return answer

    monkeypatch.setattr(client, "eval", eval_)
    with ours:
        assert ours.acquire()
        assert asked.wait(20)
        ours.release()

    assert (False, False) == keys(client)


def test_release_leaves_anothers_alone(client: redis.Redis) -> None:
    """A worker that lost its lease does not release the one that another worker has now."""
    with lease(client) as ours:
        ours.acquire()
        client.set(lease_key(namespace(client), PART), "another")
        ours.release()

    assert (True, True) == keys(client)


def test_renewed_while_at_work(client: redis.Redis) -> None:
    """A lease outlasts its time as long as its holder lives."""
    with lease(client) as ours:
        ours.acquire()
        time.sleep(2.5 * LEASE_SECONDS)

        assert (True, True) == keys(client)
        assert not ours.lost
        ours.release()


def test_retaken_when_redis_lost_it(client: redis.Redis) -> None:
    """After a FLUSHALL the lease is there again, and its batch is listed as at work."""
    with lease(client) as ours:
        ours.acquire()
        client.flushall()

        assert wait_for(lambda: keys(client) == (True, True))
        assert not ours.lost
        ours.release()


def test_lost_to_another(client: redis.Redis) -> None:
    """A worker sees that another one has its batch, and leaves that one's lease as it is."""
    with lease(client) as ours:
        ours.acquire()
        client.set(lease_key(namespace(client), PART), "another")

        assert wait_for(lambda: ours.lost)
    assert b"another" == client.get(lease_key(namespace(client), PART))


def test_left_behind(client: redis.Redis) -> None:
    """A lease that was not released runs out, and its batch shows as left behind."""
    with lease(client) as ours:
        ours.acquire()

        assert [] == orphaned_parts(namespace(client))

    assert wait_for(lambda: orphaned_parts(namespace(client)) == [PART])
    assert (False, True) == keys(client)
    leases.remove_part(namespace(client), PART)
    assert [] == orphaned_parts(namespace(client))


def test_a_part_is_its_own(client: redis.Redis) -> None:
    """What was split off a batch is leased beside what was kept; the batch is at work in both."""
    with (
        lease(client) as kept,
        Lease(namespace(client), BatchPart(7, 5), "x", ImageTimer(60.0), print) as rest,
    ):
        assert kept.acquire()
        assert rest.acquire()
        kept.release()

        assert [6, 8] == batches_without_lease(namespace(client), [6, 7, 8])
        rest.release()
    assert [6, 7, 8] == batches_without_lease(namespace(client), [6, 7, 8])


def test_unleased(client: redis.Redis) -> None:
    """Of some batches, those that nobody is at work on are told."""
    with lease(client) as ours:
        ours.acquire()

        assert [6, 8] == batches_without_lease(namespace(client), [6, 7, 8])
        assert [] == batches_without_lease(namespace(client), [])
        ours.release()


def test_overrun(client: redis.Redis) -> None:
    """An image that overruns its time is told of once, and the lease is renewed no more."""
    told: list[None] = []
    timer = ImageTimer(0.0)
    with lease(client, timer, lambda: told.append(None)) as ours:
        ours.acquire()
        timer.start()

        assert wait_for(lambda: orphaned_parts(namespace(client)) == [PART])
    assert [None] == told


def test_overrun_of_what_is_lost(client: redis.Redis) -> None:
    """An image that hangs is ended also where another worker has its batch by now."""
    told: list[None] = []
    timer = ImageTimer(0.0)
    with lease(client, timer, lambda: told.append(None)) as ours:
        ours.acquire()
        client.set(lease_key(namespace(client), PART), "another")
        assert wait_for(lambda: ours.lost)
        timer.start()

        assert wait_for(lambda: told == [None])


def test_waiting_is_no_overrun() -> None:
    """Time in which no image is at work is not counted, nor that of the image before."""
    timer = ImageTimer(0.05)
    assert not timer.is_overdue()
    timer.start()
    time.sleep(0.06)
    assert timer.is_overdue()
    timer.stop()
    assert not timer.is_overdue()
    timer.start()
    assert not timer.is_overdue()


class Refusing(redis.Redis):
    """A client to whom Redis gives errors for a while."""

    refused = 0
    refusing = False

    def eval(self, *arguments: object) -> object:  # type: ignore[override]
        """As Redis', or an error."""
        if self.refusing:
            self.refused += 1
            raise redis.ConnectionError("away")
        return super().eval(*arguments)  # type: ignore[arg-type]


def test_redis_away_for_a_while(clean_redis: str, client: redis.Redis) -> None:
    """Renewals that fail are tried again; the lease is taken back when Redis is."""
    with Refusing.from_url(clean_redis) as shaky, lease(shaky) as ours:
        ours.acquire()
        shaky.refusing = True

        assert wait_for(lambda: shaky.refused > 2 and keys(client) == (False, True))
        shaky.refusing = False
        assert wait_for(lambda: keys(client) == (True, True))
        assert not ours.lost
        ours.release()


def test_no_thread_is_left(client: redis.Redis) -> None:
    """The thread that renews ends with its lease; one that was never had has none."""
    before = threading.active_count()
    with lease(client) as ours, lease(client) as refused:
        ours.acquire()
        refused.acquire()
        ours.release()

    assert before == threading.active_count()
