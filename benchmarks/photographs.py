"""Compare scans of photographs of several sizes with decoding them, and nothing else.

    python benchmarks/photographs.py --data FOLDER [--megapixels 1,3,12,24] [--photos 24]

FOLDER holds scenes.zip and faces.zip, of whose photographs the larger ones are made; every third
has a face. Decoding alone is libjpeg-turbo (simplejpeg), a process per core. The sides take turns
in `--rounds`: trust the ratios of the medians. The seconds of a scan are its report's. Prints a
line of JSON for each size.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
import zipfile
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import simplejpeg
from PIL import Image
from throughput import scan

if TYPE_CHECKING:
    from collections.abc import Iterator

CORES = os.cpu_count() or 1
SCENES, FACES = ("scenes.zip", "test/REAL/cameras/"), ("faces.zip", "test/REAL/ffhq/")
WITH_A_FACE = 3  # one of so many


def pictures(data: Path, file: str, below: str) -> Iterator[Image.Image]:
    """Yield the photographs of a part of a data set, again and again."""
    with zipfile.ZipFile(data / file) as archive:
        names = [name for name in archive.namelist() if name.startswith(below)]
        for name in cycle(name for name in names if not name.endswith("/")):
            yield Image.open(BytesIO(archive.read(name))).convert("RGB")


def write_photographs(data: Path, folder: Path, megapixels: float, number: int) -> None:
    """Write so many photographs of a size, in the proportions of a camera's."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    scenes, faces = pictures(data, *SCENES), pictures(data, *FACES)
    for at, scene in enumerate(islice(scenes, number)):
        image = scene.resize((height * 4 // 3, height), Image.Resampling.BICUBIC)
        if at % WITH_A_FACE == 0:
            image.paste(next(faces).resize((height // 3, height // 3)), (height // 2, height // 3))
        image.save(folder / f"{at:03}.jpg", quality=92)


def decode(files: list[str]) -> None:
    """Read and decode files."""
    for file in files:
        simplejpeg.decode_jpeg(Path(file).read_bytes(), "RGB")


def decoding_seconds(folder: Path) -> float:
    """Return the seconds in which a process per core decodes the files, without its start."""
    files = sorted(str(file) for file in folder.glob("*.jpg"))
    shares = [files[n::CORES] for n in range(CORES)]
    with multiprocessing.get_context("spawn").Pool(CORES) as pool:
        pool.map(decode, [share[:1] for share in shares], chunksize=1)
        began = time.perf_counter()
        pool.map(decode, shares, chunksize=1)
        return time.perf_counter() - began


def scanning_seconds(folder: Path, home: Path) -> float:
    """Return the seconds of a scan with a new store."""
    report, _ = scan(folder, home)
    if report["verdicts"]["error"] or report["verdicts"]["pending"]:
        raise RuntimeError(f"it did not do its work: {report['verdicts']}")
    return float(report["seconds"])


def measure(given: argparse.Namespace, megapixels: float) -> dict[str, Any]:
    """Return the row of a size."""
    with tempfile.TemporaryDirectory(prefix="photographs-") as name:
        folder, home = Path(name, "photographs"), Path(name)
        folder.mkdir()
        write_photographs(given.data, folder, megapixels, given.photos)
        size = sum(file.stat().st_size for file in folder.iterdir()) / given.photos
        decoded, scanned = [], []
        for _ in range(given.rounds):
            decoded.append(given.photos / decoding_seconds(folder))
            scanned.append(given.photos / scanning_seconds(folder, home))
    return {
        "megapixels": megapixels,
        "MB": round(size / 1e6, 2),
        "decoding, images/s": round(median(decoded), 1),
        "scan, images/s": round(median(scanned), 1),
        "ratio": round(median(b / a for a, b in zip(decoded, scanned, strict=True)), 3),
    }


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--megapixels", default="1,3,12,24")
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    for megapixels in map(float, given.megapixels.split(",")):
        print(json.dumps(measure(given, megapixels)), flush=True)


if __name__ == "__main__":
    main()
