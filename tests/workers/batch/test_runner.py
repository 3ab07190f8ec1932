"""A batch from its message to its verdicts, with a real store and a real queue server."""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
import time
import zlib
from base64 import b64decode
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from storage.database.store import Store
from storage.errors import StoreUnavailable
from storage.reads import progress, verdicts
from storage.records import (
    BatchImage,
    ErrorKind,
    ImageError,
    ListedImage,
    Outcome,
    Plan,
    PlannedDetector,
    Thresholds,
    Timings,
    Verdict,
)
from storage.writes import listing, results, scans
from workers.batch import retry, runner
from workers.batch.context import WorkerContext
from workers.batch.retry import BatchGivenUp, RequeueBatch
from workers.batch.runner import BatchRunner
from workers.batch.sandbox import Sandbox
from workers.batch.stopping import StopFlag
from workers.broker import heartbeat, leases
from workers.broker.app import make_namespace
from workers.broker.batch_message import BatchMessage, decode_batch, encode_batch, sign_batch
from workers.broker.batch_parts import BatchPart
from workers.broker.collection_fingerprints import store_fingerprint
from workers.broker.leases import ImageTimer, Lease, Orphan
from workers.broker.missing import stuck_key
from workers.broker.signatures import STORE, Signer
from workers.detectors import installed
from workers.detectors.card import Card, Input, load_card
from workers.detectors.card import Thresholds as CardThresholds
from workers.limited_process import ProcessTimedOut
from workers.limits import Limits
from workers.pipeline import pipeline
from workers.pipeline.pipeline import Pipeline
from workers.pipeline.plan import make_plan
from workers.settings import WorkerSettings
from workers.sources.fingerprint import KnownFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from storage.writes.scans import Scan

GREY = Plan((PlannedDetector("grey", "1", "", Thresholds(0.4, 0.8)),))
PROVENANCE = make_plan({"provenance": load_card(installed.MODELS / "provenance.toml")})


