"""Measure the speed of this machine's detectors on two generated images.

This runs in a child process: model interpreters must not be created before a worker forks, and a
crash of the detectors is noticed before the worker takes work.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from scanner.detectors.plan import plan_for
from storage.records import BatchImage
from workers.limited_process import (
    LimitedProcess,
    ParentConnection,
    ProcessFailed,
    ProcessTimedOut,
)
from workers.limits import Limits
from workers.sources.files import FileSource

if TYPE_CHECKING:
    from workers.pipeline.pipeline import Pipeline

# Seconds of work per image, at least one run.
WORK_SECONDS = 0.2
# Seconds after which a machine (an emulated one) is too slow to be measured.
TIMEOUT_SECONDS = 60.0


class SelfTestError(Exception):
    """The detectors do not run on this machine; the message says why."""


@dataclass(frozen=True, slots=True)
class SelfTestResult:
    """The speed of one process in images per second, of 1600 x 1200 and of 32 x 32.

    `process_mb` is its private memory.
    """

    photos_per_second: float
    tiny_per_second: float
    process_mb: int


def run_self_test() -> SelfTestResult | None:
    """Measure the speed; return None if that takes too long. Raise SelfTestError."""
    with LimitedProcess("scanner.fleet.self_test", keep_stderr=True) as process:
        try:
            return process.request(None, SelfTestResult, TIMEOUT_SECONDS)
        except ProcessTimedOut:
            return None
        except ProcessFailed as error:
            raise SelfTestError(str(error)) from error


def _measure() -> SelfTestResult:
    # These are imported in the child process only.
    from scanner.listing.sample_images import DAWN, landscape  # noqa: PLC0415
    from workers.host.capacity import private_mb  # noqa: PLC0415
    from workers.pipeline.pipeline import make_pipeline  # noqa: PLC0415

    pipeline = make_pipeline(plan_for(None), Limits().max_pixels)
    image = landscape(DAWN, 1)
    rates = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "image.jpg")
        for size in ((1600, 1200), (32, 32)):
            image.resize(size).save(file, quality=88)
            rates.append(_rate(pipeline, file))
    return SelfTestResult(rates[0], rates[1], private_mb() or 0)


def _rate(pipeline: Pipeline, file: Path) -> float:
    """Return images per second, without the first run, which is slower."""
    source = FileSource(Limits().max_bytes)
    image = BatchImage(1, os.fsencode(file), 0)
    pipeline.chunk(source, [image])
    runs, start = 0, perf_counter()
    while (seconds := perf_counter() - start) < WORK_SECONDS:
        pipeline.chunk(source, [image])
        runs += 1
    return runs / seconds


if __name__ == "__main__":
    ParentConnection().answer(_measure())
