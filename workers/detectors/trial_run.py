"""Run an unknown model once, in a process of its own with limited memory: it may be hostile.

What kills the process, or runs out of memory or time, is a sentence and not the end of `scanner`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct

from storage.text import clean
from workers.confinement.process import confine
from workers.detectors.runtimes import ModelError
from workers.limited_process import (
    LimitedProcess,
    ParentConnection,
    ProcessFailed,
    ProcessTimedOut,
    limit_memory,
)

# The largest model that a flatbuffer can hold is 2 GiB.
MAX_FILE_BYTES = 2 * 2**30
MAX_MEMORY_BYTES = 8 * 2**30
SECONDS = 300


@dataclass(frozen=True, slots=True)
class Examined:
    """Properties of a model that was opened; see `sessions.Session`."""

    height: int
    width: int
    count: int
    raw: bool
    last: str = ""


class _Task(Struct):
    path: bytes
    size: tuple[int, int] | None
    tensor: str


class _Answer(Struct):
    examined: Examined | None = None
    error: str = ""


def examine(path: Path, size: tuple[int, int] | None, tensor: str = "") -> Examined:
    """Open a model and run it on a grey image; ModelError, one sentence, where that fails."""
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ModelError(f"{path.name} is larger than {MAX_FILE_BYTES // 2**30} GiB")
    task = _Task(os.fsencode(path.absolute()), size, tensor)
    try:
        with LimitedProcess("workers.detectors.trial_run") as process:
            answer = process.request(task, _Answer, SECONDS)
    except ProcessTimedOut as error:
        raise ModelError(f"{path.name} ran for {SECONDS} s on one image") from error
    except ProcessFailed as error:
        raise ModelError(
            f"{path.name} killed the process that tried it: it is damaged, or too large"
        ) from error
    if answer.examined is None:
        raise ModelError(answer.error)
    return answer.examined


def main() -> None:
    """Run the child: try the model of one request."""
    parent = ParentConnection()
    task = parent.receive(_Task)
    if task is None:
        return
    path = Path(os.fsdecode(task.path))
    limit_memory(MAX_MEMORY_BYTES)
    confine([path])
    try:
        answer = _Answer(_tried(path, task.size, task.tensor))
    except (ModelError, MemoryError) as error:
        answer = _Answer(error=clean(str(error)) or "it does not fit into memory")
    parent.answer(answer)


def _tried(path: Path, size: tuple[int, int] | None, tensor: str) -> Examined:
    import numpy as np  # noqa: PLC0415 - in the child only

    from workers.detectors.onnx_file import require_self_contained  # noqa: PLC0415
    from workers.detectors.sessions import CHANNELS, TfLite, open_session  # noqa: PLC0415

    is_onnx = path.suffix == ".onnx"
    if is_onnx:
        require_self_contained(path)
    session = open_session(path, size, tensor) if is_onnx else TfLite(path, size, inspect=True)
    numbers = session.run(np.full((session.height, session.width, CHANNELS), 0.5, np.float32))
    return Examined(session.height, session.width, len(numbers), session.raw, session.last)


if __name__ == "__main__":
    main()