class Grey:
    """A detector that takes brightness as its score, and calls `before` first."""

    card = Card(
        "grey", "1", "", CardThresholds(0.4, 0.8), (), input=Input(32, 32, "RGB", 0, 255, 16, 64)
    )

    def __init__(self) -> None:
        self.images = 0
        self.before: Callable[[], object] = lambda: None

    def score(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Return the mean of each image, divided by 255."""
        self.images += len(images)
        self.before()
        return np.array([image.mean() / 255 for image in images])


@dataclass
class Desk:
    """A collection, a store and a broker, with the actions of a producer and worker contexts."""

    folder: Path
    state_dir: Path
    broker_url: str
    store: Store
    grey: Grey = field(default_factory=Grey)
    contexts: list[WorkerContext] = field(default_factory=list)

    def context(self, name: str = "pi4:1", limits: Limits | None = None) -> WorkerContext:
        """Return the context of a process whose detector scores brightness."""
        url = self.store.engine.url.render_as_string()
        settings = WorkerSettings(
            self.broker_url,
            url,
            self.store.identity,
            self.state_dir,
            1,
            "pi4",
            limits=limits or Limits(),
        )
        context = WorkerContext(settings, name, StopFlag())
        context._pipelines[GREY.digest()] = Pipeline(GREY, {"grey": self.grey}, 1_000_000)
        self.contexts.append(context)
        return context

    def scan(self, plan: Plan = GREY) -> Scan:
        """Start a scan of the folder."""
        collection = scans.ensure_collection(self.store, "photos", os.fsencode(self.folder))
        plan_id = scans.ensure_plan(self.store, plan)
        return scans.new_scan(self.store, collection, plan_id, "fleet")

    def batch(self, scan: Scan, images: int = 5, attempt: int = 1) -> BatchMessage:
        """Create white images in the folder and return the message of their batch."""
        listed = []
        for number in range(images):
            (self.folder / f"{number}.png").write_bytes(WHITE)
            listed.append(ListedImage(b"%d.png" % number, len(WHITE), 1))
        batch = listing.add_batch(self.store, scan, listed, None)
        scans.mark_listed(self.store, scan.scan_id, {}, 0)
        assert batch is not None
        message = BatchMessage(
            scan.scan_id, batch.batch_id, attempt, scan.collection, scan.plan, batch.images
        )
        return sign_batch(message, self.store.identity, self.store.signing_key)

    def outcomes(self, scan: Scan) -> dict[str, int]:
        """Return the number of images by outcome, without zeros."""
        counts = progress.count_images(self.store, scan.scan_id)
        by_name = {
            "ai": counts.ai,
            "no_evidence": counts.no_evidence,
            "error": counts.error,
            "pending": counts.pending,
        }
        return {name: count for name, count in by_name.items() if count}

    def done(self, scan: Scan) -> bool:
        """Return whether a scan is finished."""
        return scans.find_scan(self.store, scan.scan_id).finished_at is not None

    def leased(self) -> tuple[int, int]:
        """Return the number of leases, and of batches being worked on."""
        namespace = self.contexts[0].namespace
        held = namespace.client.keys(namespace.key("lease", "*"))
        return len(held), namespace.client.hlen(leases.working_key(namespace))


def white() -> bytes:
    """Return a white image of 32 x 32 pixels."""
    file = io.BytesIO()
    Image.new("RGB", (32, 32), (255, 255, 255)).save(file, "PNG")
    return file.getvalue()


WHITE = white()


@pytest.fixture
def desk(tmp_path: Path, clean_redis: str) -> Iterator[Desk]:
    """Create an empty folder, an empty store and an empty broker."""
    (tmp_path / "photos").mkdir()
    store = Store.open(f"sqlite:///{tmp_path}/store.db")
    desk = Desk(tmp_path / "photos", tmp_path / "state", clean_redis, store)
    yield desk
    for context in desk.contexts:
        context.close()
    store.close()


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reduce chunks to two images, each written by itself."""
    monkeypatch.setattr(pipeline, "CHUNK_IMAGES", 2)
    monkeypatch.setattr(runner, "WRITE_IMAGES", 2)


@pytest.fixture
def no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable waiting for anything that is unavailable."""
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.0)


def later(seconds: float, action: Callable[[], object]) -> threading.Timer:
    """Call a function after a while, in another thread."""
    timer = threading.Timer(seconds, action)
    timer.start()
    return timer


def test_judged_and_done(desk: Desk, small_chunks: None) -> None:
    """All images get verdicts, batch and scan are done, and the lease is released."""
    scan = desk.scan()
    BatchRunner(desk.context(), desk.batch(scan, 5)).run()
    rows = list(verdicts.verdict_rows(desk.store, scan.scan_id))

    assert {"ai": 5} == desk.outcomes(scan)
    assert [(1.0, "grey", "pi4")] * 5 == [
        (row.verdict and row.verdict.score, row.verdict and row.verdict.detector, row.host)
        for row in rows
    ]
    assert desk.done(scan)
    assert (0, 0) == desk.leased()


def test_small_images_are_written_together(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of less than half a second are one transaction, which also ends the batch."""
    monkeypatch.setattr(pipeline, "CHUNK_IMAGES", 2)
    monkeypatch.setattr(runner, "WRITE_SECONDS", 60.0)
    scan = desk.scan()
    written: list[tuple[int, bool]] = []
    real = results.record_verdicts

    def record(store: Store, run: results.Run, judged: Sequence[Verdict], *, is_last: bool) -> None:
        written.append((len(judged), is_last))
        real(store, run, judged, is_last=is_last)

    monkeypatch.setattr(results, "record_verdicts", record)
    BatchRunner(desk.context(), desk.batch(scan, 5)).run()

    assert [(5, True)] == written
    assert desk.done(scan)


def test_cautious_images_are_written_one_by_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the second attempt no verdict waits for another one."""
    monkeypatch.setattr(runner, "WRITE_SECONDS", 60.0)
    scan = desk.scan(PROVENANCE)
    written: list[int] = []
    real = results.record_verdicts

    def record(store: Store, run: results.Run, judged: Sequence[Verdict], *, is_last: bool) -> None:
        written.append(len(judged))
        real(store, run, judged, is_last=is_last)

    monkeypatch.setattr(results, "record_verdicts", record)
    BatchRunner(desk.context(), desk.batch(scan, 2, attempt=2)).run()

    assert [1, 1, 0] == written
    assert desk.done(scan)


def test_not_judged_again(desk: Desk) -> None:
    """Images that have a verdict are skipped."""
    scan = desk.scan()
    batch = desk.batch(scan, 5)
    context = desk.context()
    begun = results.begin_run(desk.store, batch.batch_id, 1, (context.host.host_id, "other"))
    assert begun is not None
    error = ImageError(ErrorKind.TRUNCATED, "cut")
    judged = [
        Verdict(image.image_id, Outcome.ERROR, None, None, False, (), error, None, Timings())
        for image in batch.images[:2]
    ]
    results.record_verdicts(desk.store, begun[0], judged)
    BatchRunner(context, batch).run()

    assert 3 == desk.grey.images
    assert {"ai": 3, "error": 2} == desk.outcomes(scan)
    assert desk.done(scan)


def test_redelivered_batch(desk: Desk) -> None:
    """A message that is redelivered has no effect."""
    scan = desk.scan()
    batch = desk.batch(scan, 5)
    context = desk.context()
    BatchRunner(context, batch).run()
    BatchRunner(context, batch).run()

    assert 5 == desk.grey.images
    assert (0, 0) == desk.leased()


def test_unknown_batch(desk: Desk) -> None:
    """A batch of a deleted scan is dropped."""
    scan = desk.scan()
    batch = desk.batch(scan, 5)
    scans.forget(desk.store, scan.scan_id)
    BatchRunner(desk.context(), batch).run()

    assert 0 == desk.grey.images
    assert (0, 0) == desk.leased()


def test_images_of_another_batch(desk: Desk) -> None:
    """Images in a message that are not in its batch are ignored."""
    scan = desk.scan()
    batch = desk.batch(scan, 2)
    strange = (*batch.images, BatchImage(10**9, b"0.png", len(WHITE)))
    BatchRunner(desk.context(), replace(batch, images=strange)).run()

    assert 2 == desk.grey.images
    assert {"ai": 2} == desk.outcomes(scan)


def test_cancelled_before(desk: Desk) -> None:
    """A batch of a cancelled scan is dropped."""
    scan = desk.scan()
    batch = desk.batch(scan, 5)
    scans.cancel(desk.store, scan.scan_id)
    BatchRunner(desk.context(), batch).run()

    assert {"pending": 5} == desk.outcomes(scan)
    assert (0, 0) == desk.leased()


def test_cancelled_in_the_middle(desk: Desk, small_chunks: None) -> None:
    """A cancelled scan stops after the current chunk and keeps its verdicts."""
    scan = desk.scan()
    batch = desk.batch(scan, 5)
    context = desk.context()
    desk.grey.before = lambda: heartbeat.cancel(context.namespace, scan.scan_id)
    BatchRunner(context, batch).run()

    assert {"ai": 2, "pending": 3} == desk.outcomes(scan)
    assert not desk.done(scan)
    assert (0, 0) == desk.leased()


def test_leased_elsewhere(desk: Desk) -> None:
    """A batch that another worker has leased is left to it."""
    scan = desk.scan()
    batch = desk.batch(scan, 5)
    context = desk.context()
    with Lease(
        context.namespace, BatchPart(batch.batch_id), "pi5:1", ImageTimer(60.0), print
    ) as other:
        other.acquire()
        BatchRunner(context, batch).run()

        assert {"pending": 5} == desk.outcomes(scan)
        assert (1, 1) == desk.leased()
        other.release()


def test_two_at_once(desk: Desk) -> None:
    """Of two workers that receive a batch at the same time, only one judges it."""
    scan = desk.scan()
    batch = desk.batch(scan, 5)
    # Of one name, as two processes in two containers may be.
    first, second = desk.context("pi4:7"), desk.context("pi4:7")
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert go_on.wait(30)

    desk.grey.before = hold
    thread = threading.Thread(target=BatchRunner(first, batch).run)
    thread.start()
    assert begun.wait(30)
    BatchRunner(second, batch).run()
    in_between = desk.outcomes(scan)
    go_on.set()
    thread.join()

    assert {"pending": 5} == in_between
    assert 5 == desk.grey.images
    assert {"ai": 5} == desk.outcomes(scan)
    assert (0, 0) == desk.leased()


def test_taken_over(desk: Desk, small_chunks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that lost its lease stops after its chunk and keeps the new lease intact."""
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.02)
    scan = desk.scan()
    batch = desk.batch(scan, 5)
    context = desk.context()
    going = BatchRunner(context, batch)

    def take_over() -> None:
        context.namespace.client.set(
            leases.lease_key(context.namespace, BatchPart(batch.batch_id)), "pi5:1"
        )
        until = time.monotonic() + 20
        while not going._lease.lost and time.monotonic() < until:
            time.sleep(0.01)

    desk.grey.before = take_over
    going.run()

    assert {"ai": 2, "pending": 3} == desk.outcomes(scan)
    assert (1, 1) == desk.leased()


