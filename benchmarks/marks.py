"""Measure how often marks are found in images, what copies lose, and what looking for them costs.

    python benchmarks/marks.py FOLDER... [--copies] [--cache FILE]

For photographs: how many show a mark, which is a false positive, and how near to one
the others come. With --copies, for images with marks: how many are found as they are, saved as JPEG
of quality 70, and in half the size. A cache keeps what was measured of each file.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from workers import marks
from workers.images.decode import Decoded, decode
from workers.images.errors import DecodeError
from workers.images.orientation import UPRIGHT
from workers.images.rgb import to_rgb
from workers.marks import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

AS_IS, Q70, HALF, HALF_Q70 = "as it is", "JPEG q70", "half", "half, JPEG q70"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="How often marks are found, and what it costs.")
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--copies", action="store_true")
    parser.add_argument("--cache", type=Path, metavar="FILE")
    given = parser.parse_args()
    rows = list(measure(files(given.folders), given.cache, copies=given.copies))
    print_found(rows)
    print_nearest(rows)
    print_cost(rows)


def files(folders: Iterable[Path]) -> Iterator[Path]:
    """Yield the files below the folders in order."""
    for folder in folders:
        yield from sorted(path for path in folder.rglob("*") if path.is_file())


def measure(paths: Iterable[Path], cache: Path | None, *, copies: bool) -> Iterator[dict[str, Any]]:
    """Yield what was measured of each image, from the cache where it is there."""
    known = {}
    if cache is not None and cache.exists():
        known = {row["path"]: row for row in map(json.loads, cache.read_text().splitlines())}
    for path in paths:
        row = known.get(str(path))
        if row is None or (copies and Q70 not in row["found"]):
            row = {"path": str(path), **measured(path.read_bytes(), copies=copies)}
            if cache is not None:
                with cache.open("a") as file:
                    file.write(json.dumps(row) + "\n")
        if row["found"]:
            yield row


def measured(data: bytes, *, copies: bool) -> dict[str, Any]:
    """Return the marks found in an image and its copies, the nearest candidate, and the cost."""
    try:
        decoded = decode(data, native=True)
    except DecodeError:
        return {"found": {}}
    if decoded.native is None:
        return {"found": {}}
    started = time.process_time()
    found = {AS_IS: named(decoded)}
    seconds = time.process_time() - started
    if copies:
        found |= {name: named(copy) for name, copy in changed(decoded)}
    nearest = [
        (each.mark.generator, round(each.correlation, 3), round(each.outline, 3))
        for each in (visible.candidates(decoded.native) if decoded.orientation == UPRIGHT else ())
        if not each.is_certain() and each.correlation >= each.mark.correlation
    ]
    return {
        "found": found,
        "nearest": max(nearest, key=lambda each: each[2], default=None),
        "ms": 1000 * seconds,
        "is_lossless": decoded.header.format in marks.LOSSLESS,
        "megapixels": decoded.header.width * decoded.header.height / 1e6,
    }


def named(decoded: Decoded) -> list[str]:
    """Return kind and generator of each mark."""
    return [f"{each.kind}: {each.detail['generator']}" for each in marks.read(decoded)]


def changed(decoded: Decoded) -> Iterator[tuple[str, Decoded]]:
    """Yield copies of an image as they would be decoded."""
    if decoded.native is None:
        return
    image = to_rgb(decoded.native)
    half = image.resize((max(1, image.width // 2), max(1, image.height // 2)))
    jpeg = replace(decoded.header, format="JPEG")
    yield Q70, replace(decoded, header=jpeg, native=saved(image))
    yield HALF, replace(decoded, native=half)
    yield HALF_Q70, replace(decoded, header=jpeg, native=saved(half))


def saved(image: Image.Image) -> Image.Image:
    """Save an image as JPEG of quality 70, and load it."""
    stored = BytesIO()
    image.save(stored, "JPEG", quality=70)
    return Image.open(stored)


def print_found(rows: list[dict[str, Any]]) -> None:
    """Print how many images show each mark, and how many of those each copy still shows."""
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        for name, found in row["found"].items():
            counts.setdefault(name, Counter()).update(set(found))
    names = sorted({mark for counter in counts.values() for mark in counter})
    print(f"{len(rows):,} images")
    print(f"| mark | {' | '.join(counts)} |")
    print("|---" * (1 + len(counts)) + "|")
    for mark in names or ["none"]:
        print(f"| {mark} | {' | '.join(f'{each[mark]:,}' for each in counts.values())} |")


def print_nearest(rows: list[dict[str, Any]]) -> None:
    """Print the candidates that come nearest to a mark without being one."""
    nearest = [(*row["nearest"], row["path"]) for row in rows if row["nearest"]]
    nearest.sort(key=lambda each: each[2], reverse=True)
    print(
        f"\n{len(nearest):,} candidates of enough correlation; their outlines, the nearest first:"
    )
    for generator, correlation, outline, path in nearest[:5]:
        print(f"  {outline:.3f} (correlation {correlation:.3f}) {generator}: {Path(path).name}")


def print_cost(rows: list[dict[str, Any]]) -> None:
    """Print the processor time an image took, apart for files in which hidden bits survive."""
    for name, is_lossless in (("lossless files", True), ("other files", False)):
        times = [row["ms"] for row in rows if row["is_lossless"] is is_lossless]
        if len(times) > 1:
            slow = statistics.quantiles(times, n=20)[-1]
            print(f"{name}: median {statistics.median(times):.2f} ms, 95 % within {slow:.2f} ms")


if __name__ == "__main__":
    main()
