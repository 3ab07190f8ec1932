"""Copies of an SQLite store."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from storage.database.backup import backup
from storage.database.store import Store
from storage.errors import StoreError
from storage.reads.progress import count_images
from storage.writes.scans import find_scan

if TYPE_CHECKING:
    from pathlib import Path

    from tests.storage.conftest import Fill


def test_backup_is_a_store(sqlite_fill: Fill, tmp_path: Path) -> None:
    """A copy is a store with everything that was committed, even if only to the write-ahead log."""
    scan = sqlite_fill.scan()
    batch = sqlite_fill.batch(scan, b"a", b"b")
    assert batch is not None
    sqlite_fill.judge(batch, sqlite_fill.verdict(batch.images[0].image_id))
    size_bytes = backup(sqlite_fill.store, tmp_path / "copy.db")
    copy = Store.open(str(tmp_path / "copy.db"))
    found = count_images(copy, find_scan(copy).scan_id)
    copy.close()

    assert (found.images, found.no_evidence, found.pending) == (2, 1, 1)
    assert size_bytes > 0


def test_backup_in_mid_scan(sqlite_fill: Fill, tmp_path: Path) -> None:
    """A copy made while others write has only complete transactions: its counts add up."""
    scan = sqlite_fill.scan()
    stop = threading.Event()

    def list_and_judge() -> None:
        while not stop.is_set():
            batch = sqlite_fill.batch(scan, *(b"%d" % next(sqlite_fill.names) for _ in range(5)))
            assert batch is not None
            sqlite_fill.judge(batch, *(sqlite_fill.verdict(i.image_id) for i in batch.images))

    writer = threading.Thread(target=list_and_judge)
    writer.start()
    try:
        for number in range(5):
            backup(sqlite_fill.store, tmp_path / f"copy-{number}.db")
    finally:
        stop.set()
        writer.join()
    for number in range(5):
        copy = Store.open(str(tmp_path / f"copy-{number}.db"))
        found = count_images(copy, scan.scan_id)
        with copy.read() as connection:
            check = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        copy.close()

        assert (check, broken) == ("ok", [])
        assert found.images % 5 == 0
        assert found.judged % 5 == 0


def test_nothing_is_overwritten(sqlite_fill: Fill, tmp_path: Path) -> None:
    """An existing file is not overwritten."""
    there = tmp_path / "there"
    there.write_text("precious")

    with pytest.raises(FileExistsError):
        backup(sqlite_fill.store, there)
    assert there.read_text() == "precious"


def test_backup_that_fails_leaves_nothing(sqlite_fill: Fill, tmp_path: Path) -> None:
    """Copying a damaged database raises an error and leaves no file."""
    sqlite_fill.store.close()
    for log in tmp_path.glob("store.db-*"):
        log.unlink()
    (tmp_path / "store.db").write_bytes(b"SQLite format 3\0" + b"rubbish" * 4096)

    with pytest.raises(Exception, match=r"cannot be copied|malformed|not a database"):
        backup(sqlite_fill.store, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_postgres_has_its_own_tool(postgres_url: str, tmp_path: Path) -> None:
    """A Postgres store is rejected with the name of the tool that copies it."""
    store = Store.unchecked(postgres_url)

    with pytest.raises(StoreError, match="pg_dump"):
        backup(store, tmp_path / "copy")
    store.close()
    assert not (tmp_path / "copy").exists()