def test_stopping(desk: Desk, small_chunks: None) -> None:
    """A stopping worker commits its chunk, requeues the rest and releases its lease."""
    scan = desk.scan()
    batch = desk.batch(scan, 5)
    context = desk.context()
    desk.grey.before = context.stop.set
    with pytest.raises(RequeueBatch, match="is stopping"):
        BatchRunner(context, batch).run()

    assert {"ai": 2, "pending": 3} == desk.outcomes(scan)
    assert (0, 0) == desk.leased()
    # The next worker does the rest.
    BatchRunner(desk.context("pi5:1"), batch).run()
    assert {"ai": 5} == desk.outcomes(scan)
    assert 5 == desk.grey.images


def test_second_attempt(desk: Desk) -> None:
    """A batch that may have killed a worker is judged image by image in the sandbox."""
    scan = desk.scan(PROVENANCE)
    context = desk.context()
    BatchRunner(context, desk.batch(scan, 2, attempt=2)).run()
    rows = list(verdicts.verdict_rows(desk.store, scan.scan_id))

    assert {"no_evidence": 2} == desk.outcomes(scan)
    assert [["not_planned"]] * 2 == [
        [finding.kind for finding in row.verdict.findings] for row in rows if row.verdict
    ]
    # Nothing was decoded here.
    assert {GREY.digest()} == set(context._pipelines)
    assert desk.done(scan)
    assert (0, 0) == desk.leased()


