"""Leases: one worker per batch, and a dead one is noticed within seconds."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
import redis

from storage.records import BatchImage
from workers.broker import leases
from workers.broker.batch_parts import BatchPart
from workers.broker.leases import (
    ImageTimer,
    Lease,
    Orphan,
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
    """Shorten leases for tests."""
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
    """Return whether `condition` becomes true in time."""
    until = time.monotonic() + 20
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def keys(client: redis.Redis) -> tuple[bool, bool]:
    """Return whether the lease exists, and whether the batch is listed as being worked on."""
    return bool(client.exists(lease_key(namespace(client), PART))), bool(
        client.hexists(working_key(namespace(client)), PART.name)
    )


def test_only_one_has_it(client: redis.Redis) -> None:
    """A leased batch cannot be acquired, not even by a worker of the same name."""
    with lease(client) as first, lease(client) as second:
        assert first.acquire()
        assert not second.acquire()
        first.release()


def test_acquired_twice(client: redis.Redis) -> None:
    """A worker that missed the first answer asks again and has its lease."""
    with lease(client) as ours:
        assert ours._run(leases._ACQUIRE, LEASE_SECONDS, PART.name)
        assert ours.acquire()
        ours.release()


def test_release_leaves_nothing(client: redis.Redis) -> None:
    """After a release neither key is left, and the next worker can acquire the batch."""
    with lease(client) as ours:
        ours.acquire()

        assert (True, True) == keys(client)
        ours.release()
        assert (False, False) == keys(client)

    assert [] == orphaned_parts(namespace(client))
    with lease(client) as following:
        assert following.acquire()
        following.release()


def test_no_false_orphans(client: redis.Redis) -> None:
    """Batches that are acquired and released all the time never look orphaned."""
    orphans: list[Orphan] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            orphans.extend(orphaned_parts(namespace(client)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(300):
        with lease(client) as ours:
            ours.acquire()
            ours.release()
    ended.set()
    watcher.join()

    assert [] == orphans


def test_stores_are_independent(client: redis.Redis) -> None:
    """Batches with the same number of two stores in one Redis have separate leases."""
    other = Lease(Namespace(client, "s2"), PART, "host:1", ImageTimer(60.0), print)
    with lease(client) as ours, other:
        assert ours.acquire()
        assert other.acquire()
        ours.release()
        other.release()


def test_invalid_names_are_ignored(client: redis.Redis) -> None:
    """Invalid names in the hash of batches being worked on are ignored."""
    client.hset(
        working_key(namespace(client)),
        mapping={"junk": "x", "-1": "x", "9" * 20: "x", "12": "gone", "12.5": "gone"},
    )

    assert [Orphan(BatchPart(12)), Orphan(BatchPart(12, 5))] == orphaned_parts(namespace(client))


def test_release_during_a_renewal(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewal that is under way during the release does not acquire the lease again."""
    run, ours = Lease._run, lease(client)
    asked, released = threading.Event(), threading.Event()

    def run_(one: Lease, script: str, *arguments: int | str) -> bool:
        if script == leases._ACQUIRE and threading.current_thread() is not threading.main_thread():
            asked.set()
            # Until the release has come through, if it can before this one does.
            released.wait(1)
        answer = run(one, script, *arguments)
        if script == leases._RELEASE:
            released.set()
        return answer

    monkeypatch.setattr(Lease, "_run", run_)
    with ours:
        assert ours.acquire()
        assert asked.wait(20)
        ours.release()

    assert (False, False) == keys(client)


def test_release_keeps_anothers_lease(client: redis.Redis) -> None:
    """A worker that lost its lease does not release the new holder's."""
    with lease(client) as ours:
        ours.acquire()
        client.set(lease_key(namespace(client), PART), "another")
        ours.release()

    assert (True, True) == keys(client)


def test_renewed_while_at_work(client: redis.Redis) -> None:
    """A lease outlasts its expiry as long as its holder lives."""
    with lease(client) as ours:
        ours.acquire()
        time.sleep(2.5 * LEASE_SECONDS)

        assert (True, True) == keys(client)
        assert not ours.lost
        ours.release()


def test_retaken_when_redis_lost_it(client: redis.Redis) -> None:
    """After a FLUSHALL the lease is acquired again, and its batch is listed again."""
    with lease(client) as ours:
        ours.acquire()
        client.flushall()

        assert wait_for(lambda: keys(client) == (True, True))
        assert not ours.lost
        ours.release()


def test_lost_to_another(client: redis.Redis) -> None:
    """A worker sees that another one has its lease, and does not change it."""
    with lease(client) as ours:
        ours.acquire()
        client.set(lease_key(namespace(client), PART), "another")

        assert wait_for(lambda: ours.lost)
    assert b"another" == client.get(lease_key(namespace(client), PART))


