"""Run one batch, from its message to its verdicts in the store; without Celery.

A store, broker or collection that is unavailable is retried for a while; then RequeueBatch asks for
the message to return to the queue. Whatever happened, the next worker does only the images that
have no verdict yet.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

import redis

from storage.errors import StoreError
from storage.records import ErrorKind, ImageError, PlanError, Verdict
from workers.batch.retry import (
    TRANSIENT_ERRORS,
    BatchGivenUp,
    CollectionUnknown,
    RequeueBatch,
    Retry,
)
from workers.batch.sandbox import Sandbox, SandboxError
from workers.broker.batch_message import UNDERSTOOD
from workers.broker.batch_parts import BatchPart, random_part_number
from workers.broker.leases import ImageTimer, Lease
from workers.broker.publish import send_batch
from workers.log_context import log_batch, with_log_context
from workers.pipeline.pipeline import CHUNK_IMAGES
from workers.sources.local import LocalSource
from workers.sources.read_ahead import ReadAhead
from workers.sources.source import SourceMoved, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from storage.records import BatchImage
    from workers.batch.context import WorkerContext
    from workers.batch.sinks import BatchWriter
    from workers.broker.batch_message import BatchMessage
    from workers.sources.source import Source

log = logging.getLogger(__name__)

# From this attempt on, images are judged one by one in the sandbox: one of them may have killed
# the worker before.
SANDBOX_FROM_ATTEMPT = 2
# Verdicts are written this often,
WRITE_SECONDS = 0.5
# or as soon as there are so many.
WRITE_IMAGES = 512


class ImageJudge(Protocol):
    """The pipeline, or a sandbox with a pipeline in it."""

    def chunk(
        self, source: Source, images: Sequence[BatchImage], begin: Callable[[BatchImage], object], /
    ) -> list[Verdict]:
        """Return verdicts on the first of the images, as many as are written at once."""


class _SandboxTries:
    """The tries at one image in the sandbox, which has its own limit on their time.

    At the second try the other images are left to other workers, instead of waiting for it.
    """

    def __init__(self, timer: ImageTimer, leave_others: Callable[[], object]) -> None:
        self._timer = timer
        self._leave_others = leave_others
        self._tried = False

    def begin(self, _image: BatchImage) -> None:
        """Begin a try."""
        self._timer.progress()
        if self._tried:
            self._leave_others()
        self._tried = True


class _Unwritten:
    """Verdicts that wait to be written, which another thread does while the next are judged.

    Small images are many chunks a second, and each commit waits for the disk: so verdicts of up to
    `seconds` and WRITE_IMAGES are written at once.
    """

    def __init__(
        self, submit: Callable[[Sequence[Verdict], bool], Future[None]], seconds: float
    ) -> None:
        self._submit = submit
        self._seconds = seconds
        self._verdicts: list[Verdict] = []
        self._writing: Future[None] | None = None
        self._since = time.monotonic()

    def add(self, chunk: Sequence[Verdict]) -> None:
        """Add verdicts, and begin to write all that wait if it is time."""
        self._verdicts += chunk
        is_due = time.monotonic() - self._since >= self._seconds
        if is_due or len(self._verdicts) >= WRITE_IMAGES:
            self._write(is_last=False)

    def write_rest(self, *, is_last: bool) -> None:
        """Write all that waits, and return when it is written."""
        self._write(is_last=is_last)
        self._wait()

    def _write(self, *, is_last: bool) -> None:
        self._wait()
        verdicts, self._verdicts = self._verdicts, []
        self._writing = self._submit(verdicts, is_last)
        self._since = time.monotonic()

    def _wait(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()


class BatchRunner:
    """One attempt of one process at one batch, or at a part of it."""

    def __init__(self, context: WorkerContext, message: BatchMessage) -> None:
        self._context = context
        self._message = message
        self._timer = ImageTimer(context.settings.limits.image_seconds)
        self._retry = Retry(context.stop, self._report, context.said)
        self._written: set[int] = set()
        # Images that were split off as a message of their own.
        self._split_off: set[int] = set()
        self._is_sandboxed = False
        # Whether files have the times here that were listed; None as long as it is not known.
        self._has_times: bool | None = None
        part = BatchPart(message.batch_id, message.part)
        self._lease = Lease(context.namespace, part, context.name, self._timer, _kill_this_process)

    def run(self) -> None:
        """Judge the rest of the batch. Return when it is done, or another worker has it.

        Raises RequeueBatch if the message has to return to the queue, and BatchGivenUp if it has
        done so for too long.
        """
        with log_batch(self._message.scan_id, self._message.batch_id), self._lease:
            if not self._retry.until_done(self._lease.acquire):
                log.info("another worker has the batch")
                return
            try:
                self._run_leased()
            except (RequeueBatch, PlanError, SandboxError, StoreError, OSError) as error:
                if isinstance(error, PlanError | SandboxError):
                    self._report(str(error))
                # So that the next worker need not wait until the lease expires.
                self._retry.until_done(self._lease.release)
                if self._is_given_up(error):
                    raise BatchGivenUp(str(error)) from error
                if not self._requeue_rest():
                    raise RequeueBatch(str(error)) from error
                return
            self._retry.until_done(self._lease.release)

    def _is_given_up(self, error: Exception) -> bool:
        """Return whether no machine could do for too long what failed here."""
        if isinstance(error, CollectionUnknown):
            missing = self._collection_name
        elif isinstance(error, PlanError | SandboxError):
            missing = self._plan_name
        else:
            return False
        is_over = self._context.missing.is_over
        return bool(self._retry.until_done(partial(is_over, missing)))

    @property
    def _collection_name(self) -> str:
        return f"collection {self._message.collection}"

    @property
    def _plan_name(self) -> str:
        return f"plan {self._message.plan.digest()}"

    def _run_leased(self) -> None:
        message, context = self._message, self._context
        writer = self._retry.until_done(partial(context.sink.open_batch, message))
        if writer is None:
            log.info("the batch is done, deleted or cancelled")
            return
        pending, started = writer.pending, time.monotonic()
        try:
            self._judge(writer, [image for image in message.images if image.image_id in pending])
        finally:
            # An open folder keeps its disk from being unmounted.
            context.sources.forget(message.collection)
        log.info("%d images in %.1f s", len(self._written), time.monotonic() - started)

    def _judge(self, writer: BatchWriter, images: Sequence[BatchImage]) -> None:
        """Judge the images; each chunk is written while the next one is judged."""
        context, message = self._context, self._message
        context.heartbeat.start_batch()
        # In the sandbox each image by itself: the next one may kill this process, too.
        seconds = WRITE_SECONDS if writer.attempt < SANDBOX_FROM_ATTEMPT else 0.0
        waiting = _Unwritten(self._writer_of(writer), seconds)
        is_last = False
        try:
            with self._image_judge(writer.attempt) as judge:
                for chunk in self._chunks(judge, images):
                    waiting.add(chunk)
                    if self._lease.lost:
                        log.warning("another worker has taken over the batch")
                        break
                    if context.heartbeat.is_cancelled(message.scan_id, message.batch_id):
                        break
                    if context.stop.is_set():
                        raise RequeueBatch("the worker is stopping")
            is_last = not self._lease.lost
        finally:
            # In any case: what is requeued depends on what is written.
            waiting.write_rest(is_last=is_last)

    def _writer_of(self, writer: BatchWriter) -> Callable[[Sequence[Verdict], bool], Future[None]]:
        """Return a function that writes verdicts of the batch in the thread that writes."""

        def write(verdicts: Sequence[Verdict], is_last: bool) -> None:  # noqa: FBT001 - submitted
            self._retry.until_done(partial(writer.write, verdicts, is_last=is_last))
            self._written.update(verdict.image_id for verdict in verdicts)
            self._timer.progress()

        in_context = with_log_context(write)
        return lambda verdicts, is_last: self._context.writer.submit(in_context, verdicts, is_last)

    def _requeue_rest(self) -> bool:
        """Publish the remaining images as a new message, if the original would do too much.

        It would if the sink does not skip judged images, or other workers have a part of them.
        Return whether the original message is done with.
        """
        message = self._message
        gone = self._written | self._split_off
        rest = [image for image in message.images if image.image_id not in gone]
        if len(rest) == len(message.images):
            return False
        if self._context.sink.skips_judged and not self._split_off:
            return False
        return not rest or self._publish(rest, message.part)

    def _split(self, images: Sequence[BatchImage]) -> int:
        """Requeue the images that are too much for this machine. Return how many it keeps."""
        throughput = self._context.throughput
        if not images or self._is_sandboxed:
            return len(images)
        keep = throughput.images_to_keep(len(images))
        if keep == len(images) and throughput.is_queue_check_due() and self._is_queue_empty():
            keep = throughput.images_to_keep_if_queue_is_empty(len(images))
        return keep if self._leave(images[keep:]) else len(images)

    def _leave(self, images: Sequence[BatchImage]) -> bool:
        """Requeue images of the batch as a part of it. Return whether there were any, and it is."""
        if not images or not self._publish(images, random_part_number()):
            return False
        self._split_off.update(image.image_id for image in images)
        log.info("%d images left to other workers", len(images))
        return True

    def _is_queue_empty(self) -> bool:
        try:
            return not self._context.namespace.client.llen(self._context.namespace.queue)
        except redis.RedisError:
            return False

    def _publish(self, images: Sequence[BatchImage], part: int) -> bool:
        """Publish images of the batch as a message. Return whether the broker accepted it."""
        message = replace(self._message, images=tuple(images), part=part)
        try:
            send_batch(self._context.app, message)
        except (*TRANSIENT_ERRORS, OSError) as error:
            log.warning("the batch could not be split: %s", error)
            return False
        return True

    @contextmanager
    def _image_judge(self, attempt: int) -> Iterator[ImageJudge]:
        plan = self._message.plan
        self._is_sandboxed = attempt >= SANDBOX_FROM_ATTEMPT
        if not self._is_sandboxed:
            yield self._context.pipeline(plan)
            return
        with Sandbox(plan, self._context.settings.limits) as sandbox:
            yield sandbox

    def _chunks(self, judge: ImageJudge, images: Sequence[BatchImage]) -> Iterator[list[Verdict]]:
        self._context.throughput.start_batch()
        while images := images[: self._split(images)]:
            chunk = self._retry.until_done(partial(self._next_chunk, judge, images))
            yield chunk
            images = [
                image for image in images[len(chunk) :] if image.image_id not in self._split_off
            ]

    def _next_chunk(self, judge: ImageJudge, images: Sequence[BatchImage]) -> list[Verdict]:
        sources, collection = self._context.sources, self._message.collection
        try:
            source, started = sources.get(collection), time.monotonic()
            images = self._comparable(source, images)
            begin: Callable[[BatchImage], object] = self._timer.start
            if isinstance(source, ReadAhead) and not self._is_sandboxed:
                source.expect(images)
            if self._is_sandboxed:
                begin = _SandboxTries(self._timer, partial(self._leave, images[1:])).begin
            chunk = judge.chunk(source, images, begin)
            if not self._written:
                present = (self._collection_name, self._plan_name, *UNDERSTOOD)
                self._context.missing.reset(*present)
        except SourceMoved as error:
            sources.forget(collection)
            if not self._context.missing.is_over(self._collection_name):
                raise
            moved = ImageError(ErrorKind.MOVED, str(error))
            return [Verdict.of_error(image.image_id, moved) for image in images[:CHUNK_IMAGES]]
        except SourceUnavailable:
            # Another mount may come back in its place: verify it again.
            sources.forget(collection)
            raise
        finally:
            self._timer.stop()
        if not self._is_sandboxed:
            self._context.throughput.record_chunk(len(chunk), time.monotonic() - started)
        return chunk

    def _comparable(self, source: Source, images: Sequence[BatchImage]) -> Sequence[BatchImage]:
        """Return the images without their times where those are other ones on this machine."""
        if self._has_times is None:
            samples = self._message.samples
            self._has_times = isinstance(source, LocalSource) and source.has_times_of(samples)
        return images if self._has_times else [replace(image, mtime_s=None) for image in images]

    def _report(self, note: str) -> None:
        self._context.heartbeat.send(self._message.scan_id, self._message.batch_id, note)


def _kill_this_process() -> None:
    """End this process: nothing else stops native code that hangs.

    The batch's lease then expires, and its next attempt runs in the sandbox.
    """
    log.error("an image exceeded its time limit: ending this process, retrying in the sandbox")
    os.kill(os.getpid(), signal.SIGKILL)