@pytest.mark.parametrize("attempt", [1, 2])
def test_missing_detectors(desk: Desk, attempt: int) -> None:
    """A machine without the plan's detectors requeues the batch and reports what is missing."""
    plan = Plan((PlannedDetector("nowhere", "1", "", Thresholds(0.5, 0.9)),))
    scan = desk.scan(plan)
    batch = desk.batch(scan, 1, attempt)
    context = desk.context()
    with pytest.raises(RequeueBatch):
        BatchRunner(context, batch).run()
    (state,) = heartbeat.worker_states(context.namespace)

    assert state.note
    assert {"pending": 1} == desk.outcomes(scan)
    assert (0, 0) == desk.leased()


def test_folder_unmounted_at_first(desk: Desk) -> None:
    """The worker waits for an unmounted collection, and no image becomes an error."""
    scan = desk.scan()
    batch = desk.batch(scan, 5)
    context = desk.context()
    away = desk.folder.with_name("away")
    desk.folder.rename(away)
    notes: list[str] = []

    def back() -> None:
        until = time.monotonic() + 30
        while not notes and time.monotonic() < until:
            notes.extend(state.note for state in heartbeat.worker_states(context.namespace))
        away.rename(desk.folder)

    timer = later(0, back)
    BatchRunner(context, batch).run()
    timer.join()

    assert {"ai": 5} == desk.outcomes(scan)
    assert desk.done(scan)
    assert "photos cannot be read" in notes[0]


