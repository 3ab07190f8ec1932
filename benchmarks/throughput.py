"""Compare a scan with a bare loop, and show where each microsecond of the difference goes.

    python benchmarks/throughput.py --data FOLDER [--zip cifake-train.zip] [--rounds 3] [--images N]

FOLDER holds the zip of small images. Each round runs three things, one after the other, because
machines are noisy: trust the ratios.

- The bare loop: as many processes as there are cores, each reading, decoding and scoring its share
  with Pillow and the same model. No queue, no store, no digest, no metadata.
- Work alone: `scanner enqueue` fills the queue, and then `scanner worker` empties it.
- `scanner scan`, which lists and judges at the same time, on the same cores.

Seconds of the latter two are the report's: from the first batch's start to the last commit.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from scanner.processes.embedded_broker import EmbeddedServer
from storage.database.schema import verdict
from storage.database.store import Store
from storage.records import ListedImage
from storage.writes import listing, results, scans
from storage.writes.results import Host
from workers.broker.batch_message import BatchMessage, decode_batch, encode_batch, sign_batch
from workers.broker.signatures import STORE, Signer
from workers.detectors import installed
from workers.limits import Limits
from workers.pipeline.pipeline import make_pipeline
from workers.pipeline.plan import make_plan
from workers.sources.local import LocalSource

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.queues import SimpleQueue
    from multiprocessing.synchronize import Barrier

CORES = os.cpu_count() or 1
BATCH = 500


def bare(files: list[str], barrier: Barrier, ends: SimpleQueue[tuple[float, float]]) -> None:
    """Run one process of the bare loop; send the times of its start and end."""
    card = installed.installed()["objects-32"]
    interpreter = Interpreter(str(card.model_path), num_threads=1)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    barrier.wait()
    started = time.time()
    for file in files:
        data = Path(file).read_bytes()
        pixels = np.asarray(Image.open(BytesIO(data)).convert("RGB"))
        interpreter.set_tensor(source["index"], pixels[None].astype(source["dtype"], copy=False))
        interpreter.invoke()
        interpreter.get_tensor(target["index"])
    ends.put((started, time.time()))


def bare_seconds(files: list[str]) -> float:
    """Return the seconds of the bare loop over the files, without its start."""
    context = multiprocessing.get_context("spawn")
    barrier, ends = context.Barrier(CORES), context.SimpleQueue()
    shares = [files[n::CORES] for n in range(CORES)]
    processes = [context.Process(target=bare, args=(share, barrier, ends)) for share in shares]
    for process in processes:
        process.start()
    spans = [ends.get() for _ in processes]
    for process in processes:
        process.join()
    return max(end for _, end in spans) - min(start for start, _ in spans)


def scan(folder: Path, home: Path, *options: str) -> tuple[dict[str, Any], Path]:
    """Return the report of one scan with a new store, and that store."""
    store = home / f"store-{time.time_ns()}.db"
    argv = [sys.executable, "-m", "scanner", "scan", str(folder), "--store", str(store), "--json"]
    done = subprocess.run([*argv, *options], stdout=subprocess.PIPE, check=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report, store


def work(folder: Path, home: Path) -> tuple[dict[str, Any], Path]:
    """Return the report of a scan whose queue was filled before its worker began, and its store."""
    store = home / f"store-{time.time_ns()}.db"
    scanner = [sys.executable, "-m", "scanner"]
    with EmbeddedServer(home) as server:
        named = {"SCANNER_STORE_URL": str(store), "SCANNER_BROKER_URL": server.url}
        env = os.environ | named
        subprocess.run([*scanner, "enqueue", str(folder), "--json"], env=env, check=True)
        worker = subprocess.Popen([*scanner, "worker"], env=env)
        subprocess.run([*scanner, "status", "--watch"], env=env, check=True, capture_output=True)
        done = subprocess.run(
            [*scanner, "report", "--format", "json"], env=env, check=True, stdout=subprocess.PIPE
        )
        worker.terminate()
        worker.wait()
    report: dict[str, Any] = json.loads(done.stdout)
    return report, store


def rate(report: dict[str, Any], images: int) -> float:
    """Return images per second; raise RuntimeError unless all of them were judged."""
    if report["images"] != images or report["verdicts"]["pending"]:
        raise RuntimeError(f"it did not do its work: {report['verdicts']}")
    return float(report["images"] / report["seconds"])


def stage_means(store: Path) -> dict[str, float]:
    """Return the mean microseconds per image of each stage, by the scan's own timings."""
    opened = Store.open(str(store))
    with opened.read() as connection:
        columns = (verdict.c.fetch_us, verdict.c.decode_us, verdict.c.infer_us)
        row = connection.execute(sa.select(*(sa.func.avg(one) for one in columns))).one()
    opened.close()
    return dict(zip(("fetch", "decode", "infer"), map(float, row), strict=True))


