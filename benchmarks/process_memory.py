"""Measure the memory of a worker's process: with all built-in detectors, and for a large image.

    python benchmarks/process_memory.py

`workers/host/capacity.py` uses these figures to decide how many processes a machine can have.
"""

from __future__ import annotations

import os
import resource
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import workers.batch.tasks  # noqa: F401 - what a worker's main process has loaded before it forks
from scanner.detectors.plan import plan_for
from scanner.listing.sample_images import draw
from storage.records import BatchImage
from workers.host.capacity import private_mb
from workers.limits import Limits
from workers.pipeline.pipeline import make_pipeline
from workers.sources.files import FileSource

MEGAPIXELS = (12, 24, 48, 67)


def main() -> None:
    """Judge the samples in a child process, then each large image in another one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder)
        samples = sorted(folder.rglob("*.*"))
        large = [_large(folder, size, kind) for size in MEGAPIXELS for kind in ("jpg", "png")]
        if _in_a_child():
            pipeline = make_pipeline(plan_for(None), Limits().max_pixels)
            source = FileSource(Limits().max_bytes)
            for sample in samples:
                pipeline.chunk(source, [BatchImage(1, os.fsencode(sample), 0)])
            print(f"all detectors loaded and used: {private_mb()} MB of its own", flush=True)
            before = _peak_mb()
            for file in large:
                if _in_a_child():
                    pipeline.chunk(source, [BatchImage(1, os.fsencode(file), 0)])
                    print(f"{file.name}: {_peak_mb() - before} MB more at most", flush=True)
                    os._exit(0)
            os._exit(0)


def _large(folder: Path, megapixels: int, kind: str) -> Path:
    """Return an image of so many megapixels, four by three, with detail that compresses badly."""
    height = round((megapixels * 750_000) ** 0.5)
    width = height * 4 // 3
    detail = np.random.default_rng(7).integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    file = folder / f"{megapixels} megapixels.{kind}"
    Image.fromarray(detail).resize((width, height)).save(file)
    return file


def _in_a_child() -> bool:
    """Return True in a new process; False here, once that has ended."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return child == 0


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // 10**6


if __name__ == "__main__":
    main()
