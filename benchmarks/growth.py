"""Measure how images per second grow with workers, and cost and memory with images.

    python benchmarks/growth.py workers [--numbers 1,10,50,200] [--rate 5] [--store sqlite|postgres]
    python benchmarks/growth.py images [--numbers 1000,10000,100000] [--store sqlite|postgres]

`workers`: simulated workers (`simulated.py`) of so many images a second each; the line is straight
as long as queue, store and rescuer keep up. Slow workers, because all share this machine; `cores`
are those that workers, store and queue used, `load` is that of everything on it. Verdicts are
counted for 30 seconds after 15 of warming up. `images`: `enqueue` of so many empty files, and
recording as many verdicts; time is per image, memory is the most that the process that lists had.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from bulk import SIDES, make_files, one_run
from fleet_load import fleet, site
from meter import Meter
from simulated import COLLECTION, begin, enqueue

from storage.database.schema import verdict
from storage.database.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

WARM_UP_SECONDS = 15.0
MEASURED_SECONDS = 30.0
POLL_SECONDS = 0.1


def images_a_second(store: Store) -> float:
    """Return the rate between the first and the last verdicts that are seen to arrive."""
    count = sa.select(sa.func.count()).select_from(verdict)

    def changes(seconds: float) -> Iterator[tuple[float, int]]:
        before, until = None, time.monotonic() + seconds
        while time.monotonic() < until:
            with store.read() as connection:
                now = int(connection.execute(count).scalar_one())
            if before is not None and now != before:
                yield time.monotonic(), now
            before = now
            time.sleep(POLL_SECONDS)

    for _ in changes(WARM_UP_SECONDS):
        pass
    seen = list(changes(MEASURED_SECONDS))
    (first_at, first), (last_at, last) = seen[0], seen[-1]
    return (last - first) / (last_at - first_at)


def grow_workers(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the rate of each number of workers."""
    for number in given.numbers:
        with site(given.store, number) as at:
            store = Store.open(at.store_url)
            scan = begin(store, at.folder / COLLECTION)
            seconds = WARM_UP_SECONDS + MEASURED_SECONDS + 60
            enqueue(store, at.broker_url, scan, round(number * given.rate * seconds))
            work = argparse.Namespace(workers=number, rate=given.rate, result_writers=0)
            with fleet(work, at, store) as parts:
                meter = Meter(at.broker_url, at.store_url, parts, at.postgres_pid)
                began, before = time.monotonic(), meter.processor_seconds()
                rate = images_a_second(store)
                used = meter.processor_seconds() - before
                cores = used / (time.monotonic() - began)
            store.close()
        of_linear = round(rate / number / given.rate, 3)
        row = {"workers": number, "images/s": round(rate, 1), "of linear": of_linear}
        yield row | {"cores": round(cores, 2), "load": round(os.getloadavg()[0], 1)}


def grow_images(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield microseconds and memory of each number of images."""
    given.profile = None
    with tempfile.TemporaryDirectory(prefix="growth-", dir=given.folder) as made:
        for number in given.numbers:
            given.images = number
            row: dict[str, Any] = {"images": number}
            files = (given.folder or Path(made)) / f"files-{number}"
            make_files(files, number)
            for given.what in SIDES:
                seconds, megabytes = one_run(given, SIDES[given.what]["scanner"], files)
                row[f"{given.what}, µs"] = round(seconds / number * 1e6, 1)
                if given.what == "list":  # the other process holds all images that it made up
                    row["list, MB"] = round(megabytes, 1)
            yield row


def main() -> None:
    """Measure each number, and print a line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", choices=("workers", "images"))
    parser.add_argument("--numbers", help="separated by commas")
    parser.add_argument("--rate", type=float, default=5.0, help="images a second of a worker")
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="postgres")
    parser.add_argument("--folder", type=Path, help="where files and stores are made; files stay")
    given = parser.parse_args()
    is_workers = given.what == "workers"
    numbers = given.numbers or ("1,10,50,200" if is_workers else "1000,10000,100000")
    given.numbers = [int(number) for number in numbers.split(",")]
    for row in grow_workers(given) if is_workers else grow_images(given):
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