def test_orphaned(client: redis.Redis) -> None:
    """A lease that was not released expires, and its batch is orphaned."""
    with lease(client) as ours:
        ours.acquire()

        assert [] == orphaned_parts(namespace(client))

    assert wait_for(lambda: orphaned_parts(namespace(client)) == [Orphan(PART)])
    assert (False, True) == keys(client)
    leases.remove_part(namespace(client), PART)
    assert [] == orphaned_parts(namespace(client))


def test_parts_have_leases_of_their_own(client: redis.Redis) -> None:
    """A part that was split off has a separate lease; the batch is being worked on in both."""
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


def test_batches_without_lease(client: redis.Redis) -> None:
    """Only the batches without any lease are returned."""
    with lease(client) as ours:
        ours.acquire()

        assert [6, 8] == batches_without_lease(namespace(client), [6, 7, 8])
        assert [] == batches_without_lease(namespace(client), [])
        ours.release()


def test_overdue(client: redis.Redis) -> None:
    """An overdue image is reported once, and the lease is no longer renewed."""
    calls: list[None] = []
    timer = ImageTimer(0.0)
    with lease(client, timer, lambda: calls.append(None)) as held:
        held.acquire()
        timer.start()

        assert wait_for(lambda: orphaned_parts(namespace(client)) == [Orphan(PART)])
    assert [None] == calls


def test_overdue_after_losing_the_lease(client: redis.Redis) -> None:
    """An overdue image is reported even if another worker has the lease by now."""
    calls: list[None] = []
    timer = ImageTimer(0.0)
    with lease(client, timer, lambda: calls.append(None)) as held:
        held.acquire()
        client.set(lease_key(namespace(client), PART), "another")
        assert wait_for(lambda: held.lost)
        timer.start()

        assert wait_for(lambda: calls == [None])


def test_overdue_image_is_named(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the process of an overdue image is dead, the orphan has the image's number."""
    monkeypatch.setattr(leases, "LEASE_SECONDS", 600)
    timer, killed = ImageTimer(0.0), threading.Event()
    with lease(client, timer, killed.set) as held:
        held.acquire()
        timer.start(BatchImage(5, b"a.jpg", 1))
        assert killed.wait(20)
        assert [] == orphaned_parts(namespace(client))
        leases.abandon(namespace(client), PART, "host:1")

        assert [Orphan(PART, 5)] == orphaned_parts(namespace(client))


def test_given_up_without_progress(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that makes no progress gives its part up, and does not take it again."""
    monkeypatch.setattr(leases, "LEASE_SECONDS", 600)
    timer = ImageTimer(0.2)
    with lease(client, timer) as held:
        held.acquire()
        for _ in range(10):
            timer.progress()
            time.sleep(0.1)

        assert not held.lost
        assert wait_for(lambda: held.lost)
        assert [Orphan(PART)] == orphaned_parts(namespace(client))
        time.sleep(2 * RENEW_SECONDS)
        assert (False, True) == keys(client)


def test_part_of_a_killed_process(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process' part is an orphan at once, its own only, and even before it had a lease."""
    monkeypatch.setattr(leases, "LEASE_SECONDS", 600)
    with lease(client) as held:
        held.acquire()
        leases.abandon(namespace(client), PART, "host:2")
        leases.abandon(namespace(client), BatchPart(8), "host:1")

        assert [Orphan(BatchPart(8))] == orphaned_parts(namespace(client))
        leases.abandon(namespace(client), PART, "host:1")
        assert [Orphan(PART), Orphan(BatchPart(8))] == orphaned_parts(namespace(client))


def test_waiting_is_not_overdue() -> None:
    """Only the time of the current image counts."""
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
    """A client that receives errors from Redis for a while."""

    refused = 0
    refusing = False

    def evalsha(self, *arguments: object) -> object:  # type: ignore[override]
        """Run a script, or raise an error."""
        if self.refusing:
            self.refused += 1
            raise redis.ConnectionError("away")
        return super().evalsha(*arguments)  # type: ignore[arg-type]


def test_redis_unavailable_for_a_while(clean_redis: str, client: redis.Redis) -> None:
    """Failed renewals are retried, and the lease is acquired again once Redis is back."""
    with Refusing.from_url(clean_redis) as shaky, lease(shaky) as ours:
        ours.acquire()
        shaky.refusing = True

        assert wait_for(lambda: shaky.refused > 2 and keys(client) == (False, True))
        shaky.refusing = False
        assert wait_for(lambda: keys(client) == (True, True))
        assert not ours.lost
        ours.release()


def test_no_thread_is_left(client: redis.Redis) -> None:
    """The renewing thread ends with its lease; a lease that was not acquired has none."""
    before = threading.active_count()
    with lease(client) as ours, lease(client) as refused:
        ours.acquire()
        refused.acquire()
        ours.release()

    assert before == threading.active_count()
