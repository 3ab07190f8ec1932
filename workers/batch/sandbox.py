"""Judge images one by one in a child process with limited memory and time.

For batches that have killed or hung a worker before. The process serves image after image until
one kills it; an image that does so twice is `crashed`, or `timeout` if its time ran out. The child
may have decoded a hostile image, so its answers are checked like messages from the queue.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Self

from msgspec import Struct

from storage.records import (
    BatchImage,
    ErrorKind,
    ImageError,
    Outcome,
    Plan,
    PlanError,
    Timings,
    Verdict,
)
from storage.text import clean
from workers.broker.field_types import MessageError, Text, message_errors
from workers.broker.verdict_message import VerdictBody, body_to_verdict, verdict_to_body
from workers.limited_process import (
    LimitedProcess,
    ParentConnection,
    ProcessFailed,
    ProcessTimedOut,
    limit_cpu,
    limit_memory,
)
from workers.limits import Limits
from workers.sources.location import location_from_json, location_to_json
from workers.sources.registry import open_source
from workers.sources.source import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workers.sources.source import Source

log = logging.getLogger(__name__)

# Time to start the process and load its detectors, on a slow board.
START_SECONDS = 60.0
TRIES = 2


class _Task(Struct):
    """The first request; each further one is a BatchImage."""

    place: dict[str, Any]
    plan: dict[str, Any]
    limits: Limits


class _Answer(Struct, omit_defaults=True):
    """The answer to a request: a verdict, or the error that prevents one; empty to the first."""

    verdict: VerdictBody | None = None
    source_error: Text | None = None
    setup_error: Text | None = None

    def raise_source_error(self) -> None:
        """Raise SourceUnavailable if the child did."""
        if self.source_error is not None:
            raise SourceUnavailable(self.source_error)


class SandboxError(RuntimeError):
    """The sandbox does not start; nothing is known about the image."""


class Sandbox:
    """A process that judges images one by one, replaced when one of them kills it."""

    def __init__(self, plan: Plan, limits: Limits) -> None:
        self._plan = plan
        self._limits = limits
        self._process: LimitedProcess | None = None

    def chunk(
        self, root: Source, images: Sequence[BatchImage], _begin: Callable[[BatchImage], object]
    ) -> list[Verdict]:
        """Return the verdict on the first of the images, so that each is written by itself."""
        return [self.judge(root, images[0])]

    def judge(self, root: Source, image: BatchImage) -> Verdict:
        """Return the verdict on one image; `error` if it killed its process or its time ran out.

        Raises SandboxError, and SourceUnavailable where the collection is unavailable.
        """
        kind = ErrorKind.CRASHED
        for _ in range(TRIES):
            process = self._process or self._start(root)
            try:
                answer = process.request(image, _Answer, self._limits.image_seconds)
                return _verdict(answer, image)
            except SourceUnavailable:
                # The next process opens the folder again: by then it may be another mount.
                self._kill()
                raise
            except ProcessTimedOut:
                kind = ErrorKind.TIMEOUT
            except (ProcessFailed, MessageError) as error:
                # Killed by the image or for its memory, or the image has taken it over.
                log.warning("image %d failed in the sandbox: %s", image.image_id, error)
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

    def _start(self, root: Source) -> LimitedProcess:
        self._process = LimitedProcess("workers.batch.sandbox")
        task = _Task(location_to_json(root.location), self._plan.to_json(), self._limits)
        try:
            answer = self._process.request(task, _Answer, START_SECONDS)
        except ProcessFailed as error:
            self._kill()
            raise SandboxError(f"the sandbox process does not start: {error}") from error
        if answer != _Answer():
            self._kill()
            answer.raise_source_error()
            raise SandboxError(f"the sandbox process does not start: {answer.setup_error}")
        return self._process

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()


def _verdict(answer: _Answer, image: BatchImage) -> Verdict:
    """Return the child's verdict on the image. Raises MessageError if it has none."""
    answer.raise_source_error()
    if answer.verdict is None or answer.verdict.image != image.image_id:
        raise MessageError("expected a verdict on the requested image")
    with message_errors("verdict"):
        return body_to_verdict(answer.verdict)


def main() -> None:
    """Run the child: answer the task, then each image, until the parent is gone."""
    from workers.pipeline.pipeline import make_pipeline  # noqa: PLC0415 - the parent has one already

    parent = ParentConnection()
    task = parent.receive(_Task)
    if task is None:
        return
    limit_memory(task.limits.sandbox_bytes)
    try:
        pipeline = make_pipeline(Plan.from_json(task.plan), task.limits.max_pixels)
        root = open_source(location_from_json(task.place), task.limits.max_bytes)
    except SourceUnavailable as error:
        parent.answer(_Answer(source_error=clean(str(error))))
        return
    except (PlanError, MemoryError) as error:
        parent.answer(_Answer(setup_error=clean(str(error)) or type(error).__name__))
        return
    parent.answer(_Answer())
    while image := parent.receive(BatchImage):
        limit_cpu(task.limits.image_seconds)
        try:
            (verdict,) = pipeline.chunk(root, [image])
            parent.answer(_Answer(verdict=verdict_to_body(verdict)))
        except SourceUnavailable as error:
            parent.answer(_Answer(source_error=clean(str(error))))


if __name__ == "__main__":
    main()
