"""A store that is away, locked, silent, full, or cut off at the worst moment."""

from __future__ import annotations

import signal
import sqlite3
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import pytest
import sqlalchemy as sa
from stage import broken, fill_disk, pool_children

from storage.database.schema import HEAD
from storage.database.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from stage import Stage, Verdicts

    # See conftest.py.
    OwnPostgres = Any

SILENT_S = 60
LOCKED_S = 35
# Seconds that the transaction of an upgrade takes.
UPGRADE_S = 5
FULL_S = 20


@contextmanager
def silent(postgres_url: str) -> Iterator[None]:
    """Stop every process of the server; its kernel still accepts and acknowledges."""
    folder = sa.make_url(postgres_url).query["host"]
    (postmaster,) = [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "postgres"
        and str(folder) in " ".join(process.info["cmdline"] or ())
    ]
    processes = [postmaster, *postmaster.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


@pytest.mark.faults
def test_postgres_silent(postgres_stage: Stage, postgres_url: str, expected: Verdicts) -> None:
    """Workers give up waiting for a silent Postgres, and go on when it answers."""
    stage = postgres_stage
    stage.work()
    stage.work()
    stage.enqueue()
    stage.wait_begun()
    with stage.fault(), silent(postgres_url):
        time.sleep(SILENT_S)

    stage.finish(f"Postgres silent for {SILENT_S} s", expected)


@pytest.mark.faults
def test_stopped_while_postgres_is_silent(
    postgres_stage: Stage, postgres_url: str, expected: Verdicts
) -> None:
    """A worker that is told to stop while Postgres hangs ends in time, with all its processes."""
    stage = postgres_stage
    worker = stage.work()
    stage.enqueue()
    stage.wait_begun()
    with stage.fault():
        with silent(postgres_url):
            time.sleep(3)
            worker.send_signal(signal.SIGTERM)
            assert 0 == worker.wait(60)
        stage.work()

    stage.finish("SIGTERM while Postgres is silent", expected)


@pytest.mark.faults
def test_one_worker_cut_off_from_postgres(
    postgres_stage: Stage,
    postgres_url: str,
    proxy_to: Callable[..., Any],
    expected: Verdicts,
) -> None:
    """The batch of a worker whose store is silent goes to another worker."""
    stage = postgres_stage
    url = sa.make_url(postgres_url)
    proxy = proxy_to(f"{url.query['host']}/.s.PGSQL.{url.port or 5432}")
    far = url.set(host="127.0.0.1", port=proxy.port, query={})
    stage.work(SCANNER_STORE_URL=far.render_as_string(hide_password=False))
    stage.enqueue()
    stage.wait_begun()
    with stage.fault():
        # It holds data back and cuts nothing.
        proxy.hold()
    stage.work()

    stage.wait(lambda seen: seen.pending == 0)
    proxy.release()
    stage.finish("one worker's Postgres silent for good", expected)


@pytest.mark.faults
@pytest.mark.parametrize("times", [5])
def test_postgres_backends_killed(
    postgres_stage: Stage, postgres_url: str, expected: Verdicts, times: int
) -> None:
    """Workers connect again when the server ends their connections."""
    stage = postgres_stage
    stage.work()
    stage.work()
    stage.enqueue()
    stage.wait_begun()
    plain = postgres_url.replace("postgresql+psycopg", "postgresql")
    with stage.fault(), psycopg.connect(plain, autocommit=True) as connection:
        for _ in range(times):
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            time.sleep(1)

    stage.finish(f"connections ended by Postgres {times} times", expected)


@pytest.mark.faults
def test_postgres_restarted(
    stage_on: Callable[..., Stage], own_postgres: OwnPostgres, expected: Verdicts
) -> None:
    """Workers wait for a Postgres that is killed and recovers."""
    stage = stage_on(own_postgres.url)
    stage.work()
    stage.work()
    stage.enqueue()
    stage.wait_begun()
    with stage.fault():
        own_postgres.kill()
        time.sleep(5)
        own_postgres.start()

    stage.finish("Postgres killed and restarted", expected)


@pytest.mark.faults
@pytest.mark.parametrize("times", [4])
def test_cut_between_commit_and_answer(
    postgres_stage: Stage,
    postgres_url: str,
    proxy_to: Callable[..., Any],
    expected: Verdicts,
    times: int,
) -> None:
    """A commit whose answer is lost is not written twice."""
    stage = postgres_stage
    url = sa.make_url(postgres_url)
    proxy = proxy_to(f"{url.query['host']}/.s.PGSQL.{url.port or 5432}")
    far = url.set(host="127.0.0.1", port=proxy.port, query={})
    stage.work(SCANNER_STORE_URL=far.render_as_string(hide_password=False))
    stage.enqueue()
    stage.wait_begun()
    with stage.fault():
        proxy.cut_after(b"COMMIT", times=times)

    stage.wait(lambda seen: seen.pending == 0)
    assert 0 == proxy.cuts_left
    stage.finish(f"connection cut between COMMIT and its answer, {times} times", expected)


@pytest.mark.faults
def test_sqlite_locked(stage: Stage, tmp_path: Path, expected: Verdicts) -> None:
    """Workers wait for an SQLite that is locked for longer than the busy timeout."""
    stage.work()
    stage.enqueue()
    stage.wait_begun()
    with (
        stage.fault(),
        closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as locking,
    ):
        locking.execute("BEGIN IMMEDIATE")
        time.sleep(LOCKED_S)
        locking.execute("ROLLBACK")

    stage.finish(f"SQLite locked for {LOCKED_S} s", expected)


@pytest.mark.faults
@pytest.mark.parametrize("processes", [8])
def test_many_processes_on_one_sqlite(stage: Stage, expected: Verdicts, processes: int) -> None:
    """Processes that write to one file lose nothing when one of them is killed."""
    worker = stage.start("worker", "--concurrency", str(processes))
    stage.workers.append(worker)
    stage.enqueue()
    stage.wait_begun()
    with stage.fault():
        pool_children(worker)[0].kill()

    stage.finish(f"{processes} processes on one SQLite, one killed", expected)


@pytest.mark.faults
def test_disk_full_for_a_while(
    stage_on: Callable[..., Stage], small_disk: Path, expected: Verdicts
) -> None:
    """Workers wait for a disk that is full, and go on when there is room."""
    stage = stage_on(f"sqlite:///{small_disk}/store.db")
    stage.work()
    stage.enqueue()
    stage.wait_begun()
    with stage.fault():
        fill_disk(small_disk)
        time.sleep(FULL_S)
        (small_disk / "filler").unlink()

    stage.finish(f"disk of the store full for {FULL_S} s", expected)


@pytest.mark.faults
def test_scan_on_a_full_disk(
    stage_on: Callable[..., Stage], small_disk: Path, expected: Verdicts
) -> None:
    """A `scan` whose disk stays full ends with one sentence; the same command resumes it."""
    stage = stage_on(f"sqlite:///{small_disk}/store.db")
    del stage.cli.env["SCANNER_BROKER_URL"]
    ask = ("scan", stage.photos, "--detectors", "faces,provenance", "--concurrency", "1")
    scan = stage.cli.start(*ask)
    stage.scan_id = 1
    with closing(Store.open(stage.store_url)):
        stage.wait(lambda seen: seen.judged > 10)
    with stage.fault():
        fill_disk(small_disk)
        _, said = scan.communicate(timeout=240)
        (small_disk / "filler").unlink()

    assert 4 == scan.returncode
    assert "database or disk is full; run the same command again to resume" in said
    assert "Traceback" not in said
    assert stage.cli.run(*ask, check=None).returncode in {0, 3}
    stage.finish("scan on a disk that stays full, and again", expected)


@pytest.mark.faults
@pytest.mark.parametrize("on", ["", " (Postgres)"], ids=["sqlite", "postgres"])
def test_upgraded(request: pytest.FixtureRequest, expected: Verdicts, on: str) -> None:
    """Workers go on while a later version upgrades their store; one that starts then says so."""
    stage: Stage = request.getfixturevalue("postgres_stage" if on else "stage")
    workers = [stage.work(**broken(PYTHON_FAULTS_SLOW=0.3)) for _ in range(2)]
    stage.enqueue()
    stage.wait_begun()
    with stage.fault(), closing(Store.unchecked(stage.store_url)) as store:
        with store.write() as connection:
            for statement in (
                "ALTER TABLE verdict ADD COLUMN later INTEGER DEFAULT 7",
                "CREATE INDEX verdict_later ON verdict (scan_id, later)",
                "UPDATE alembic_version SET version_num = '9999'",
            ):
                connection.exec_driver_sql(statement)
            time.sleep(UPGRADE_S)
        refused = stage.cli.run("worker", "--concurrency", "1", check=1).stderr
        # As if this version knew the new schema, for the oracle.
        with store.write() as connection:
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{HEAD}'")

    assert "newer than this version of scanner" in refused
    assert "Traceback" not in refused
    stage.wait(lambda seen: seen.pending == 0)
    assert [None, None] == [worker.poll() for worker in workers]
    stage.finish(f"store upgraded by a later version{on}", expected)
