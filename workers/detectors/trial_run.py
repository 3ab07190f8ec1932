"""Run an unknown model once, in a process of its own with limited memory: it may be hostile.

What kills the process, or runs out of memory or time, is a sentence and not the end of `scanner`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from workers.detectors.runtimes import ModelError

HOME = Path(__file__).resolve().parents[2]
# A model with its buffers; the largest that flatbuffers hold is 2 GiB.
MAX_FILE_BYTES = 2 * 2**30
MAX_MEMORY_BYTES = 8 * 2**30
SECONDS = 300


@dataclass(frozen=True, slots=True)
class Examined:
    """What a model's file says of itself; see `sessions.Session`."""

    height: int
    width: int
    count: int
    raw: bool
    last: str = ""


def examine(path: Path, size: tuple[int, int] | None, tensor: str = "") -> Examined:
    """Open a model and run it on a grey picture; ModelError, one sentence, where that fails."""
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ModelError(f"{path.name} is larger than {MAX_FILE_BYTES // 2**30} GiB")
    task = {"path": str(path.absolute()), "size": size, "tensor": tensor}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "workers.detectors.trial_run"],
            # Modules are found here first, not in a folder of somebody's models.
            cwd=HOME,
            input=json.dumps(task).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
        answer = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{path.name} ran for {SECONDS} s on one picture") from error
    except (ValueError, IndexError) as error:
        raise ModelError(
            f"{path.name} killed the process that tried it: it is damaged, or too large"
        ) from error
    if "error" in answer:
        raise ModelError(answer["error"])
    return Examined(**answer)


def main() -> None:
    """The child: a task on stdin, an answer on stdout."""
    answers = os.fdopen(os.dup(1), "w")
    # What native code prints must not be taken for the answer.
    os.dup2(2, 1)
    task = json.loads(sys.stdin.read())
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    size = None if task["size"] is None else (task["size"][0], task["size"][1])
    try:
        answer: dict[str, object] = asdict(_tried(Path(task["path"]), size, task["tensor"]))
    except (ModelError, MemoryError) as error:
        answer = {"error": str(error) or "it does not fit into memory"}
    print(json.dumps(answer), file=answers, flush=True)


def _tried(path: Path, size: tuple[int, int] | None, tensor: str) -> Examined:
    import numpy as np  # noqa: PLC0415 - in the child only

    from workers.detectors.sessions import CHANNELS, TfLite, open_session  # noqa: PLC0415

    is_onnx = path.suffix == ".onnx"
    session = open_session(path, size, tensor) if is_onnx else TfLite(path, size, inspect=True)
    numbers = session.run(np.full((session.height, session.width, CHANNELS), 0.5, np.float32))
    return Examined(session.height, session.width, len(numbers), session.raw, session.last)


if __name__ == "__main__":
    main()
