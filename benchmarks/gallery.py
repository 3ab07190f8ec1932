"""Measure how long a gallery page takes with a million verdicts, on SQLite and on Postgres.

    python benchmarks/gallery.py --images 1000000 [--postgres URL]

Starts `scanner serve` on each store and measures, over HTTP, the time to the first byte and to the
whole page: its HTML, and its sixty thumbnails by six connections, as a browser requests them.
"cold" is the first request after the start, "warm" the median of five.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from synthetic import fill

from storage.database.store import Store
from storage.reads.gallery import page
from storage.reads.order import Position
from storage.reads.selection import Selection
from storage.records import Outcome
from storage.writes.scans import find_scan

CONNECTIONS = 6
EVERY = "verdict=ai&verdict=unsure&verdict=no_evidence"
TIMES = 5


def main() -> None:
    """Fill, serve and measure each store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--postgres", metavar="URL", help="an empty database")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        stores = {"SQLite": str(folder / "store.db")}
        if given.postgres:
            stores["Postgres"] = given.postgres
        print("| store | page | first byte, cold | first byte, warm | page with 60 thumbnails |")
        print("|---|---|---|---|---|")
        for name, url in stores.items():
            store = Store.unchecked(url)
            store.upgrade()
            scan_id = fill(store, folder / "images", given.images)
            store.checkpoint()
            pages = addresses(store, scan_id)
            store.close()
            measure(name, url, pages, folder)


def addresses(store: Store, scan_id: int) -> dict[str, str]:
    """Return the measured pages: the first, deep ones, and each filter that reads more tables."""
    scan = find_scan(store, scan_id)
    middle = Selection(outcomes=(Outcome.AI, Outcome.UNSURE, Outcome.NO_EVIDENCE))
    (deep,) = page(store, scan, middle, 1, Position(None, scan.images // 2))
    base = f"/scan/{scan_id}/gallery"
    return {
        "flagged, first page": base,
        "all verdicts, in the middle": f"{base}?verdict=ai&verdict=unsure&verdict=no_evidence"
        f"&after=-:{deep.image_id}",
        "one folder of a hundred": f"{base}?folder=2020/05",
        "one folder, no evidence": f"{base}?folder=2020/05&verdict=no_evidence",
        "a folder that is not there": f"{base}?folder=nowhere&verdict=no_evidence",
        "one host": f"{base}?host=pi4",
        "one kind of evidence": f"{base}?evidence=generator_tag",
        "evidence that nothing has": f"{base}?evidence=c2pa_remote&verdict=no_evidence",
        "another detector, no evidence": f"{base}?detector=provenance&verdict=no_evidence",
        "errors of a kind": f"{base}?error=damaged",
        "disagreements": f"{base}?reviewed=disagree&verdict=ai&verdict=no_evidence",
        "search, eleven found": f"{base}?name=0012345&{EVERY}",
        "search, nothing found": f"{base}?name=nowhere&{EVERY}",
        "search, all found": f"{base}?name=jpg&{EVERY}",
        "flagged, by name": f"{base}?sort=name",
        "all verdicts, by size": f"{base}?sort=size&{EVERY}",
        "errors, by size": f"{base}?sort=size&verdict=error",
        "flagged, by date of change": f"{base}?sort=changed",
        "all verdicts, by date of taking": f"{base}?sort=taken&{EVERY}",
        "one folder, by size": f"{base}?sort=size&folder=2020/05&{EVERY}",
        "one camera of four": f"{base}?camera=Canon+EOS+80D&verdict=no_evidence",
        "one month": f"{base}?month=2019-05&verdict=no_evidence",
        "one generator": f"{base}?generator=ComfyUI+3",
        "flagged, copies and bursts together": f"{base}?group=1",
        "all verdicts, copies and bursts together": f"{base}?group=1&{EVERY}",
        "all by date of taking, together": f"{base}?group=1&sort=taken&{EVERY}",
        "an image": f"/scan/{scan_id}/image/5?{EVERY}",
        "suggestions": f"/scan/{scan_id}/suggest?typed=nowhere",
        "live page": f"/scan/{scan_id}",
        "review": f"/scan/{scan_id}/review",
        "metrics": "/metrics",
    }


def measure(name: str, store_url: str, pages: dict[str, str], folder: Path) -> None:
    """Print a row of figures for each page."""
    env = os.environ | {"XDG_CACHE_HOME": str(folder / f"cache-{name}")}
    server = subprocess.Popen(
        [sys.executable, "-m", "scanner", "serve", "--port", "0", "--store", store_url],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        host = urlsplit(next(iter(server.stdout or ())).strip()).netloc
        wait_for(host)
        for title, address in pages.items():
            cold, _ = get(host, address)
            warm = statistics.median(get(host, address)[0] for _ in range(TIMES))
            whole = whole_page(host, address)
            print(
                f"| {name} | {title} | {1000 * cold:.0f} ms | {1000 * warm:.0f} ms "
                f"| {1000 * whole:.0f} ms |",
                flush=True,
            )
    finally:
        server.terminate()
        server.wait()


def wait_for(host: str) -> None:
    """Wait until the server answers; the static style sheet reads nothing from the store."""
    for _ in range(100):
        try:
            get(host, "/static/style.css")
        except OSError:
            time.sleep(0.1)
        else:
            return


def get(host: str, address: str) -> tuple[float, bytes]:
    """Return the seconds to the first byte of an answer, and the answer."""
    connection = http.client.HTTPConnection(host, timeout=120)
    began = time.perf_counter()
    connection.request("GET", address)
    answer = connection.getresponse()
    took = time.perf_counter() - began
    body = answer.read()
    connection.close()
    return took, body


def whole_page(host: str, address: str) -> float:
    """Return the seconds until a page and its thumbnails are loaded."""
    began = time.perf_counter()
    _, body = get(host, address)
    thumbnails = re.findall(rb'src="([^"]*/thumbnail)"', body)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(lambda one: get(host, one.decode()), thumbnails))
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
