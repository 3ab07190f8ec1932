"""Collections, plans and scans."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from storage.database.schema import batch as batches
from storage.database.schema import collection, entry, finding, image, run, scan, verdict
from storage.errors import NameTaken, NotFound, StoreError
from storage.reads.progress import count_images
from storage.records import Finding, Outcome, Plan, PlannedDetector, Thresholds
from storage.writes import results, scans

if TYPE_CHECKING:
    from storage.database.store import Store
    from tests.storage.conftest import Fill


def rows(store: Store, *tables: sa.Table) -> list[int]:
    """Return the number of rows of each table."""
    with store.read() as connection:
        return [
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in tables
        ]


def test_collection_is_made_once(store: Store) -> None:
    """The same name and root are the same collection; another name is another one."""
    first = scans.ensure_collection(store, "photos", b"/photos")
    again = scans.ensure_collection(store, "photos", b"/photos")
    other = scans.ensure_collection(store, "more", b"/photos")

    assert again == first
    assert other != first


def test_name_that_stands_for_another_root(store: Store) -> None:
    """A name in use is rejected with both roots, escaped, and a way out."""
    scans.ensure_collection(store, "photos", b"/mnt/\xff")

    with pytest.raises(NameTaken, match="--name") as refused:
        scans.ensure_collection(store, "photos", b"/home/ann")
    assert r"already used for /mnt/\xff" in str(refused.value)
    assert "/home/ann" in str(refused.value)


def test_plan_is_known_by_its_digest(store: Store) -> None:
    """The same plan has the same id, and is read with the scan."""
    plan = Plan((PlannedDetector("ü", "1", "ab" * 32, Thresholds(0.5, 0.9)),), rules=1)
    first = scans.ensure_plan(store, plan)
    again = scans.ensure_plan(store, Plan(plan.detectors, rules=1))
    other = scans.ensure_plan(store, Plan(plan.detectors, rules=2))
    collection_id = scans.ensure_collection(store, "photos", b"/p")

    assert again == first != other
    assert scans.new_scan(store, collection_id, first, "fleet").plan == plan


def test_latest_scan_is_meant_where_none_is_named(fill: Fill) -> None:
    """A scan is found by its id; without one, the latest is found."""
    first, second = fill.scan(), fill.scan()

    assert scans.find_scan(fill.store) == second
    assert scans.find_scan(fill.store, first.scan_id) == first


def test_no_such_scan(store: Store, fill: Fill) -> None:
    """An empty store tells how to begin; an unknown id, how to list scans."""
    with pytest.raises(NotFound, match="scanner scan FOLDER"):
        scans.find_scan(store)
    fill.scan()
    with pytest.raises(NotFound, match=r"Scan not found: 77 .*scanner scans"):
        scans.find_scan(store, 77)


def test_scans_are_listed_latest_first(fill: Fill) -> None:
    """All scans, or those of one collection, are listed latest first."""
    first, other, last = fill.scan("a"), fill.scan("b"), fill.scan("a")
    everything = scans.list_scans(fill.store)
    of_a = scans.list_scans(fill.store, collection_id=first.collection_id)

    assert [one.scan_id for one in everything] == [last.scan_id, other.scan_id, first.scan_id]
    assert [one.scan_id for one in of_a] == [last.scan_id, first.scan_id]


def test_scan_is_finished_when_listed_and_judged(fill: Fill) -> None:
    """A scan is finished by the end of the walk or by its last batch, whichever is later."""
    listed_last = fill.scan()
    batch = fill.batch(listed_last, b"a")
    assert batch is not None
    fill.judge(batch, fill.verdict(batch.images[0].image_id))
    open_still = scans.find_scan(fill.store, listed_last.scan_id).finished_at
    scans.mark_listed(fill.store, listed_last.scan_id, {"raw": 2}, 1)
    closed = scans.find_scan(fill.store, listed_last.scan_id)

    judged_last = fill.scan()
    batch = fill.batch(judged_last, b"a")
    assert batch is not None
    scans.mark_listed(fill.store, judged_last.scan_id, {}, 0)
    fill.judge(batch, fill.verdict(batch.images[0].image_id))

    assert open_still is None
    assert closed.finished_at is not None
    assert (closed.skipped, closed.unreadable_folders) == ({"raw": 2}, 1)
    assert scans.find_scan(fill.store, judged_last.scan_id).finished_at is not None


def test_scan_without_images_is_finished_by_its_walk(fill: Fill) -> None:
    """An empty folder makes a finished scan."""
    empty = fill.scan()
    scans.mark_listed(fill.store, empty.scan_id, {}, 0)

    assert scans.find_scan(fill.store, empty.scan_id).finished_at is not None


def test_enqueue_seconds_add_up(fill: Fill) -> None:
    """The durations of two enqueues add up."""
    scan_id = fill.scan().scan_id
    scans.add_enqueue_seconds(fill.store, scan_id, 1.5)
    scans.add_enqueue_seconds(fill.store, scan_id, 2.25)

    assert scans.find_scan(fill.store, scan_id).enqueue_seconds == 3.75


def test_cancelled_scan_is_not_begun(fill: Fill) -> None:
    """No batch of a cancelled scan is begun until it gets an owner again."""
    cancelled = fill.scan()
    batch = fill.batch(cancelled, b"a")
    assert batch is not None
    scans.cancel(fill.store, cancelled.scan_id)
    refused = results.begin_run(fill.store, batch.batch_id, 1, ("h1", "w"))
    scans.change_owner(fill.store, cancelled.scan_id, "mine")

    assert refused is None
    assert results.begin_run(fill.store, batch.batch_id, 1, ("h1", "w")) is not None
    assert scans.find_scan(fill.store, cancelled.scan_id).owner == "mine"


def test_forgotten_scan_leaves_nothing(fill: Fill) -> None:
    """A collection is deleted with its only scan."""
    forgotten = fill.scan()
    batch = fill.batch(forgotten, b"a", b"b")
    assert batch is not None
    said = Finding("objects-32", "score", 0.25)
    fill.judge(batch, *(fill.verdict(i.image_id, Outcome.AI, said) for i in batch.images))
    scans.forget(fill.store, forgotten.scan_id)
    tables = (scan, collection, image, entry, run, verdict, finding)

    assert rows(fill.store, *tables) == [0] * len(tables)


def test_forgotten_scan_leaves_others_alone(fill: Fill) -> None:
    """Forgetting a scan keeps images and verdicts that another scan has."""
    source = fill.scan("photos")
    batch = fill.batch(source, b"a", b"gone")
    assert batch is not None
    fill.judge(batch, *(fill.verdict(one.image_id, Outcome.AI) for one in batch.images))
    later = fill.scan("photos")
    fill.batch(later, b"a", keep_from=source.scan_id)
    other = fill.scan("other")
    fill.batch(other, b"x")
    scans.forget(fill.store, source.scan_id)

    assert rows(fill.store, image, collection) == [2, 2]
    assert fill.outcomes(later) == {b"a": "ai"}
    assert count_images(fill.store, later.scan_id).kept == 1
    assert fill.outcomes(other) == {b"x": "pending"}


def test_verdict_that_comes_after_its_scan_was_forgotten(fill: Fill) -> None:
    """Writing results of a forgotten scan raises StoreError."""
    forgotten = fill.scan()
    batch = fill.batch(forgotten, b"a")
    assert batch is not None
    at_it = fill.run(batch)
    scans.forget(fill.store, forgotten.scan_id)

    with pytest.raises(StoreError):
        results.record_verdicts(fill.store, at_it, [fill.verdict(batch.images[0].image_id)])


def test_last_two_batches_at_once(fill: Fill) -> None:
    """Workers that finish the last two batches at the same time finish the scan."""
    made = fill.scan()
    one, two = fill.batch(made, b"a"), fill.batch(made, b"b")
    assert one is not None
    assert two is not None
    scans.mark_listed(fill.store, made.scan_id, {}, 0)
    runs = [fill.run(one), fill.run(two)]
    for batch, run_of in zip((one, two), runs, strict=True):
        results.record_verdicts(fill.store, run_of, [fill.verdict(batch.images[0].image_id)])
    with ThreadPoolExecutor(1) as pool:
        with fill.store.write() as connection:
            done = sa.update(batches).where(batches.c.id == one.batch_id).values(done_at=1.0)
            connection.execute(done)
            scans.finish_if_done(connection, made.scan_id)
            other = pool.submit(results.finish_batch, fill.store, runs[1])
            wait([other], timeout=0.5)
        other.result()

    assert scans.find_scan(fill.store, made.scan_id).finished_at is not None


def test_scan_that_was_left_unfinished_is_settled(fill: Fill) -> None:
    """A scan is marked finished only without unfinished batches."""
    stuck, going = fill.scan(), fill.scan()
    batch = fill.batch(stuck, b"a")
    assert batch is not None
    fill.judge(batch, fill.verdict(batch.images[0].image_id))
    fill.batch(going, b"a")
    listed = sa.update(scan).values(listed_at=1.0)
    with fill.store.write() as connection:
        connection.execute(listed)
    for each in (stuck, going):
        scans.finish_scan_if_done(fill.store, each.scan_id)

    assert scans.find_scan(fill.store, stuck.scan_id).finished_at is not None
    assert scans.find_scan(fill.store, going.scan_id).finished_at is None


def test_numbers_are_not_given_again(fill: Fill) -> None:
    """Ids of forgotten scans, batches and images are not reused."""
    old = fill.scan("photos")
    old_batch = fill.batch(old, b"a")
    assert old_batch is not None
    scans.forget(fill.store, old.scan_id)
    new = fill.scan("photos")
    new_batch = fill.batch(new, b"a")
    assert new_batch is not None

    assert new.scan_id > old.scan_id
    assert new_batch.batch_id > old_batch.batch_id
    assert new_batch.images[0].image_id > old_batch.images[0].image_id


def test_scan_records_what_it_keeps(fill: Fill) -> None:
    """A scan records the scan whose verdicts it keeps, if any."""
    first = fill.scan("photos")
    second = scans.new_scan(
        fill.store, first.collection_id, first.plan_id, "fleet", keep_from=first.scan_id
    )

    assert first.keep_from is None
    assert scans.find_scan(fill.store, second.scan_id).keep_from == first.scan_id
