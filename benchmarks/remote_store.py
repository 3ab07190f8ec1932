"""Compare judging photographs from a slow web server with what its link allows.

    python benchmarks/remote_store.py [--photos FOLDER] [--mbit 40] [--latency-ms 30] [--rounds 3]

A server on this machine answers each request after the latency, and sends all answers together at
no more than the bandwidth. Each round measures, one after the other: the link alone (as many
connections as a process has, nothing but reading), a process per core that judges the photographs
and reads ahead, and the same without reading ahead. Without a folder it draws 16 photographs of
12 megapixels. Prints a table in Markdown with the medians, and their share of the link.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from urllib.request import urlopen

import numpy as np
from PIL import Image

from scanner.detectors.plan import plan_for
from storage.records import BatchImage
from workers.limits import Limits
from workers.pipeline.pipeline import make_pipeline
from workers.sources.location import UrlLocation
from workers.sources.read_ahead import AHEAD_FILES, ReadAhead
from workers.sources.registry import open_source, reading_ahead

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.queues import SimpleQueue
    from multiprocessing.synchronize import Barrier

CORES = os.cpu_count() or 1
PHOTOS, WIDTH, HEIGHT = 16, 4000, 3000
# Bytes that are sent at once.
PIECE = 2**16


class Link:
    """The bandwidth that all answers share."""

    def __init__(self, bytes_per_second: float, latency_s: float) -> None:
        self.latency_s = latency_s
        self._rate = bytes_per_second
        self._free_at = 0.0
        self._lock = threading.Lock()

    def wait(self, size: int) -> None:
        """Wait until the link has sent so many bytes."""
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic()) + size / self._rate
            until = self._free_at
        time.sleep(max(0.0, until - time.monotonic()))


class _Files(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, folder: Path, link: Link, *arguments: object) -> None:
        self._folder, self._link = folder, link
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_HEAD(self) -> None:
        self._start()

    def do_GET(self) -> None:
        body = self._start()
        for first in range(0, len(body), PIECE):
            piece = body[first : first + PIECE]
            self._link.wait(len(piece))
            self.wfile.write(piece)

    def _start(self) -> bytes:
        time.sleep(self._link.latency_s)
        body = (self._folder / Path(self.path).name).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return body

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def served(folder: Path, link: Link) -> Iterator[str]:
    """Serve a folder, and yield its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, folder, link))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def draw(folder: Path) -> None:
    """Write photographs of 12 megapixels with the detail of a camera's noise."""
    random = np.random.default_rng(7)
    for number in range(PHOTOS):
        coarse = random.integers(0, 255, (HEIGHT // 50, WIDTH // 50, 3), np.uint8)
        pixels = np.asarray(Image.fromarray(coarse).resize((WIDTH, HEIGHT)), np.int16)
        noise = random.normal(0, 4, (HEIGHT, WIDTH, 1)).astype(np.int16)
        image = Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))
        image.save(folder / f"{number:02}.jpg", quality=92)


def link_seconds(url: str, names: list[str]) -> float:
    """Return the seconds in which a program that only reads has read all files."""
    started = time.monotonic()

    def read(name: str) -> None:
        with urlopen(f"{url}/{name}") as answer:  # noqa: S310 - a URL of this script
            answer.read()

    with ThreadPoolExecutor(CORES * AHEAD_FILES) as pool:
        list(pool.map(read, names))
    return time.monotonic() - started


def judge(
    url: str,
    images: list[BatchImage],
    ahead: bool,  # noqa: FBT001 - arguments of a process
    barrier: Barrier,
    ends: SimpleQueue[tuple[float, float]],
) -> None:
    """Run one process; send the times of its start and end."""
    pipeline = make_pipeline(plan_for(None), Limits().max_pixels)
    source = open_source(UrlLocation(url), Limits().max_bytes)
    if ahead:
        source = reading_ahead(source)
    barrier.wait()
    started = time.time()
    while images:
        if isinstance(source, ReadAhead):
            source.expect(images)
        verdicts = pipeline.chunk(source, images)
        failed = [verdict.error for verdict in verdicts if verdict.error is not None]
        if failed:
            raise RuntimeError(failed[0].text)
        images = images[len(verdicts) :]
    ends.put((started, time.time()))


def judging_seconds(url: str, images: list[BatchImage], *, ahead: bool) -> float:
    """Return the seconds in which a process per core judges the images, without its start."""
    context = multiprocessing.get_context("spawn")
    barrier, ends = context.Barrier(CORES), context.SimpleQueue()
    processes = [
        context.Process(target=judge, args=(url, images[n::CORES], ahead, barrier, ends))
        for n in range(CORES)
    ]
    for process in processes:
        process.start()
    spans = [ends.get() for _ in processes]
    for process in processes:
        process.join()
    return max(end for _, end in spans) - min(start for start, _ in spans)


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, metavar="FOLDER")
    parser.add_argument("--mbit", type=float, default=40.0)
    parser.add_argument("--latency-ms", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    link = Link(given.mbit * 1e6 / 8, given.latency_ms / 1000)
    with tempfile.TemporaryDirectory(prefix="remote-") as name:
        folder = given.photos or Path(name)
        if given.photos is None:
            draw(folder)
        files = sorted(file for file in folder.iterdir() if file.is_file())
        images = [
            BatchImage(number, os.fsencode(file.name), file.stat().st_size)
            for number, file in enumerate(files)
        ]
        names = [file.name for file in files]
        seconds: dict[str, list[float]] = {}
        with served(folder, link) as url:
            for _ in range(given.rounds):
                for what, measure in (
                    ("the link alone", partial(link_seconds, url, names)),
                    ("judged, reading ahead", partial(judging_seconds, url, images, ahead=True)),
                    ("judged, one by one", partial(judging_seconds, url, images, ahead=False)),
                ):
                    seconds.setdefault(what, []).append(measure())
    print(
        f"{len(files)} files, {given.mbit:g} Mbit/s, {given.latency_ms:g} ms, {CORES} processes\n"
    )
    print("| | images/s | of the link |\n|---|---|---|")
    alone = seconds["the link alone"]
    for what, each in seconds.items():
        share = median(link / own for link, own in zip(alone, each, strict=True))
        print(f"| {what} | {len(files) / median(each):.2f} | {share:.2f} |")


if __name__ == "__main__":
    main()
