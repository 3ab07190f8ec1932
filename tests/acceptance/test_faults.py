"""Failures during a scan: no image is lost and none is judged twice."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import redis
import sqlalchemy as sa

from storage.database.schema import run
from storage.database.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    # The types of the fixtures, see conftest.py.
    Fleet = Any
    Proxy = Any

IMAGES = 400


def enqueue(fleet: Fleet, photos: Path) -> int:
    """Enqueue the photographs; return the number of the scan."""
    # Searching for faces, of which there are none, takes long enough to kill a process meanwhile.
    answer = fleet.cli.json("enqueue", photos, "--detectors", "faces,provenance", "--json")
    assert IMAGES == answer["images"]
    return int(answer["scan"])


def attempts(fleet: Fleet, scan_id: int) -> set[int]:
    """Return the attempts at the scan's batches."""
    return of_runs(fleet, scan_id, run.c.attempt)


def workers_of(fleet: Fleet, scan_id: int) -> set[str]:
    """Return the names of the worker processes that have taken a batch of the scan."""
    return of_runs(fleet, scan_id, run.c.worker)


def of_runs(fleet: Fleet, scan_id: int, column: sa.Column[Any]) -> set[Any]:
    """Return the values of a column in the scan's runs."""
    store = Store.open(fleet.store_url)
    with store.read() as connection:
        found = set(connection.scalars(sa.select(column).where(run.c.scan_id == scan_id)))
    store.close()
    return found


def children_of(pid: int) -> list[int]:
    """Return the child processes of a process."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_of(pid: int) -> bytes:
    """Return the command line of a process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_undisturbed(fleet: Fleet, photos: Path) -> None:
    """Two workers judge every image once."""
    fleet.work()
    fleet.work()
    scan_id = enqueue(fleet, photos)

    fleet.wait(scan_id, lambda seen: seen.pending == 0)

    fleet.assert_each_image_once(scan_id, IMAGES)
    assert {1} == attempts(fleet, scan_id)


def test_kill_main_process(fleet: Fleet, photos: Path) -> None:
    """Another worker takes over the batch of a killed worker without help."""
    victim = fleet.work("--no-rescuer")
    fleet.work()
    scan_id = enqueue(fleet, photos)
    # Both have begun, so the victim has a batch.
    fleet.wait(scan_id, lambda _: len(workers_of(fleet, scan_id)) == 2)
    # Kill its child at the same time, like a loss of power.
    for pid in (victim.pid, *children_of(victim.pid)):
        os.kill(pid, signal.SIGKILL)

    fleet.wait(scan_id, lambda seen: seen.pending == 0)

    fleet.assert_each_image_once(scan_id, IMAGES)
    assert {1, 2} == attempts(fleet, scan_id)