def test_folder_unmounted_in_the_middle(desk: Desk, small_chunks: None) -> None:
    """An empty mount point does not turn the remaining images into errors: they wait."""
    scan = desk.scan()
    batch = desk.batch(scan, 5)
    away = desk.folder.with_name("away")
    away.mkdir()

    def move(source: Path, target: Path) -> None:
        for file in sorted(source.iterdir()):
            file.rename(target / file.name)

    timers = []

    def unmount() -> None:
        desk.grey.before = lambda: None
        move(desk.folder, away)
        timers.append(later(0.3, lambda: move(away, desk.folder)))

    desk.grey.before = unmount
    BatchRunner(desk.context(), batch).run()
    timers[0].join()

    assert {"ai": 5} == desk.outcomes(scan)
    assert desk.done(scan)


def test_remounted_folder(desk: Desk, small_chunks: None) -> None:
    """A remounted collection is a new folder to the system and is opened again."""
    scan = desk.scan()
    batch = desk.batch(scan, 5)
    away = desk.folder.with_name("away")

    def mount_again() -> None:
        desk.grey.before = lambda: None
        desk.folder.rename(away)
        desk.folder.mkdir()
        for file in away.iterdir():
            (desk.folder / file.name).write_bytes(file.read_bytes())
            file.unlink()

    desk.grey.before = mount_again
    BatchRunner(desk.context(), batch).run()

    assert {"ai": 5} == desk.outcomes(scan)


def test_folder_stays_unmounted(desk: Desk, no_retries: None) -> None:
    """A collection that stays unmounted requeues its batch, without verdicts."""
    scan = desk.scan()
    batch = desk.batch(scan, 5)
    desk.folder.rename(desk.folder.with_name("away"))
    with pytest.raises(RequeueBatch, match="cannot be read"):
        BatchRunner(desk.context(), batch).run()

    assert {"pending": 5} == desk.outcomes(scan)
    assert (0, 0) == desk.leased()


