"""How fast this machine judges pictures: a moment's work on two of the project's own making.

In a process of its own, for interpreters are not to be made before a worker forks; and a machine on
which the detectors crash finds that out before it takes work.
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

# Seconds of work on each of the pictures, or one look where that takes longer.
WORK_SECONDS = 0.2
# Seconds until a machine is too slow to be measured: one that is emulated.
LONGEST_SECONDS = 60.0


class CannotJudge(Exception):
    """The detectors do not run here; the message says what came of it."""


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What one process does in a second: photographs (1600 x 1200), and pictures of 32 x 32.

    `process_mb` is the memory that it had to itself then.
    """

    photographs: float
    tiny: float
    process_mb: int


def run_self_test() -> SelfTest | None:
    """Measure it; None where that takes too long. Raises CannotJudge."""
    with LimitedProcess("scanner.fleet.self_test", keep_stderr=True) as process:
        try:
            return process.request(None, SelfTest, LONGEST_SECONDS)
        except ProcessTimedOut:
            return None
        except ProcessFailed as error:
            raise CannotJudge(str(error)) from error


def _measured() -> SelfTest:
    # What follows from here is for the process that measures, not for the one that asks.
    from scanner.listing.sample_images import DAWN, landscape  # noqa: PLC0415
    from workers.host.capacity import private_mb  # noqa: PLC0415
    from workers.pipeline.pipeline import make_pipeline  # noqa: PLC0415

    pipeline = make_pipeline(plan_for(None), Limits().max_pixels)
    picture = landscape(DAWN, 1)
    rates: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, size in (("photographs", (1600, 1200)), ("tiny", (32, 32))):
            file = Path(folder, f"{name}.jpg")
            picture.resize(size).save(file, quality=88)
            rates[name] = _rate(pipeline, file)
    return SelfTest(**rates, process_mb=private_mb() or 0)


def _rate(pipeline: Pipeline, file: Path) -> float:
    """Pictures a second; the first look, which takes longer than all others, is not counted."""
    source = FileSource(Limits().max_bytes)
    image = BatchImage(1, os.fsencode(file), 0)
    pipeline.chunk(source, [image])
    looks, began = 0, perf_counter()
    while (took := perf_counter() - began) < WORK_SECONDS:
        pipeline.chunk(source, [image])
        looks += 1
    return looks / took


if __name__ == "__main__":
    ParentConnection().answer(_measured())
