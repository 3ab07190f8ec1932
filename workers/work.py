"""One batch, from its message to its verdicts in the store; Celery is not needed for it.

What is wrong with the world (store, broker, collection gone) is waited for a while and then given
back: `GiveBack` asks for the message to go to the queue again. Whoever takes it up next, after
whatever happened, does only those images that have no verdict yet.
"""

from __future__ import annotations

import logging
import os
import signal
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Protocol

from storage import results
from storage.errors import StoreError
from workers.fetch import RootGone
from workers.leases import Lease, Watch
from workers.patience import GiveBack, Patience
from workers.plan import PlanError
from workers.sandbox import Sandbox, SandboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from storage.records import BatchImage, Verdict
    from storage.results import Run
    from workers.fetch import Root
    from workers.messages import BatchMessage
    from workers.station import Station

log = logging.getLogger(__name__)

# From this attempt on, images are looked at one by one in a process of their own: something in
# the batch may have killed its worker.
CAUTIOUS_FROM = 2


class Examiner(Protocol):
    """What turns images into verdicts: the pipeline, or a sandbox around one."""

    def chunk(
        self, root: Root, images: Sequence[BatchImage], begin: Callable[[BatchImage], object]
    ) -> list[Verdict]:
        """Verdicts on the first of the images, as many as make one transaction."""


class BatchWork:
    """One process's go at one batch."""

    def __init__(self, station: Station, message: BatchMessage) -> None:
        self._station = station
        self._message = message
        self._watch = Watch(station.settings.limits.image_seconds)
        self._patience = Patience(station.stop, self._tell)
        self._lease = Lease(
            station.space, message.batch_id, station.name, self._watch, _end_this_process
        )

    def run(self) -> None:
        """Judge what is left of the batch; returns when it is done or somebody else has it.

        Raises GiveBack where it has to go to the queue again.
        """
        with self._lease:
            if not self._patience.until_done(self._lease.acquire):
                log.info("batch %d is at work elsewhere", self._message.batch_id)
                return
            try:
                self._run_leased()
            except (PlanError, SandboxError) as error:
                self._tell(str(error))
                self._patience.until_done(self._lease.release)
                raise GiveBack(str(error)) from error
            except (GiveBack, StoreError, OSError):
                # It goes back: nobody has to wait until the lease has run out.
                self._patience.until_done(self._lease.release)
                raise
            self._patience.until_done(self._lease.release)

    def _run_leased(self) -> None:
        message, station = self._message, self._station
        begin = partial(
            results.begin_run,
            station.store,
            message.batch_id,
            message.attempt,
            (station.host.host_id, station.name),
        )
        begun = self._patience.until_done(begin)
        if begun is None:
            log.info("batch %d is done, forgotten or cancelled", message.batch_id)
            return
        run, pending = begun
        try:
            self._judge(run, [image for image in message.images if image.image_id in pending])
        finally:
            # An open folder keeps its disk from being unmounted.
            station.roots.forget(message.collection)
        if not self._lease.lost:
            self._patience.until_done(partial(results.finish_batch, station.store, run))

    def _judge(self, run: Run, images: Sequence[BatchImage]) -> None:
        """Judge the images; each chunk is written while the next one is judged."""
        station = self._station
        station.channel.begin()
        writing: Future[None] | None = None
        with self._examiner(run.attempt) as examiner:
            for chunk in self._chunks(examiner, images):
                if writing is not None:
                    writing.result()
                writing = station.writer.submit(self._write, run, chunk)
                if self._lease.lost:
                    log.warning("batch %d was taken over; left to its new worker", run.batch_id)
                    break
                if station.channel.cancelled(run.scan_id, run.batch_id):
                    break
                if station.stop.is_set():
                    writing.result()
                    raise GiveBack("the worker stops")
        if writing is not None:
            writing.result()

    def _write(self, run: Run, chunk: Sequence[Verdict]) -> None:
        self._patience.until_done(partial(results.record, self._station.store, run, chunk))

    @contextmanager
    def _examiner(self, attempt: int) -> Iterator[Examiner]:
        plan = self._message.plan
        if attempt < CAUTIOUS_FROM:
            yield self._station.pipeline(plan)
            return
        with Sandbox(plan, self._station.settings.limits) as sandbox:
            yield sandbox

    def _chunks(self, examiner: Examiner, images: Sequence[BatchImage]) -> Iterator[list[Verdict]]:
        done = 0
        while done < len(images):
            chunk = self._patience.until_done(partial(self._next_chunk, examiner, images[done:]))
            yield chunk
            done += len(chunk)

    def _next_chunk(self, examiner: Examiner, images: Sequence[BatchImage]) -> list[Verdict]:
        roots, collection = self._station.roots, self._message.collection
        try:
            return examiner.chunk(roots.root(collection), images, self._watch.begin)
        except RootGone:
            # What is there when it comes back may be another mount: look again, don't remember.
            roots.forget(collection)
            raise
        finally:
            self._watch.pause()

    def _tell(self, note: str) -> None:
        self._station.channel.tell(self._message.scan_id, self._message.batch_id, note)


def _end_this_process() -> None:
    """An image has overrun its time: nothing but the process's end stops native code.

    The batch's lease runs out, and its next go is a cautious one.
    """
    log.error("an image has overrun its time; this process ends, the batch is tried cautiously")
    os.kill(os.getpid(), signal.SIGKILL)
