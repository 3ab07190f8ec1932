"""Workers without a store and the result writer: the same verdicts, through a queue."""

from __future__ import annotations

import json
import os
import zlib
from base64 import b64decode
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from celery.exceptions import Reject
from msgspec import to_builtins

from storage.database.store import Store
from storage.errors import StoreUnavailable
from storage.reads import progress, verdicts
from storage.records import ListedImage
from storage.writes import listing, scans
from storage.writes.machines import Machine, admit, revoke
from workers.batch import result_writer, retry, runner, sinks
from workers.batch.context import WorkerContext
from workers.batch.result_writer import ResultWriter, make_result_writer
from workers.batch.retry import RequeueBatch
from workers.batch.runner import BatchRunner
from workers.batch.stopping import StopFlag
from workers.broker.app import RECORD_BATCH, SCAN_BATCH, make_result_writer_app
from workers.broker.batch_message import BatchMessage, decode_batch, sign_batch
from workers.broker.consumer import ResultConsumer
from workers.broker.dead_letters import read_letters
from workers.broker.namespace import RECORDING, count_pending_results
from workers.broker.signatures import STORE, Purpose, Signer
from workers.detectors import installed
from workers.detectors.card import load_card
from workers.host.identity import this_host
from workers.pipeline import pipeline
from workers.pipeline.plan import make_plan
from workers.settings import Membership, WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from storage.writes.scans import Scan

PLAN = make_plan({"provenance": load_card(installed.MODELS / "provenance.toml")})
PICTURE = b"\x89PNG\r\n\x1a\n"  # and nothing else: an error, which needs no detector


class Desk:
    """A collection, its store, and a worker that knows only the broker."""

    def __init__(self, folder: Path, broker_url: str) -> None:
        self.folder = folder / "photos"
        self.folder.mkdir()
        self.store = Store.open(f"sqlite:///{folder}/store.db")
        self.broker_url = broker_url
        settings = WorkerSettings(
            broker_url,
            None,
            self.store.identity,
            folder / "state",
            1,
            "pi5",
            roots={"photos": self.folder},
            membership=self._join(folder / "state"),
        )
        self.context = WorkerContext(settings, "pi5:1", StopFlag())
        self.result_writer = ResultWriter(self.store, self.context.namespace, StopFlag())

    def _join(self, state_dir: Path) -> Membership:
        machine = Signer(this_host(state_dir, "pi5").host_id, b"m" * 32)
        admit(self.store, Machine(machine.name, "pi5", machine.public_key, "digest"))
        store_key = Signer(STORE, self.store.signing_key).public_key
        return Membership(machine.name, store_key, machine.private_key)

    def decoded(self, raw: object) -> BatchMessage:
        """Return a batch message that was on the queue."""
        return decode_batch(raw, self.store.identity, self.context.sink.batch_key)

    def batch(self, images: int) -> tuple[Scan, BatchMessage]:
        """Create files in the folder and return the message of their batch."""
        collection = scans.ensure_collection(self.store, "photos", os.fsencode(self.folder))
        plan_id = scans.ensure_plan(self.store, PLAN)
        scan = scans.new_scan(self.store, collection, plan_id, "fleet")
        for number in range(images):
            (self.folder / f"{number}.png").write_bytes(PICTURE)
        listed = [ListedImage(b"%d.png" % number, len(PICTURE), 1) for number in range(images)]
        batch = listing.add_batch(self.store, scan, listed, None)
        scans.mark_listed(self.store, scan.scan_id, {}, 0)
        assert batch is not None
        message = BatchMessage(scan.scan_id, batch.batch_id, 1, "photos", PLAN, batch.images)
        return scan, sign_batch(message, self.store.identity, self.store.signing_key)

    def taken(self, queue: str) -> list[Any]:
        """Take the messages from a queue in order, as the tasks get them."""
        messages = []
        while (raw := self.context.namespace.client.rpop(queue)) is not None:
            body = zlib.decompress(b64decode(json.loads(raw)["body"]))
            messages.append(json.loads(body)[0][0])
        return messages

    def results(self) -> list[Any]:
        """Return the results on their queue."""
        return self.taken(f"scanner:{self.store.identity}:results")

    def errors(self, scan: Scan) -> int:
        """Return the number of images with an error, once all of them have one."""
        return progress.count_images(self.store, scan.scan_id).error


@pytest.fixture
def desk(tmp_path: Path, clean_redis: str) -> Iterator[Desk]:
    """Create an empty folder, an empty store and an empty broker."""
    desk = Desk(tmp_path, clean_redis)
    yield desk
    desk.context.close()
    desk.store.close()


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reduce chunks to two images, each written by itself."""
    monkeypatch.setattr(pipeline, "CHUNK_IMAGES", 2)
    monkeypatch.setattr(runner, "WRITE_IMAGES", 2)


def test_results_through_the_queue(desk: Desk) -> None:
    """Each chunk is a result on the queue; the results finish the scan under the worker's host."""
    scan, message = desk.batch(5)
    BatchRunner(desk.context, message).run()
    before = desk.errors(scan)
    waiting = count_pending_results(desk.context.namespace)
    for raw in desk.results():
        desk.result_writer.write(raw)
    rows = list(verdicts.verdict_rows(desk.store, scan.scan_id))

    assert (0, 3) == (before, waiting)
    assert {"pi5"} == {row.host for row in rows}
    assert 5 == desk.errors(scan)
    assert scans.find_scan(desk.store, scan.scan_id).finished_at is not None
    assert 0 == desk.context.namespace.client.llen(desk.context.namespace.queue)


