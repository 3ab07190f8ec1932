"""Judge images one by one in a child process with limited memory and time.

For batches that have killed or hung a worker before, and for files that a user names. The process
serves image after image until one kills it; an image that does so twice is `crashed`, or `timeout`
if its time ran out, and a last process reads its metadata alone, which may settle it. The child may
have decoded a hostile image, so it is confined, and its answers are checked like messages from the
queue. It opens a local collection itself; from any other source its parent reads for it.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from msgspec import Struct

from storage.errors import ScannerError
from storage.paths import from_wire, to_wire
from storage.records import (
    BatchImage,
    ErrorKind,
    ImageError,
    Plan,
    PlanError,
    Verdict,
)
from storage.text import clean
from workers.broker.field_types import MessageError, Text, message_errors
from workers.broker.verdict_message import VerdictBody, body_to_verdict, verdict_to_body
from workers.confinement.process import confine
from workers.detectors import custom
from workers.errors import ImageProblem
from workers.limited_process import (
    LimitedProcess,
    ParentConnection,
    ProcessFailed,
    ProcessTimedOut,
    limit_cpu,
    limit_memory,
)
from workers.limits import Limits
from workers.provenance import trust_lists
from workers.sources.local import LocalSource
from workers.sources.source import Fetched, FetchError, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from storage.records import Sidecar
    from workers.pipeline.pipeline import BytesSource, Pipeline

log = logging.getLogger(__name__)

# Time to start the process and load its detectors, on a slow board.
START_SECONDS = 60.0
TRIES = 2
# Time to read the metadata of an image whose pixels killed two processes: a second on a slow board.
METADATA_SECONDS = 10.0


class _Task(Struct):
    """The first request; each further one is a _Request, or _File where the child asked for one.

    `folder` is the root of a local collection.
    """

    folder: Any
    plan: dict[str, Any]
    limits: Limits


class _Request(Struct, omit_defaults=True):
    """An image to judge: by its metadata alone, if its pixels are known to end in an `error`."""

    image: BatchImage
    error: ImageError | None = None


class _File(Struct, omit_defaults=True):
    """A file that the child asked for, whose bytes follow; or why there is none."""

    size_bytes: int = 0
    digest: bytes = b""
    problem: ErrorKind | None = None
    text: str = ""


class _Question(Struct):
    """What a child asks for: a path of the collection, and the size that was listed."""

    path: Any
    expected_bytes: int | None


class _Answer(Struct, omit_defaults=True):
    """The answer to a request: a verdict, or the error that prevents one; empty to the first.

    Or a question, whose answer is the next request.
    """

    question: _Question | None = None
    verdict: VerdictBody | None = None
    source_error: Text | None = None
    setup_error: Text | None = None

    def raise_source_error(self) -> None:
        """Raise SourceUnavailable if the child did."""
        if self.source_error is not None:
            raise SourceUnavailable(self.source_error)


class SandboxError(ScannerError):
    """The sandbox does not start; nothing is known about the image."""


class Sandbox:
    """A process that judges images one by one, replaced when one of them kills it."""

    def __init__(self, plan: Plan, limits: Limits) -> None:
        self._plan = plan
        self._limits = limits
        self._process: LimitedProcess | None = None

    def chunk(
        self,
        root: BytesSource,
        images: Sequence[BatchImage],
        begin: Callable[[BatchImage], object],
    ) -> list[Verdict]:
        """Return the verdict on the first of the images, so that each is written by itself."""
        return [self.judge(root, images[0], begin)]

    def judge(
        self,
        root: BytesSource,
        image: BatchImage,
        begin: Callable[[BatchImage], object] = lambda _image: None,
    ) -> Verdict:
        """Return the verdict on one image; `error` if it killed its process or its time ran out.

        Call `begin` before each try.

        Raises SandboxError, and SourceUnavailable where the collection is unavailable.
        """
        kind = ErrorKind.CRASHED
        for _ in range(TRIES):
            process = self._process or self._start(root)
            begin(image)
            try:
                answer = self._ask(process, root, _Request(image), self._limits.image_seconds)
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
        return self._by_metadata(root, image, ImageError(kind, f"{what}, {TRIES} times"))

    def _by_metadata(self, root: BytesSource, image: BatchImage, error: ImageError) -> Verdict:
        """Return the verdict on an image by its metadata alone; `error` where that fails, too."""
        process = self._process or self._start(root)
        try:
            answer = self._ask(process, root, _Request(image, error), METADATA_SECONDS)
            verdict = _verdict(answer, image)
            if verdict.error == error:
                return verdict
        except SourceUnavailable:
            self._kill()
            raise
        except (ProcessFailed, MessageError) as failure:
            log.warning("image %d failed in the sandbox: %s", image.image_id, failure)
        self._kill()
        return Verdict.of_error(image.image_id, error)

    def _ask(
        self, process: LimitedProcess, root: BytesSource, request: _Request, seconds: float
    ) -> _Answer:
        """Return the child's answer to a request, after what it asked for was read.

        Raises ProcessFailed, MessageError and SourceUnavailable.
        """
        deadline = monotonic() + seconds
        answer = process.request(request, _Answer, seconds)
        while answer.question is not None:
            file, data = _read(root, request.image, answer.question)
            answer = process.request(file, _Answer, deadline - monotonic(), data)
        return answer

    def _start(self, root: BytesSource) -> LimitedProcess:
        self._process = LimitedProcess("workers.batch.sandbox")
        folder = to_wire(os.fsencode(root.location)) if isinstance(root, LocalSource) else None
        task = _Task(folder, self._plan.to_json(), self._limits)
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


def _read(root: BytesSource, image: BatchImage, question: _Question) -> tuple[_File, bytes]:
    """Return a file that a child needs for an image. Raises MessageError and SourceUnavailable.

    Only the image and the sidecars that were listed for it: the child may be hostile.
    """
    with message_errors("question"):
        path = from_wire(question.path)
    sidecars = {sidecar.path(image.path): sidecar for sidecar in image.sidecars}
    if path != image.path and path not in sidecars:
        raise MessageError("expected a question about the image")
    try:
        if path != image.path:
            data = root.fetch_sidecar(image.path, sidecars[path])
            return _File(len(data)), data
        fetched = root.fetch(path, question.expected_bytes)
    except ImageProblem as error:
        return _File(problem=error.kind, text=error.text), b""
    return _File(len(fetched.data), fetched.digest), fetched.data


class _ParentSource:
    """A source whose files the parent reads."""

    def __init__(self, parent: ParentConnection) -> None:
        self._parent = parent

    def fetch(self, relative: bytes, expected_size: int | None = None) -> Fetched:
        """Return a file, see `workers.sources.source.Source.fetch`."""
        self._parent.answer(_Answer(_Question(to_wire(relative), expected_size)))
        file = self._parent.receive(_File)
        if file is None:
            raise SystemExit
        if file.problem is not None:
            raise FetchError(file.problem, file.text)
        return Fetched(self._parent.payload(file.size_bytes), file.digest)

    def fetch_sidecar(self, image: bytes, sidecar: Sidecar) -> bytes:
        """Return a sidecar, see `workers.sources.source.Source.fetch_sidecar`."""
        return self.fetch(sidecar.path(image), sidecar.size_bytes).data


def _prepared(task: _Task, parent: ParentConnection) -> tuple[Pipeline, BytesSource]:
    """Give up all rights that judging needs not, and load the models."""
    folder = None if task.folder is None else Path(os.fsdecode(from_wire(task.folder)))
    limit_memory(task.limits.sandbox_bytes)
    confine([custom.folder(), trust_lists.folder(), *([] if folder is None else [folder])])
    from workers.pipeline.pipeline import make_pipeline  # noqa: PLC0415 - may start threads

    pipeline = make_pipeline(Plan.from_json(task.plan), task.limits.max_pixels)
    if folder is None:
        return pipeline, _ParentSource(parent)
    return pipeline, LocalSource(folder, task.limits.max_bytes)


def main() -> None:
    """Run the child: answer the task, then each request, until the parent is gone."""
    parent = ParentConnection()
    task = parent.receive(_Task)
    if task is None:
        return
    try:
        pipeline, root = _prepared(task, parent)
    except SourceUnavailable as error:
        parent.answer(_Answer(source_error=clean(str(error))))
        return
    except (PlanError, MemoryError) as error:
        parent.answer(_Answer(setup_error=clean(str(error)) or type(error).__name__))
        return
    parent.answer(_Answer())
    while request := parent.receive(_Request):
        limit_cpu(task.limits.image_seconds)
        try:
            if request.error is None:
                (verdict,) = pipeline.chunk(root, [request.image])
            else:
                verdict = pipeline.by_metadata(root, request.image, request.error)
            parent.answer(_Answer(verdict=verdict_to_body(verdict)))
        except SourceUnavailable as error:
            parent.answer(_Answer(source_error=clean(str(error))))


if __name__ == "__main__":
    main()