@pytest.mark.parametrize("name", ["begin_run", "record_verdicts", "finish_batch_if_done"])
def test_store_unavailable_for_a_while(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A store that is unavailable at any step is waited for, and nothing is lost."""
    scan = desk.scan()
    batch = desk.batch(scan, 5)
    tries: list[None] = []
    real = getattr(results, name)

    def shaky(*arguments: object, **options: object) -> object:
        tries.append(None)
        if len(tries) == 1:
            raise StoreUnavailable("locked")
        return real(*arguments, **options)

    monkeypatch.setattr(results, name, shaky)
    BatchRunner(desk.context(), batch).run()

    assert 2 == len(tries)
    assert {"ai": 5} == desk.outcomes(scan)
    assert desk.done(scan)


def test_store_stays_unavailable(
    desk: Desk, no_retries: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that stays unavailable requeues the batch; unwritten images are judged again."""
    scan = desk.scan()
    batch = desk.batch(scan, 5)

    def away(*_: object, **_options: object) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(results, "record_verdicts", away)
        with pytest.raises(RequeueBatch, match="away"):
            BatchRunner(desk.context(), batch).run()

    assert {"pending": 5} == desk.outcomes(scan)
    assert (0, 0) == desk.leased()
    BatchRunner(desk.context("pi5:1"), batch).run()
    assert {"ai": 5} == desk.outcomes(scan)


def test_broker_lost_during_the_batch(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is lost while a batch is judged does not undo its verdicts."""
    scan = desk.scan()
    batch = desk.batch(scan, 5)
    going = BatchRunner(desk.context(), batch)
    tries: list[None] = []
    release = going._lease.release

    def shaky() -> None:
        tries.append(None)
        if len(tries) == 1:
            raise leases.redis.ConnectionError("away")
        release()

    monkeypatch.setattr(going._lease, "release", shaky)
    going.run()

    assert desk.done(scan)
    assert (0, 0) == desk.leased()


def test_image_over_its_time_limit(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that exceeds its time limit ends the process, and its batch is orphaned."""
    monkeypatch.setattr(leases, "LEASE_SECONDS", 1)
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.05)
    ended = threading.Event()
    monkeypatch.setattr(runner, "_kill_this_process", ended.set)
    scan = desk.scan()
    batch = desk.batch(scan, 1)
    context = desk.context(limits=Limits(image_seconds=0.1))
    orphaned: list[list[Orphan]] = []

    def hang() -> None:
        assert ended.wait(30)
        until = time.monotonic() + 30
        while not leases.orphaned_parts(context.namespace) and time.monotonic() < until:
            time.sleep(0.05)
        orphaned.append(leases.orphaned_parts(context.namespace))

    desk.grey.before = hang
    BatchRunner(context, batch).run()

    assert [[Orphan(BatchPart(batch.batch_id), batch.images[0].image_id)]] == orphaned


def split_off(context: WorkerContext) -> list[BatchMessage]:
    """Take the messages from the queue."""
    messages = []
    while (raw := context.namespace.client.rpop(context.namespace.queue)) is not None:
        body = json.loads(zlib.decompress(b64decode(json.loads(raw)["body"])))
        messages.append(
            decode_batch(body[0][0], context.namespace.store_id, context.sink.batch_key)
        )
    return messages


def test_a_slow_machine_keeps_a_part(desk: Desk, small_chunks: None) -> None:
    """A slow machine requeues the excess at once; two workers judge each image once."""
    scan = desk.scan()
    batch = desk.batch(scan, 9)
    slow = desk.context()
    slow.throughput.record_chunk(1, 5.0)  # four images in 20 s
    BatchRunner(slow, batch).run()
    half = desk.outcomes(scan)
    rest = split_off(slow)

    assert {"ai": 4, "pending": 5} == half
    assert [batch.images[4:]] == [message.images for message in rest]
    assert (batch.batch_id, batch.attempt) == (rest[0].batch_id, rest[0].attempt)
    assert rest[0].part > 0
    assert not desk.done(scan)
    BatchRunner(desk.context("pi5:1"), rest[0]).run()
    assert {"ai": 9} == desk.outcomes(scan)
    assert 9 == desk.grey.images
    assert desk.done(scan)
    assert (0, 0) == desk.leased()


def test_both_parts_at_once(desk: Desk, small_chunks: None) -> None:
    """A part that was split off is judged while the rest is still being judged."""
    scan = desk.scan()
    batch = desk.batch(scan, 9)
    slow, other = desk.context(), desk.context("pi5:1")
    slow.throughput.record_chunk(1, 5.0)

    def others_turn() -> None:
        desk.grey.before = lambda: None
        (rest,) = split_off(slow)
        BatchRunner(other, rest).run()

    desk.grey.before = others_turn
    BatchRunner(slow, batch).run()

    assert {"ai": 9} == desk.outcomes(scan)
    assert 9 == desk.grey.images
    assert desk.done(scan)


def test_stopped_after_a_split(desk: Desk, small_chunks: None) -> None:
    """A stopping worker requeues its own images, without those that were split off."""
    scan = desk.scan()
    batch = desk.batch(scan, 9)
    slow = desk.context()
    slow.throughput.record_chunk(1, 5.0)
    desk.grey.before = slow.stop.set
    BatchRunner(slow, batch).run()
    given, left = split_off(slow)

    assert batch.images[4:] == given.images
    assert batch.images[2:4] == left.images
    assert 0 == left.part


def test_sandboxed_batch_is_not_split(desk: Desk) -> None:
    """A batch in the sandbox is not split, and does not affect the throughput."""
    scan = desk.scan(PROVENANCE)
    context = desk.context()
    context.throughput.record_chunk(1, 30.0)
    BatchRunner(context, desk.batch(scan, 3, attempt=2)).run()

    assert {"no_evidence": 3} == desk.outcomes(scan)
    assert 30.0 == context.throughput._seconds_per_image


def test_neighbours_of_an_image_that_hangs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before an image's second try in the sandbox, the rest of its batch is left to others."""
    ask, tried = Sandbox._ask, []

    def hang(*arguments: Any) -> Any:  # noqa: ANN401 - the sandbox's own
        request = arguments[3]
        if request.image.path != b"1.png" or request.error is not None:
            return ask(*arguments)
        tried.append(desk.contexts[0].namespace.client.llen(desk.contexts[0].namespace.queue))
        raise ProcessTimedOut("no answer in time")

    monkeypatch.setattr(Sandbox, "_ask", hang)
    scan = desk.scan(PROVENANCE)
    batch = desk.batch(scan, 4, attempt=2)
    context = desk.context()
    BatchRunner(context, batch).run()
    (rest,) = split_off(context)

    assert [0, 1] == tried
    assert batch.images[2:] == rest.images
    assert (batch.batch_id, 2) == (rest.batch_id, rest.attempt)
    assert {"no_evidence": 1, "error": 1, "pending": 2} == desk.outcomes(scan)


def test_not_split_without_the_broker(
    desk: Desk, small_chunks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that cannot be split is judged as a whole."""

    def away(*_: object) -> None:
        raise leases.redis.ConnectionError("away")

    monkeypatch.setattr(runner, "send_batch", away)
    scan = desk.scan()
    slow = desk.context()
    slow.throughput.record_chunk(1, 5.0)
    BatchRunner(slow, desk.batch(scan, 9)).run()

    assert {"ai": 9} == desk.outcomes(scan)


@pytest.mark.parametrize("stopping", [False, True])
def test_folders_are_closed(desk: Desk, small_chunks: None, *, stopping: bool) -> None:
    """After a batch, done or requeued, no folder of the collection is open."""
    scan = desk.scan()
    context = desk.context()
    batch = desk.batch(scan, 3)
    opened: list[set[str]] = []
    desk.grey.before = lambda: opened.append(set(context.sources._sources))
    if stopping:
        context.stop.set()
    with suppress(RequeueBatch):
        BatchRunner(context, batch).run()

    assert {"photos"} == opened[0]
    assert {} == context.sources._sources


@pytest.mark.parametrize(
    ("times", "changed"),
    [
        ((0, 0, 0, 0, 0), []),
        ((0, 0, 100, 0, 0), [b"2.png"]),
        # As file systems round.
        ((0, 0, 2, 0, 0), []),
        # A copy of the folder, or a disk that another machine sees in another time zone.
        ((3600, 3600, 3600, 3600, 3600), []),
        ((100, 200, 300, 0, 0), []),
    ],
    ids=["same", "one written again", "rounded", "all others", "most others"],
)
@pytest.mark.parametrize("attempt", [1, 2], ids=["here", "sandboxed"])
def test_images_written_again(
    desk: Desk, times: tuple[int, ...], changed: list[bytes], attempt: int
) -> None:
    """An image that was written again with its size is `changed`, where times can be compared."""
    scan = desk.scan(GREY if attempt == 1 else PROVENANCE)
    message = desk.batch(scan, attempt=attempt)
    for number, seconds in enumerate(times):
        os.utime(desk.folder / f"{number}.png", (seconds, seconds))
    public_key = Signer(STORE, desk.store.signing_key).public_key
    received = decode_batch(encode_batch(message), desk.store.identity, public_key)
    BatchRunner(desk.context(), received).run()
    rows = list(verdicts.verdict_rows(desk.store, scan.scan_id))
    errors = {row.path: row.verdict.error for row in rows if row.verdict and row.verdict.error}

    assert desk.done(scan)
    assert changed == list(errors)
    assert {ErrorKind.CHANGED} >= {error.kind for error in errors.values()}


@pytest.fixture
def fingerprinted(desk: Desk) -> Callable[[], None]:
    """Return a function that stores the fingerprint of the folder, as `enqueue` does."""

    def store() -> None:
        namespace = make_namespace(desk.broker_url, desk.store.identity)
        digest = hashlib.sha256(WHITE).digest()
        files = [KnownFile(b"%d.png" % number, len(WHITE), digest) for number in range(5)]
        store_fingerprint(namespace, "photos", files)
        namespace.client.close()

    return store


def test_moved_images(desk: Desk, fingerprinted: Callable[[], None], tmp_path: Path) -> None:
    """Images in whose place others are for too long become errors, and nothing there is read."""
    scan = desk.scan()
    batch = desk.batch(scan)
    fingerprinted()
    desk.folder.rename(tmp_path / "moved")
    outside = tmp_path / "outside"
    outside.mkdir()
    for number in range(5):
        (outside / f"{number}.png").write_bytes(b"\0" * len(WHITE))
    desk.folder.symlink_to(outside)
    BatchRunner(desk.context(limits=Limits(give_up_seconds=-1)), batch).run()
    rows = list(verdicts.verdict_rows(desk.store, scan.scan_id))

    assert {"error": 5} == desk.outcomes(scan)
    assert desk.done(scan)
    assert {"moved"} == {row.verdict.error.kind.value for row in rows if row.verdict.error}
    assert 0 == desk.grey.images
    # They come back, and are tried again.
    desk.folder.unlink()
    (tmp_path / "moved").rename(desk.folder)
    again = listing.retry_errors(desk.store, scan.scan_id, 500, lambda _: None, ErrorKind.MOVED)
    assert 5 == again


def test_moved_images_are_waited_for(
    desk: Desk, fingerprinted: Callable[[], None], no_retries: None
) -> None:
    """Until then the batch waits, and one success gives all the time again."""
    scan = desk.scan()
    batch = desk.batch(scan)
    fingerprinted()
    for file in desk.folder.iterdir():
        file.rename(file.with_suffix(".gone"))
    context = desk.context()
    with pytest.raises(RequeueBatch, match="5 of 5 files differ"):
        BatchRunner(context, batch).run()
    stuck = context.namespace.client.hkeys(stuck_key(context.namespace))
    for file in desk.folder.iterdir():
        file.rename(file.with_suffix(".png"))
    BatchRunner(context, batch).run()

    assert [b"collection photos"] == stuck
    assert {"ai": 5} == desk.outcomes(scan)
    assert 0 == context.namespace.client.hlen(stuck_key(context.namespace))


def test_detectors_that_nobody_has(desk: Desk, no_retries: None) -> None:
    """A batch is given up once no machine has had its detectors for too long."""
    scan = desk.scan(Plan((PlannedDetector("nowhere", "1", "", Thresholds(0.5, 0.9)),)))
    batch = desk.batch(scan)
    with pytest.raises(RequeueBatch, match="nowhere"):
        BatchRunner(desk.context(), batch).run()
    with pytest.raises(BatchGivenUp, match="nowhere"):
        BatchRunner(desk.context(limits=Limits(give_up_seconds=-1)), batch).run()

    assert {"pending": 5} == desk.outcomes(scan)