def test_stop_requeues_the_rest(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopping worker requeues the remaining images, without those whose results it sent."""
    scan, message = desk.batch(5)
    begin = desk.context.heartbeat.is_cancelled

    def stop(scan_id: int, batch_id: int) -> bool:
        desk.context.stop.set()
        return begin(scan_id, batch_id)

    monkeypatch.setattr(desk.context.heartbeat, "is_cancelled", stop)
    BatchRunner(desk.context, message).run()
    (rest,) = desk.taken(desk.context.namespace.queue)
    left = desk.decoded(rest)
    for raw in desk.results():
        desk.result_writer.write(raw)

    assert 2 == desk.errors(scan)
    assert message.images[2:] == left.images
    assert replace(message, images=()) == replace(left, images=())


def test_stop_before_the_first_chunk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no image is done, the message itself is requeued."""
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.0)
    _, message = desk.batch(2)
    for file in desk.folder.iterdir():
        file.unlink()
    with pytest.raises(RequeueBatch):
        BatchRunner(desk.context, message).run()

    assert 0 == desk.context.namespace.client.llen(desk.context.namespace.queue)


def test_unmapped_collection(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that does not know the location of a collection says so and requeues its batches."""
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.0)
    _, message = desk.batch(2)
    with pytest.raises(RequeueBatch, match="--root other=PATH"):
        BatchRunner(desk.context, replace(message, collection="other")).run()


def test_result_writer_unavailable(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers wait while the result writer is unavailable, so that results do not fill Redis."""
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(sinks, "MAX_PENDING_RESULTS", 1)
    _, message = desk.batch(9)
    BatchRunner(desk.context, message).run()

    assert 2 == count_pending_results(desk.context.namespace)
    (rest,) = desk.taken(desk.context.namespace.queue)
    assert 5 == len(desk.decoded(rest).images)


def test_store_unavailable(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result that cannot be written now stays on the queue."""
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(result_writer, "REQUEUE_DELAY_SECONDS", 0.0)
    _, message = desk.batch(2)
    BatchRunner(desk.context, message).run()

    def away(*_: object) -> int:
        raise StoreUnavailable("locked")

    monkeypatch.setattr(result_writer, "receive", away)
    with pytest.raises(Reject) as caught:
        desk.result_writer.write(desk.results()[0])

    assert caught.value.requeue


@pytest.mark.parametrize("raw", [None, 5, {}, {"v": 3, "verdicts": []}])
def test_hostile_results(desk: Desk, raw: object) -> None:
    """An invalid result becomes a dead letter."""
    desk.result_writer.write(raw)
    (letter,) = read_letters(desk.context.namespace)

    assert ("result", raw) == (letter.kind, letter.message())


def test_machine_that_was_shut_out(desk: Desk) -> None:
    """The results of a machine are refused from the moment in which it is shut out."""
    scan, message = desk.batch(4)
    BatchRunner(desk.context, message).run()
    first, second = desk.results()
    desk.result_writer.write(first)
    revoke(desk.store, "pi5")
    desk.result_writer.write(second)
    (letter,) = read_letters(desk.context.namespace)

    assert 2 == desk.errors(scan)
    assert "a machine that was shut out sent it: 'pi5'" == letter.reason


def test_nothing_for_a_batch_that_is_done(desk: Desk) -> None:
    """Even an error is final once its batch is done: neither a replay nor a new result counts."""
    scan, message = desk.batch(2)
    BatchRunner(desk.context, message).run()
    (raw,) = desk.results()
    desk.result_writer.write(raw)
    before = list(verdicts.verdict_rows(desk.store, scan.scan_id))
    forged = json.loads(raw["signed"]["body"])
    for verdict in forged["verdicts"]:
        verdict |= {"outcome": "no_evidence", "error": None}
    signer = Signer(desk.context.host.host_id, b"m" * 32)
    signed = signer.sign(Purpose("result", desk.store.identity), json.dumps(forged))
    desk.result_writer.write(raw)
    desk.result_writer.write(raw | {"signed": to_builtins(signed)})

    assert 2 == desk.errors(scan)
    assert before == list(verdicts.verdict_rows(desk.store, scan.scan_id))
    assert [] == read_letters(desk.context.namespace)


def test_only_results(desk: Desk) -> None:
    """The result writer runs no other task, and its unacknowledged results are redelivered soon."""
    app = make_result_writer(desk.broker_url, desk.store)
    transport = make_result_writer_app(desk.broker_url, "s1").conf.broker_transport_options

    assert {RECORD_BATCH} == set(app.tasks)
    assert RECORD_BATCH == ResultConsumer.task != SCAN_BATCH
    assert (15, RECORDING) == (
        transport["visibility_timeout"],
        transport["unacked_key"],
    )


def test_duplicate_images(desk: Desk) -> None:
    """An image gets one verdict even if a message has several."""
    scan, message = desk.batch(1)
    BatchRunner(desk.context, message).run()
    (raw,) = desk.results()
    body = json.loads(raw["signed"]["body"])
    body["verdicts"] *= 3
    signer = Signer(desk.context.host.host_id, b"m" * 32)
    signed = signer.sign(Purpose("result", desk.store.identity), json.dumps(body))
    desk.result_writer.write(raw | {"signed": to_builtins(signed)})

    assert 1 == desk.errors(scan)
