"""Upgrades of stores that have data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from migrating import migrate

from storage.database.schema import HEAD
from storage.database.store import Store
from storage.reads.progress import count_images
from storage.reads.verdicts import verdict_rows
from storage.records import ListedImage, Outcome, Plan, PlannedDetector, Sidecar, Thresholds
from storage.writes import kept, listing, results, scans

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.writes.results import Run

NET = PlannedDetector("net", "1", "ab" * 32, Thresholds(0.6, 0.9))
MINE = PlannedDetector("mine", "added-1", "cd" * 32, Thresholds(0.5, 0.8))
# As version 0002 stored them: with a second stage, and without one.
DETECTORS = [NET.to_json(), MINE.to_json() | {"strong": True}]
CASCADE = {"rules": 3, "detectors": DETECTORS}
PLAIN = Plan((NET,), rules=3)
# Path, outcome, score, detector and stage of the verdicts of scan 1.
JUDGED = [
    (b"cleared", "no_evidence", 0.1, "mine", 2),
    (b"clear", "no_evidence", 0.2, "net", 1),
    (b"found", "ai", 0.95, "mine", 2),
    (b"waiting", "unsure", 0.7, "net", 1),
]


@pytest.fixture
def store_0002(store_url: str) -> Store:
    """Return a store of version 0002 with a finished scan of two stages, and one of one stage."""
    opened = Store.unchecked(store_url)
    with opened.write() as connection:
        migrate(connection, "0002")
        for table, rows in _rows().items():
            for row in rows:
                connection.execute(sa.insert(sa.table(table, *map(sa.column, row))).values(row))
    return opened


def _rows() -> Mapping[str, list[dict[str, Any]]]:
    """Return the rows of each table, parents before their children; ids count from 1."""
    begun = {
        "collection_id": 1, "broker": "fleet", "created_at": 5.0, "listed_at": 6.0,
        "finished_at": 7.0, "enqueue_seconds": 0.0, "images": 4, "skipped": "{}",
        "unreadable_folders": 0, "choices": "",
    }  # fmt: skip
    attempt = {"attempt": 1, "batch_id": 1, "scan_id": 1, "host_id": "h"}
    times = {"fetch_us": 1, "decode_us": 2, "infer_us": 3}
    images = range(1, len(JUDGED) + 1)
    return {
        "collection": [{"name": "photos", "root": b"/photos", "created_at": 5.0}],
        "plan": [
            {"digest": "0123456789abcdef", "body": _json(CASCADE)},
            {"digest": PLAIN.digest(), "body": _json(PLAIN.to_json())},
        ],
        "host": [{"id": "h", "label": "pi4", "arch": "aarch64", "info": _json({})}],
        "image": [{"collection_id": 1, "path": path} for path, *_ in JUDGED],
        "scan": [
            {"plan_id": 1, **begun, "cancelled_at": 8.0},
            {"plan_id": 2, **begun, "images": 0},
        ],
        "batch": [{"scan_id": 1, "images": 4, "size_bytes": 40, "attempt": 1, "done_at": 7.0}],
        "entry": [
            {"scan_id": 1, "image_id": number, "batch_id": 1, "size_bytes": 10, "mtime_ns": 1}
            for number in images
        ],
        "run": [{"worker": "w", "started_at": 6.0, "ended_at": 7.0, **attempt}],
        "verdict": [
            {
                "scan_id": 1, "image_id": number, "run_id": 1, "outcome": outcome, "score": score,
                "detector": detector, "examined": True, "attempt": 1, "stage": stage, **times,
            }
            for number, (_, outcome, score, detector, stage) in enumerate(JUDGED, 1)
        ],
        "finding": [
            {
                "scan_id": 1, "image_id": number, "detector": detector, "n": 0, "kind": "score",
                "score": score, "text": "",
            }
            for number, (_, _, score, detector, _) in enumerate(JUDGED, 1)
        ],
    }  # fmt: skip


def _json(body: object) -> Any:  # noqa: ANN401 - a bound parameter
    return sa.literal(body, sa.JSON)


def test_verdicts_of_a_second_stage_are_kept(store_0002: Store) -> None:
    """After the upgrade, a scan of two stages reads as before, and what waited is final."""
    upgraded = store_0002.upgrade()
    scan = scans.find_scan(store_0002, 1)
    counts = count_images(store_0002, 1)
    rows = {row.path: row.verdict for row in verdict_rows(store_0002, 1)}
    late = results.Run(1, 1, 1, 9)
    _write(store_0002, late, Outcome.AI)
    after = {row.path: row.verdict for row in verdict_rows(store_0002, 1)}
    store_0002.close()

    assert ("0002", HEAD) == upgraded
    assert "finished" == scan.state
    assert (4, 1, 1, 2, 0) == (
        counts.images, counts.ai, counts.unsure, counts.no_evidence, counts.pending
    )  # fmt: skip
    assert {path: tuple(rest) for path, *rest, _ in JUDGED} == {
        path: (verdict.outcome.value, verdict.score, verdict.detector)
        for path, verdict in rows.items()
        if verdict is not None
    }
    assert rows == after


def test_images_of_earlier_scans_have_no_sidecars(store_0002: Store) -> None:
    """After the upgrade, an image that has a sidecar counts as changed, and others are kept."""
    store_0002.upgrade()
    ids = {row.path: row.image_id for row in verdict_rows(store_0002, 1)}
    sidecars = {b"found": (Sidecar(b"found.xmp", 1, 1),)}
    listed = {
        ids[path]: ListedImage(path, 10, 1, None, sidecars.get(path, ())) for path, *_ in JUDGED
    }
    with store_0002.read() as connection:
        found = kept.find_kept(connection, listed, kept.EarlierScans([1], frozenset(), []))
    store_0002.close()

    assert {ids[path] for path, *_ in JUDGED if path != b"found"} == found.keys()


def _write(store: Store, run: Run, outcome: Outcome) -> None:
    """Write other verdicts on all images, as a late worker would."""
    judged = [row.verdict for row in verdict_rows(store, run.scan_id)]
    results.record_verdicts(
        store,
        run,
        [replace(one, outcome=outcome, findings=()) for one in judged if one is not None],
    )


def test_plans_lose_the_mark_of_the_second_stage(store_0002: Store) -> None:
    """Plans are readable after the upgrade; those without a second stage stay as they were."""
    store_0002.upgrade()
    with_two, plain = (scans.find_scan(store_0002, number).plan for number in (1, 2))
    same = scans.ensure_plan(store_0002, PLAIN)
    store_0002.close()

    assert Plan((NET, MINE), rules=3) == with_two
    assert PLAIN == plain
    assert 2 == same


def test_nothing_is_kept_from_a_second_stage(store_0002: Store) -> None:
    """A new scan with the same detectors is another plan, and judges every image itself."""
    store_0002.upgrade()
    plan_id = scans.ensure_plan(store_0002, scans.find_scan(store_0002, 1).plan)
    begun = scans.new_scan(store_0002, 1, plan_id, "fleet", keep_from=1)
    listed = [ListedImage(path, 10, 1) for path, *_ in JUDGED]
    batch = listing.add_batch(
        store_0002, begun, listed, kept.earlier_scans(store_0002, begun, keeps_verdicts=True)
    )
    store_0002.close()

    assert batch is not None
    assert len(JUDGED) == len(batch.images)


def test_tables_keep_their_form(store_0002: Store) -> None:
    """The table of verdicts stays WITHOUT ROWID, with its foreign keys and indexes."""
    names = {index["name"] for index in sa.inspect(store_0002.engine).get_indexes("verdict")}
    store_0002.upgrade()
    inspector = sa.inspect(store_0002.engine)
    after = {index["name"] for index in inspector.get_indexes("verdict")}
    foreign = {key["referred_table"] for key in inspector.get_foreign_keys("verdict")}
    columns = {column["name"] for column in inspector.get_columns("verdict")}
    with store_0002.read() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        query = "SELECT sql FROM sqlite_master WHERE name = 'verdict'"
        sql = connection.exec_driver_sql(query).scalar_one() if is_sqlite else "WITHOUT ROWID"
    store_0002.close()

    assert names | {"ix_verdict_camera", "ix_verdict_taken"} == after
    assert {"run", "entry"} == foreign
    assert "stage" not in columns
    assert sql.rstrip().endswith("WITHOUT ROWID")
