"""Measure what the provenance detector finds in provenance.zip, and its cost per image.

    python benchmarks/provenance.py --data FOLDER

FOLDER holds provenance.zip, cifake-test.zip and scenes.zip. The first table compares the files with
known metadata (labels.csv) with those in which it was found; the second gives the median time of
listing the blocks of metadata, and of the complete reading with it.
"""

from __future__ import annotations

import argparse
import csv
import io
import statistics
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from workers.images.metadata import find_metadata
from workers.provenance import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from storage.records import Finding

AI_AT = 0.9  # the score from which a verdict is `ai`
ROUNDS = 5  # the best of so many, as other programs share the machine


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description="What provenance finds, and what it costs.")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    folder: Path = parser.parse_args().data
    with zipfile.ZipFile(folder / "provenance.zip") as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("labels.csv").decode())))
        files = {row["path"]: archive.read(row["path"]) for row in rows}
    print_found(rows, {path: read(data) for path, data in files.items()})
    print()
    print_times(groups(files, folder))


def labelled(row: dict[str, str]) -> str:
    """Return what labels.csv states about a file, as one row of the table."""
    if row["c2pa"] == "unreadable":
        return f"manifest unreadable ({row['c2pa_state']})"
    if row["c2pa"] == "present":
        terms = row["digital_source_type"].split()
        ai = [term for term in terms if "rainedAlgorithmicMedia" in term]
        return f"manifest, {ai[0]}" if ai else "manifest, no generative AI"
    if row["known_ai"] == "yes":
        return f"{row['source']}: {row['tags'] or '(hidden in the pixels)'}"
    return f"{row['source']}: no evidence"


def print_found(rows: list[dict[str, str]], found: dict[str, tuple[Finding, ...]]) -> None:
    """Print a row for each kind of label: files, what was found in them, how many are `ai`."""
    names = sorted({labelled(row) for row in rows})
    print(f"{'labelled as':58} {'files':>5} {'ai':>4}  found")
    for name in names:
        paths = [row["path"] for row in rows if labelled(row) == name]
        kinds = Counter(described(finding) for path in paths for finding in found[path])
        ai = sum(any((each.score or 0) >= AI_AT for each in found[path]) for path in paths)
        said = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()) or "nothing"
        print(f"{name:58} {len(paths):5} {ai:4}  {said}")
    known = [row["path"] for row in rows if row["known_ai"] == "yes"]
    missed = [p for p in known if not any((each.score or 0) >= AI_AT for each in found[p])]
    print(f"known AI: {len(known)}, of which ai: {len(known) - len(missed)}; missed: {missed}")


def described(finding: Finding) -> str:
    """Return a finding's kind, and what distinguishes it from others of the kind."""
    said = finding.detail.get("signature") or finding.detail.get("generator")
    return f"{finding.kind} ({said})" if said else finding.kind


def groups(files: dict[str, bytes], folder: Path) -> dict[str, list[bytes]]:
    """Return the files to time, by kind."""
    plain = [data for data in files.values() if not find_metadata(data).blocks]
    with_manifest = [
        data for data in files.values() if any(f.kind.startswith("c2pa") for f in read(data))
    ]
    return {
        "1 KB JPEG (cifake)": first(folder / "cifake-test.zip", 500),
        "photos of 256 to 640 px (scenes)": first(folder / "scenes.zip", 200),
        "cameras, EXIF and XMP": [d for p, d in files.items() if p.startswith("cameras/")],
        "JPEG from Photoshop, EXIF and XMP": [
            files["c2pa-fixtures/earth_apollo17.jpg"],
            files["c2pa-fixtures/test_xmp.webp"],
        ],
        "generators' tags": [d for p, d in files.items() if p.startswith(("sd-", "comfy", "a1"))],
        "no metadata": plain,
        "with a C2PA manifest": with_manifest,
        "PNG of 12 MB in chunks of 8 KB": [large_png()],
        "JPEG of 10 MB": [large_jpeg(files["c2pa-fixtures/earth_apollo17.jpg"])],
    }


def first(path: Path, count: int) -> list[bytes]:
    """Return the first images of an archive."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.lower().endswith(".jpg")]
        return [archive.read(name) for name in names[:count]]


def large_png() -> bytes:
    """Return a PNG as libpng writes them, with many small chunks of pixels."""
    chunk = (8192).to_bytes(4, "big") + b"IDAT" + bytes(8192 + 4)
    return b"\x89PNG\r\n\x1a\n" + chunk * 1500


def large_jpeg(small: bytes) -> bytes:
    """Return a JPEG with the metadata of a small one, and ten megabytes of pixels."""
    return small[:-2] + bytes(10_000_000) + small[-2:]


def print_times(timed: dict[str, list[bytes]]) -> None:
    """Print a row for each group: the median over its files, in microseconds."""
    print(f"{'p50 in microseconds':38} {'files':>5} {'listing':>10} {'read':>10}")
    for name, files in timed.items():
        print(
            f"{name:38} {len(files):5} {median_us(find_metadata, files):10.1f} "
            f"{median_us(read, files):10.1f}"
        )


def median_us(function: Callable[[bytes], object], files: Iterable[bytes]) -> float:
    """Return the median over the files of the best time of several rounds."""
    best = []
    for data in files:
        times = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            function(data)
            times.append(time.perf_counter() - start)
        best.append(min(times))
    return statistics.median(best) * 1e6


if __name__ == "__main__":
    main()
