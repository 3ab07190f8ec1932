"""Fill a store with a finished scan of invented verdicts over a few real files.

    python benchmarks/synthetic.py --store FILE|URL --folder FOLDER --images 100000

FOLDER gets `real/`, a few small images; the images with the highest scores, and the first --linked
ones of each outcome, are links to them. The others exist in the store only.
"""

from __future__ import annotations

import argparse
import calendar
import hashlib
import os
import random
import sys
import time
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from scanner.listing.sample_images import DAWN, DUSK, NOON, landscape
from storage.database.schema import batch, entry, finding, image, run, scan, verdict
from storage.database.store import BulkInsert, Store
from storage.records import Plan, PlannedDetector, Thresholds
from storage.writes import results, scans

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH_IMAGES = 500
LINKED_SCORE = 0.99
CHECKPOINT_IMAGES = 20_000
HOSTS = ("laptop", "pi4", "pi5")
# Of a thousand images.
SHARES = (("ai", 50), ("unsure", 30), ("error", 5), ("no_evidence", 915))
CAMERAS = ("Apple iPhone 13", "Canon EOS 80D", "FUJIFILM X-T3", "SONY ILCE-7M3")
DAY_S = 24 * 3600
KINDS = ("truncated", "damaged", "unreadable")
# Path, outcome, score (None of an error) and digest of an image.
Judged = tuple[bytes, str, float | None, bytes]


