"""Measure how many bytes of Redis' memory an image on the queue takes, by how files are named.

    python benchmarks/queue_memory.py [--batches 200]

The last row has names of one letter: what is left if messages named images by their ids alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from simulated import BATCH_IMAGES, path_of

from scanner.processes.embedded_broker import EmbeddedServer
from storage.records import BatchImage
from workers.broker.app import make_app, make_redis
from workers.broker.batch_message import BatchMessage, sign_batch
from workers.broker.publish import send_batch
from workers.detectors import installed
from workers.pipeline.plan import make_plan

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = bytes(32)


def numbered(number: int) -> bytes:
    """Return a path with a number, 1,000 in a folder."""
    return b"%03d/IMG_%07d.jpg" % (number // 1000, number)


def hashed(number: int) -> bytes:
    """Return a path with 128 bits that look random, as caches and libraries choose them."""
    name = hashlib.sha256(b"%d" % number).hexdigest()[:32]
    return f"{name[:2]}/{name}.jpg".encode()


def size_of(number: int) -> int:
    """Return the bytes of a photograph: no two are alike."""
    return 2_000_000 + zlib.crc32(b"%d" % number) % 4_000_000


def written_at(number: int) -> int:
    """Return when a photograph was written (epoch seconds): a few minutes after the one before."""
    return 1_600_000_000 + 150 * number + zlib.crc32(b"at %d" % number) % 300


NAMES: dict[str, Callable[[int], bytes]] = {
    "numbered": numbered,
    "of a camera, in folders": path_of,
    "hashed": hashed,
    "one letter": lambda _: b"a",
}


def bytes_an_image(name: Callable[[int], bytes], batches: int) -> float:
    """Publish batches of images with such names; return the memory of each image."""
    plan = make_plan(installed.installed())
    with (
        tempfile.TemporaryDirectory(prefix="queue-") as folder,
        EmbeddedServer(Path(folder)) as server,
        make_redis(server.url) as client,
    ):
        app = make_app(server.url, "alone")

        def publish(number: int) -> None:
            first = number * BATCH_IMAGES
            images = tuple(
                BatchImage(10**6 + one, name(one), size_of(one), mtime_s=written_at(one))
                for one in range(first, first + BATCH_IMAGES)
            )
            message = BatchMessage(1, number + 1, 1, "photos", plan, images)
            send_batch(app, sign_batch(message, "alone", KEY))

        publish(0)
        before = client.info("memory")["used_memory"]
        for number in range(1, batches + 1):
            publish(number)
        used = client.info("memory")["used_memory"] - before
    return float(used / batches / BATCH_IMAGES)


def main() -> None:
    """Print a line of JSON for each kind of names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--batches", type=int, default=200)
    given = parser.parse_args()
    for kind, name in NAMES.items():
        row = {"names": kind, "bytes an image": round(bytes_an_image(name, given.batches), 1)}
        sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
