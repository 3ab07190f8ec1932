"""One batch, from its message to its verdicts in the store; Celery is not needed for it.

What is wrong with the world (store, broker, collection gone) is waited for a while and then given
back: `GiveBack` asks for the message to go to the queue again. Whoever takes it up next, after
whatever happened, does only those images that have no verdict yet.
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
from storage.records import PlanError
from workers.batch.retry import WORLD, GiveBack, Retry
from workers.batch.sandbox import Sandbox, SandboxError
from workers.broker.batch_parts import BatchPart, random_part_number
from workers.broker.leases import Lease, Watch
from workers.broker.publish import send_batch
from workers.log_context import log_batch, with_log_context
from workers.sources.source import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from storage.records import BatchImage, Verdict
    from workers.batch.context import WorkerContext
    from workers.batch.sinks import BatchWriter
    from workers.broker.batch_message import BatchMessage
    from workers.sources.source import Source

log = logging.getLogger(__name__)

# From this attempt on, images are looked at one by one in a process of their own: something in
# the batch may have killed its worker.
CAUTIOUS_FROM = 2


class Examiner(Protocol):
    """What turns images into verdicts: the pipeline, or a sandbox around one."""

    def chunk(
        self, root: Source, images: Sequence[BatchImage], begin: Callable[[BatchImage], object]
    ) -> list[Verdict]:
        """Verdicts on the first of the images, as many as make one transaction."""


class BatchRunner:
    """One process's go at one batch."""

    def __init__(self, context: WorkerContext, message: BatchMessage) -> None:
        self._station = context
        self._message = message
        self._watch = Watch(context.settings.limits.image_seconds)
        self._retry = Retry(context.stop, self._tell)
        self._written: set[int] = set()
        # The ids of what was split off, which is a message of its own by now.
        self._given: set[int] = set()
        self._cautious = False
        part = BatchPart(message.batch_id, message.part)
        self._lease = Lease(context.namespace, part, context.name, self._watch, _end_this_process)

    def run(self) -> None:
        """Judge what is left of the batch; returns when it is done or somebody else has it.

        Raises GiveBack where it has to go to the queue again.
        """
        with log_batch(self._message.scan_id, self._message.batch_id), self._lease:
            if not self._retry.until_done(self._lease.acquire):
                log.info("at work elsewhere")
                return
            try:
                self._run_leased()
            except (GiveBack, PlanError, SandboxError, StoreError, OSError) as error:
                if isinstance(error, PlanError | SandboxError):
                    self._tell(str(error))
                # It goes back: nobody has to wait until the lease has run out.
                self._retry.until_done(self._lease.release)
                if not self._hand_back():
                    raise GiveBack(str(error)) from error
                return
            self._retry.until_done(self._lease.release)

    def _run_leased(self) -> None:
        message, context = self._message, self._station
        account = self._retry.until_done(partial(context.sink.begin, message))
        if account is None:
            log.info("done, forgotten or cancelled")
            return
        pending, began = account.pending, time.monotonic()
        try:
            self._judge(account, [image for image in message.images if image.image_id in pending])
        finally:
            # An open folder keeps its disk from being unmounted.
            context.roots.forget(message.collection)
        if not self._lease.lost:
            self._retry.until_done(account.finish)
        log.info("%d images in %.1f s", len(self._written), time.monotonic() - began)

    def _judge(self, account: BatchWriter, images: Sequence[BatchImage]) -> None:
        """Judge the images; each chunk is written while the next one is judged."""
        context, message = self._station, self._message
        context.heartbeat.start_batch()
        writing: Future[None] | None = None
        try:
            with self._examiner(account.attempt) as examiner:
                for chunk in self._chunks(examiner, images):
                    if writing is not None:
                        writing.result()
                    writing = context.writer.submit(with_log_context(self._write), account, chunk)
                    if self._lease.lost:
                        log.warning("taken over; left to its new worker")
                        break
                    if context.heartbeat.is_cancelled(message.scan_id, message.batch_id):
                        break
                    if context.stop.is_set():
                        raise GiveBack("the worker stops")
        finally:
            # However it ends: what goes back depends on what is written.
            if writing is not None:
                writing.result()

    def _write(self, account: BatchWriter, chunk: Sequence[Verdict]) -> None:
        self._retry.until_done(partial(account.record, chunk))
        self._written.update(verdict.image_id for verdict in chunk)

    def _hand_back(self) -> bool:
        """Put what is left on the queue as a message of its own, if some of it is done already.

        For a ledger that does not remember: it would do everything again. And for a batch of which
        others have a part.
        """
        message = self._message
        gone = self._written | self._given
        left = [image for image in message.images if image.image_id not in gone]
        if len(left) == len(message.images):
            return False
        if self._station.sink.remembers and not self._given:
            return False
        return not left or self._send(left, message.part)

    def _split(self, left: Sequence[BatchImage]) -> int:
        """Give back what is too much for this machine; how many images of what is left it keeps."""
        context = self._station
        # A second look comes in small messages, and is no measure of the pace of first ones.
        if not left or self._cautious or self._message.plan.second_stage:
            return len(left)
        keeps = context.throughput.keeps(len(left))
        if keeps == len(left) and context.throughput.may_look() and self._nothing_waits():
            keeps = context.throughput.keeps_at_the_end(len(left))
        given = left[keeps:]
        if not given or not self._send(given, random_part_number()):
            return len(left)
        self._given.update(image.image_id for image in given)
        log.info("%d images go to others", len(given))
        return keeps

    def _nothing_waits(self) -> bool:
        try:
            return not self._station.namespace.client.llen(self._station.namespace.queue)
        except redis.RedisError:
            return False

    def _send(self, images: Sequence[BatchImage], part: int) -> bool:
        """Put images of the batch on the queue; whether the broker took them."""
        message = replace(self._message, images=tuple(images), part=part)
        try:
            send_batch(self._station.app, message)
        except (*WORLD, OSError) as error:
            log.warning("the batch stays whole: %s", error)
            return False
        return True

    @contextmanager
    def _examiner(self, attempt: int) -> Iterator[Examiner]:
        plan = self._message.plan
        self._cautious = attempt >= CAUTIOUS_FROM
        if not self._cautious:
            yield self._station.pipeline(plan)
            return
        with Sandbox(plan, self._station.settings.limits) as sandbox:
            yield sandbox

    def _chunks(self, examiner: Examiner, images: Sequence[BatchImage]) -> Iterator[list[Verdict]]:
        self._station.throughput.begin()
        left = images
        while left := left[: self._split(left)]:
            chunk = self._retry.until_done(partial(self._next_chunk, examiner, left))
            yield chunk
            left = left[len(chunk) :]

    def _next_chunk(self, examiner: Examiner, images: Sequence[BatchImage]) -> list[Verdict]:
        roots, collection = self._station.roots, self._message.collection
        try:
            root, started = roots.get(collection), time.monotonic()
            chunk = examiner.chunk(root, images, self._watch.begin)
        except SourceUnavailable:
            # What is there when it comes back may be another mount: look again, don't remember.
            roots.forget(collection)
            raise
        finally:
            self._watch.pause()
        if not self._cautious and not self._message.plan.second_stage:
            self._station.throughput.mark(len(chunk), time.monotonic() - started)
        return chunk

    def _tell(self, note: str) -> None:
        self._station.heartbeat.send(self._message.scan_id, self._message.batch_id, note)


def _end_this_process() -> None:
    """An image has overrun its time: nothing but the process's end stops native code.

    The batch's lease runs out, and its next go is a cautious one.
    """
    log.error("an image has overrun its time; this process ends, the batch is tried cautiously")
    os.kill(os.getpid(), signal.SIGKILL)