def test_kill_pool_child(fleet: Fleet, photos: Path) -> None:
    """A worker whose child is killed starts another, and the batch is finished."""
    worker = fleet.work("--no-rescuer")
    fleet.work()
    scan_id = enqueue(fleet, photos)
    fleet.wait(scan_id, lambda seen: seen.judged >= IMAGES // 10)
    (child,) = children_of(worker.pid)
    os.kill(child, signal.SIGKILL)

    fleet.wait(scan_id, lambda seen: seen.pending == 0)

    assert worker.poll() is None
    fleet.assert_each_image_once(scan_id, IMAGES)
    worker.send_signal(signal.SIGTERM)
    said = worker.communicate(timeout=60)[1].splitlines()
    # All lines have one format, including Celery's, except for the first one, which is for people.
    assert [line for line in said if f"pid:{child} exited with 'signal 9 (SIGKILL)'" in line]
    assert [] == [line for line in said[1:] if not line.startswith("time=")]


def test_kill_rescuer(fleet: Fleet, photos: Path, clean_redis: str) -> None:
    """A worker whose rescuer is killed starts another, which fills a lost queue again."""
    worker = fleet.work()
    scan_id = enqueue(fleet, photos)
    fleet.wait(scan_id, lambda seen: seen.judged >= IMAGES // 10)
    (rescuer,) = [
        pid for pid in children_of(worker.pid) if b"scanner.fleet.rescuer" in command_of(pid)
    ]
    os.kill(rescuer, signal.SIGKILL)
    with redis.Redis.from_url(clean_redis) as client:
        client.flushall()

    fleet.wait(scan_id, lambda seen: seen.pending == 0)

    fleet.assert_each_image_once(scan_id, IMAGES)


def test_flush_redis(fleet: Fleet, photos: Path, clean_redis: str) -> None:
    """`resume` fills a lost queue again."""
    fleet.work("--no-rescuer")
    scan_id = enqueue(fleet, photos)
    fleet.wait(scan_id, lambda seen: seen.judged >= IMAGES // 10)
    with redis.Redis.from_url(clean_redis) as client:
        client.flushall()
    fleet.cli.run("resume", str(scan_id))

    fleet.wait(scan_id, lambda seen: seen.pending == 0)

    fleet.assert_each_image_once(scan_id, IMAGES)


def test_flush_redis_with_a_rescuer(fleet: Fleet, photos: Path, clean_redis: str) -> None:
    """The rescuer fills a lost queue again too."""
    fleet.work()
    scan_id = enqueue(fleet, photos)
    fleet.wait(scan_id, lambda seen: seen.judged >= IMAGES // 10)
    with redis.Redis.from_url(clean_redis) as client:
        client.flushall()

    fleet.wait(scan_id, lambda seen: seen.pending == 0)

    fleet.assert_each_image_once(scan_id, IMAGES)


def test_sigterm_requeues(fleet: Fleet, photos: Path) -> None:
    """A worker that is told to stop does so at the next image; another continues its batch."""
    first = fleet.work("--no-rescuer")
    scan_id = enqueue(fleet, photos)
    fleet.wait(scan_id, lambda seen: seen.judged >= IMAGES // 10)
    first.send_signal(signal.SIGTERM)

    assert 0 == first.wait(timeout=30)
    assert fleet.counts(scan_id).pending > 0

    fleet.work("--no-rescuer")
    fleet.wait(scan_id, lambda seen: seen.pending == 0)

    fleet.assert_each_image_once(scan_id, IMAGES)
    assert {1} == attempts(fleet, scan_id)


def test_slow_and_interrupted_queue(
    fleet: Fleet, photos: Path, clean_redis: str, proxy_to: Callable[..., Proxy]
) -> None:
    """Workers 30 ms from their queue finish the scan although connections are cut repeatedly."""
    near = sa.make_url(clean_redis)
    proxy = proxy_to((near.host, near.port), delay=0.03)
    far = near.set(port=proxy.port).render_as_string(hide_password=False)
    for _ in range(2):
        fleet.work("--broker", far)
    scan_id = enqueue(fleet, photos)
    for fifth in range(1, 5):
        fleet.wait(scan_id, lambda seen, fifth=fifth: seen.judged >= fifth * IMAGES // 5)
        before = proxy.count
        proxy.shut()
        proxy.open()
        fleet.wait(scan_id, lambda _, before=before: proxy.count > before)

    fleet.wait(scan_id, lambda seen: seen.pending == 0)

    fleet.assert_each_image_once(scan_id, IMAGES)


def test_postgres_unreachable(
    fleet_on: Callable[[str], Fleet],
    proxy_to: Callable[..., Proxy],
    postgres_url: str,
    photos: Path,
) -> None:
    """Workers wait for a Postgres that is unreachable for a minute."""
    url = sa.make_url(postgres_url)
    proxy = proxy_to(f"{url.query['host']}/.s.PGSQL.{url.port or 5432}")
    through = url.set(host="127.0.0.1", port=proxy.port, query={})
    fleet = fleet_on(through.render_as_string(hide_password=False))
    fleet.work()
    scan_id = enqueue(fleet, photos)
    fleet.wait(scan_id, lambda seen: seen.judged >= IMAGES // 10)
    proxy.shut()
    time.sleep(60)
    proxy.open()

    fleet.wait(scan_id, lambda seen: seen.pending == 0)

    fleet.assert_each_image_once(scan_id, IMAGES)


def test_sqlite_locked(fleet_on: Callable[[str], Fleet], tmp_path: Path, photos: Path) -> None:
    """Workers wait for an SQLite store that is locked for longer than the busy timeout."""
    fleet = fleet_on(f"sqlite:///{tmp_path}/store.db")
    fleet.work()
    scan_id = enqueue(fleet, photos)
    fleet.wait(scan_id, lambda seen: seen.judged >= IMAGES // 10)
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as locking:
        locking.execute("BEGIN IMMEDIATE")
        time.sleep(35)
        locking.execute("ROLLBACK")

    fleet.wait(scan_id, lambda seen: seen.pending == 0)

    fleet.assert_each_image_once(scan_id, IMAGES)