def main() -> None:
    """Fill the named store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", required=True)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--linked", type=int, default=200)
    given = parser.parse_args()
    store = Store.unchecked(given.store)
    store.upgrade()
    began = time.monotonic()
    scan_id = fill(store, given.folder, given.images, given.linked)
    store.checkpoint()
    store.close()
    sys.stdout.write(f"scan {scan_id}: {given.images:,} in {time.monotonic() - began:.0f} s\n")


def fill(store: Store, folder: Path, images: int, linked: int = 200) -> int:
    """Write a finished scan of so many images; return its number."""
    digests = _real(folder)
    for host in HOSTS:
        results.record_host(store, results.Host(host, host, "aarch64", {}))
    collection_id = scans.ensure_collection(store, "synthetic", os.fsencode(folder))
    thresholds = Thresholds(0.5, 0.9)
    plan = Plan(
        tuple(PlannedDetector(name, "1", "", thresholds) for name in ("objects-32", "provenance")),
        rules=1,
    )
    plan_id = scans.ensure_plan(store, plan)
    made = scans.new_scan(store, collection_id, plan_id, "fleet")
    chance = random.Random(1)  # noqa: S311 - the same each time
    links = dict.fromkeys((name for name, _ in SHARES), linked)
    now = time.time()
    for first in range(0, images, BATCH_IMAGES):
        numbers = range(first, min(first + BATCH_IMAGES, images))
        rows = _Rows(store, made.scan_id, collection_id, chance, now - 3600 + first / 500)
        for number in numbers:
            outcome, score = rows.add(number, digests)
            links[outcome] -= 1
            if links[outcome] >= 0 or (score or 0.0) > LINKED_SCORE:
                _link(folder, number, len(digests))
        rows.write()
        if first % CHECKPOINT_IMAGES == 0:
            store.checkpoint()
    with store.write() as connection:
        connection.execute(
            sa.update(scan)
            .where(scan.c.id == made.scan_id)
            .values(images=images, listed_at=now, finished_at=now)
        )
    if store.engine.dialect.name == "postgresql":
        # As its own housekeeping would have done meanwhile.
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    return made.scan_id


def path_of(number: int) -> bytes:
    """Return the path of an image: a hundred folders of years and months."""
    month = number % 100
    return f"{2016 + month // 12}/{month % 12 + 1:02}/{number:07}.jpg".encode()


def _findings(image_id: int, judged: Judged) -> Iterator[dict[str, Any]]:
    _, outcome, score, _ = judged
    if score is not None:
        bare = {"kind": "score", "score": score, "text": "", "detail": None}
        yield {"detector": "objects-32", "n": 0} | bare
    if outcome == "ai" and image_id % 10 == 0:
        detail = f'{{"generator": "ComfyUI {image_id % 7}"}}'
        tag = {"kind": "generator_tag", "score": 0.98, "text": "made up", "detail": detail}
        yield {"detector": "provenance", "n": 1} | tag


def _taken_at(path: bytes) -> float:
    """Return a time in the year and the month of a path."""
    year, month, name = path.decode().split("/")
    begins = calendar.timegm((int(year), int(month), 1, 0, 0, 0))
    return float(begins + int(name.partition(".")[0]) // 100 % (28 * DAY_S))


def _real(folder: Path) -> list[bytes]:
    """Draw a few images; return their digests."""
    (folder / "real").mkdir(parents=True, exist_ok=True)
    digests = []
    for n, (light, seed) in enumerate(product((DAWN, NOON, DUSK), (1, 2))):
        file = folder / "real" / f"{n}.jpg"
        landscape(light, seed).save(file, quality=85)
        digests.append(hashlib.sha256(file.read_bytes()).digest())
    return digests


def _link(folder: Path, number: int, real: int) -> None:
    file = folder / os.fsdecode(path_of(number))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.hardlink_to(folder / "real" / f"{number % real}.jpg")


class _Rows:
    """The rows of one batch, written in one transaction."""

    def __init__(
        self, store: Store, scan_id: int, collection_id: int, chance: random.Random, at: float
    ) -> None:
        self._store = store
        self._scan_id = scan_id
        self._collection_id = collection_id
        self._chance = chance
        self._at = at
        self._told: list[Judged] = []

    def add(self, number: int, digests: list[bytes]) -> tuple[str, float | None]:
        """Add one image; return its outcome and score."""
        outcome = self._outcome(self._chance.randrange(1000))
        score = {
            "ai": 0.9 + 0.1 * self._chance.random(),
            "unsure": 0.5 + 0.4 * self._chance.random(),
            "no_evidence": 0.5 * self._chance.random(),
        }.get(outcome)
        self._told.append((path_of(number), outcome, score, digests[number % len(digests)]))
        return outcome, score

    def write(self) -> None:
        """Insert all rows."""
        with self._store.write() as connection:
            batch_id = self._inserted(
                connection,
                batch,
                scan_id=self._scan_id,
                images=len(self._told),
                size_bytes=0,
                attempt=1,
                published_at=self._at,
                done_at=self._at + 1,
            )
            run_id = self._inserted(
                connection,
                run,
                scan_id=self._scan_id,
                batch_id=batch_id,
                host_id=self._chance.choice(HOSTS),
                worker="w",
                attempt=1,
                started_at=self._at,
                ended_at=self._at + 1,
            )
            first = connection.scalar(sa.select(sa.func.coalesce(sa.func.max(image.c.id), 0))) + 1
            rows: dict[sa.Table, list[dict[str, Any]]] = {}
            for table, row in self._rows(first, batch_id, run_id):
                rows.setdefault(table, []).append(row)
            for table, each in rows.items():
                values = [tuple(row.values()) for row in each]
                BulkInsert(table, connection.dialect, tuple(each[0])).run(connection, values)

    def _rows(
        self, first: int, batch_id: int, run_id: int
    ) -> Iterator[tuple[sa.Table, dict[str, Any]]]:
        for image_id, judged in enumerate(self._told, start=first):
            key = {"scan_id": self._scan_id, "image_id": image_id}
            path = judged[0]
            yield image, {"id": image_id, "collection_id": self._collection_id, "path": path}
            yield (
                entry,
                {
                    **key,
                    "batch_id": batch_id,
                    "size_bytes": 10_000 + 7919 * image_id % 9_000_000,
                    "mtime_ns": int(_taken_at(path) + 400 * DAY_S) * 10**9,
                    "truth": None,
                    "sidecars": None,
                    "edited": None,
                },
            )
            yield verdict, key | {"run_id": run_id} | self._verdict(image_id, judged)
            for values in _findings(image_id, judged):
                yield finding, key | values

    def _verdict(self, image_id: int, judged: Judged) -> dict[str, Any]:
        path, outcome, score, digest = judged
        failed = score is None
        is_photograph = outcome == "no_evidence" and image_id % 20 != 0
        return {
            "outcome": outcome,
            "score": score,
            "detector": None if failed else "objects-32",
            "examined": not failed,
            "attempt": 1,
            "error_kind": self._chance.choice(KINDS) if failed else None,
            "error_text": "made up" if failed else None,
            "digest": None if failed else digest,
            "fetch_us": 40,
            "decode_us": 60,
            "infer_us": 600,
            "kept_from": None,
            "taken_at": _taken_at(path) if is_photograph else None,
            "camera": CAMERAS[image_id % len(CAMERAS)] if is_photograph else None,
            "look": int.from_bytes(digest[:8], "big", signed=True),
        }

    @staticmethod
    def _inserted(connection: sa.Connection, table: sa.Table, **values: Any) -> int:  # noqa: ANN401
        made = sa.insert(table).values(**values).returning(table.c.id)
        return int(connection.execute(made).scalar_one())

    @staticmethod
    def _outcome(drawn: int) -> str:
        for name, share in SHARES:
            if drawn < share:
                return name
            drawn -= share
        raise ValueError(drawn)


if __name__ == "__main__":
    main()
