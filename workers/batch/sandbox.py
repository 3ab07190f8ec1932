"""Looking at one image in a process of its own, with limits on its memory and time.

For batches that have killed or hung a worker before. The process lives from image to image until
one kills it; an image that does so twice is `crashed`, or `timeout` where it was the time that ran
out. Parent and child speak JSON, a line an image: the child has decoded something hostile.
"""

from __future__ import annotations

import json
import logging
import math
import os
import resource
import selectors
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from storage.paths import from_wire, to_wire
from storage.records import BatchImage, ErrorKind, ImageError, Outcome, Timings, Verdict
from workers.broker.field_types import MessageError
from workers.broker.verdict_message import decode_verdict, encode_verdict
from workers.pipeline.plan import PlanError, plan_from
from workers.sources.location import location_from_json, location_to_json
from workers.sources.registry import open_source
from workers.sources.source import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workers.limits import Limits
    from workers.pipeline.plan import Plan
    from workers.sources.source import Source

log = logging.getLogger(__name__)

# Where the packages lie.
HOME = Path(__file__).resolve().parents[2]
# Seconds that the process may take to start and to load its detectors, on a slow board.
START_SECONDS = 60.0
TRIES = 2
# A verdict is some kilobytes, of which it is read so many at a time.
ANSWER_BYTES = 16 * 2**20
READ_BYTES = 65536
# Seconds of CPU beyond an image's limit until the kernel ends the process: the parent, whose clock
# runs out earlier, does so itself unless it was killed.
SPARE_SECONDS = 5


class Sandbox:
    """A process that looks at images one by one, replaced when one of them kills it."""

    def __init__(self, plan: Plan, limits: Limits) -> None:
        self._plan = plan
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None

    def chunk(
        self, root: Source, images: Sequence[BatchImage], _begin: Callable[[BatchImage], object]
    ) -> list[Verdict]:
        """The verdict on the first of the images: cautious work is one image a transaction."""
        return [self.examine(root, images[0])]

    def examine(self, root: Source, image: BatchImage) -> Verdict:
        """The verdict on one image; `error` where it killed its process or its time ran out."""
        kind = ErrorKind.CRASHED
        request = [image.image_id, to_wire(image.path), image.size_bytes]
        for _ in range(TRIES):
            process = self._process or self._start(root)
            try:
                return _verdict(_ask(process, request, self._limits.image_seconds), image)
            except SourceUnavailable:
                # The next process opens the root anew: it may be another mount by then.
                self._kill()
                raise
            except _TookTooLong:
                kind = ErrorKind.TIMEOUT
            except (_Ended, MessageError) as error:
                # The image, or the memory, killed it; or it has been made to talk nonsense.
                log.warning("image %d of the store in the sandbox: %s", image.image_id, error)
                kind = ErrorKind.CRASHED
            self._kill()
        what = "took too long" if kind is ErrorKind.TIMEOUT else "killed the process that read it"
        return Verdict(
            image_id=image.image_id,
            outcome=Outcome.ERROR,
            score=None,
            detector=None,
            examined=False,
            findings=(),
            error=ImageError(kind, f"{what}, {TRIES} times"),
            digest=None,
            timings=Timings(),
        )

    def _start(self, root: Source) -> subprocess.Popen[bytes]:
        # Not multiprocessing: a pool's child is a daemon and may have no children of that kind.
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", "workers.batch.sandbox"],
            # Modules are found here first, not in a folder of somebody's pictures.
            cwd=HOME,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        task = {
            "place": location_to_json(root.location),
            "plan": self._plan.body(),
            "max_pixels": self._limits.max_pixels,
            "max_bytes": self._limits.max_bytes,
            "bytes": self._limits.sandbox_bytes,
            "image_seconds": self._limits.image_seconds,
        }
        try:
            _require_ready(_ask(process, task, START_SECONDS))
        except (_Ended, _TookTooLong, MessageError) as error:
            self._kill()
            raise SandboxError(
                f"the process that looks at images one by one does not start: {error}"
            ) from error
        except SourceUnavailable:
            self._kill()
            raise
        return process

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()


class SandboxError(RuntimeError):
    """The sandbox itself cannot be had; nothing is known of the image."""


class _TookTooLong(Exception):
    """No answer in time."""


class _Ended(Exception):
    """The process ended before its answer did, or answered without end."""


def _ask(process: subprocess.Popen[bytes], line: object, seconds: float) -> bytes:
    """The answer to one line of JSON."""
    if process.stdin is None or process.stdout is None:
        raise SandboxError("the sandbox has no pipes")
    until = time.monotonic() + seconds
    try:
        process.stdin.write(json.dumps(line).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError as error:
        raise _Ended(f"it ended ({process.wait()})") from error
    answer = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not answer.endswith(b"\n"):
            if not selector.select(until - time.monotonic()):
                raise _TookTooLong(f"no answer in {seconds:.0f} s")
            more = os.read(process.stdout.fileno(), READ_BYTES)
            answer += more
            if not more:
                raise _Ended(f"it ended ({process.wait()})")
            if len(answer) > ANSWER_BYTES:
                raise _Ended("it does not stop talking")
    return answer


def _require_ready(answer: bytes) -> None:
    """The child's first answer; MessageError where it says why it cannot work."""
    if refused := _parsed(answer).get("refused"):
        raise MessageError(str(refused))


def _parsed(answer: bytes) -> dict[str, Any]:
    """What the child says; MessageError where invalid, or SourceUnavailable."""
    try:
        raw = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise MessageError("an answer that is no JSON") from error
    if not isinstance(raw, dict):
        raise MessageError("an answer of another kind")
    if "gone" in raw:
        raise SourceUnavailable(str(raw["gone"]))
    return raw


def _verdict(answer: bytes, image: BatchImage) -> Verdict:
    """The child's verdict on the image; MessageError where it is none, or one on another image."""
    verdict = decode_verdict(_parsed(answer))
    if verdict.image_id != image.image_id:
        raise MessageError("an answer about another image")
    return verdict


def main() -> None:
    """The child: a task on the first line, then an image a line; a verdict a line comes back."""
    from workers.pipeline.pipeline import make_pipeline  # noqa: PLC0415 - the parent has one already

    lines, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # What native code prints must not get between the answers.
    os.dup2(2, 1)
    task: dict[str, Any] = json.loads(lines.readline())
    resource.setrlimit(resource.RLIMIT_AS, (task["bytes"], task["bytes"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ready: dict[str, str] = {}
    try:
        # On LiteRT, whatever runs the nets elsewhere: it takes the least memory.
        pipeline = make_pipeline(plan_from(task["plan"]), task["max_pixels"])
        root = open_source(location_from_json(task["place"]), task["max_bytes"])
    except SourceUnavailable as gone:
        ready = {"gone": str(gone)}
    except (PlanError, MemoryError) as error:
        ready = {"refused": str(error) or type(error).__name__}
    answers.write(json.dumps(ready).encode() + b"\n")
    answers.flush()
    if ready:
        return
    for line in lines:
        image_id, path, size = json.loads(line)
        _limit_cpu(task["image_seconds"])
        try:
            (verdict,) = pipeline.chunk(root, [BatchImage(image_id, from_wire(path), size)])
            answer = encode_verdict(verdict)
        except SourceUnavailable as gone:
            answer = {"gone": str(gone)}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def _limit_cpu(image_seconds: float) -> None:
    """Have the kernel end this process where the next image does not come to an end.

    Native code that loops for ever notices neither a signal's handler in Python nor that its
    parent is gone.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime + image_seconds) + SPARE_SECONDS
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


if __name__ == "__main__":
    main()