def listed_image(folder: Path, file: str) -> ListedImage:
    """Return a file as a scan lists it."""
    status = Path(file).stat()
    path = os.fsencode(os.path.relpath(file, folder))
    return ListedImage(path, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Alone:
    """Microseconds per image of one process with nothing else running."""

    stages: float
    between: float
    commit: float
    batch: float


def alone(folder: Path, files: list[str], home: Path) -> Alone:
    """Measure what a batch costs without queue and other processes, by stage."""
    store = Store.open(str(home / "alone.db"))
    plan = make_plan(installed.installed())
    results.record_host(store, Host("bench", "bench", "any", {}))
    collection = scans.ensure_collection(store, "bench", os.fsencode(folder))
    of = scans.new_scan(store, collection, scans.ensure_plan(store, plan), "bench")
    pipeline = make_pipeline(plan, Limits().max_pixels)
    judging = stages = commit = batch_time = 0.0
    count = 0
    with LocalSource(folder) as root:
        for first in range(0, len(files), BATCH):
            listed = [listed_image(folder, file) for file in files[first : first + BATCH]]
            batch = listing.add_batch(store, of, listed, None)
            if batch is None:
                continue
            began = time.perf_counter()
            message = BatchMessage(of.scan_id, batch.batch_id, 1, "bench", plan, batch.images)
            message = sign_batch(message, store.identity, store.signing_key)
            sent = json.loads(json.dumps(encode_batch(message)))
            message = decode_batch(
                sent, store.identity, Signer(STORE, store.signing_key).public_key
            )
            begun = results.begin_run(store, batch.batch_id, 1, ("bench", "bench"))
            if begun is None:
                raise RuntimeError("nobody else can have done this batch")
            batch_time += time.perf_counter() - began
            done = 0
            while done < len(message.images):
                began = time.perf_counter()
                chunk = pipeline.chunk(root, message.images[done:])
                judged = time.perf_counter()
                results.record_verdicts(store, begun[0], chunk)
                commit += time.perf_counter() - judged
                judging += judged - began
                stages += sum(
                    one.timings.fetch_us + one.timings.decode_us + one.timings.infer_us
                    for one in chunk
                )
                done += len(chunk)
            began = time.perf_counter()
            results.finish_batch(store, begun[0])
            batch_time += time.perf_counter() - began
            count += done
    store.close()
    micro = 1e6 / count
    return Alone(
        stages / count, judging * micro - stages / count, commit * micro, batch_time * micro
    )


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--zip", default="cifake-train.zip")
    parser.add_argument("--images", type=int, help="only so many of them")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="throughput-") as home:
        folder = Path(home, "pictures")
        with zipfile.ZipFile(given.data / given.zip) as archive:
            names = [name for name in archive.namelist() if name.endswith(".jpg")]
            archive.extractall(folder, names[: given.images])
        files = sorted(str(file) for file in folder.rglob("*.jpg"))
        print(f"{len(files):,} images, {CORES} cores\n")
        print_row("round", "bare loop, images/s", "work alone", "scan", "of the loop: work", "scan")
        print_row(*["---"] * 6)
        sides: dict[str, list[float]] = {"loop": [], "work": [], "scan": []}
        for number in range(given.rounds):
            sides["loop"].append(len(files) / bare_seconds(files))
            report, store = work(folder, Path(home))
            sides["work"].append(rate(report, len(files)))
            whole, _ = scan(folder, Path(home))
            sides["scan"].append(rate(whole, len(files)))
            rates = [side[-1] for side in sides.values()]
            print_rates(str(number + 1), rates, [one / rates[0] for one in rates[1:]])
        rates = [median(side) for side in sides.values()]
        ratios = [
            median(one / loop for one, loop in zip(sides[side], sides["loop"], strict=True))
            for side in ("work", "scan")
        ]
        print_rates("median", rates, ratios)
        print("\n| µs an image and core | |")
        print_row("---", "---")
        loop_us, work_us, _ = (CORES * 1e6 / one for one in rates)
        means = stage_means(store)
        one = alone(folder, files[:10_000], Path(home))
        for what, value in {
            "bare loop": loop_us,
            "work alone": work_us,
            **means,
            "outside these stages": work_us - sum(means.values()),
            "one process, nothing beside it: these stages": one.stages,
            "verdicts made and decided": one.between,
            "commit of verdicts and findings": one.commit,
            "batch: message, run, done": one.batch,
        }.items():
            print_row(what, f"{value:.1f}")


def print_rates(name: str, rates: Sequence[float], ratios: Sequence[float]) -> None:
    """Print a row of images per second, and of ratios to the bare loop."""
    print_row(name, *(f"{one:,.0f}" for one in rates), *(f"{one:.3f}" for one in ratios))


def print_row(*cells: str) -> None:
    """Print a row of a table in Markdown."""
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
