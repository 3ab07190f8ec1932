"""The outcome of a message for the queue: acknowledged, dropped or requeued."""

from __future__ import annotations

import os
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import redis
from celery.exceptions import Reject
from celery.signals import worker_shutting_down

from storage.errors import NotFound, StoreOutdated, StoreUnavailable
from storage.records import BatchImage, Plan
from workers.batch import tasks
from workers.batch.retry import RequeueBatch, SaidReasons
from workers.batch.stopping import StopFlag
from workers.batch.tasks import WorkerContexts, make_worker_app, run_batch
from workers.broker.app import SCAN_BATCH
from workers.broker.batch_message import VERSION, BatchMessage, encode_batch, sign_batch
from workers.broker.signatures import STORE, Signer
from workers.settings import WorkerSettings
from workers.sources.source import SourceUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from celery import Celery

    from workers.broker.dead_letters import DeadLetter

STORE_KEY = bytes(range(32))
PUBLIC_KEY = Signer(STORE, STORE_KEY).public_key
MESSAGE = sign_batch(
    BatchMessage(7, 12, 1, "photos", Plan(()), (BatchImage(5, b"a.jpg", 10),)), "s1", STORE_KEY
)
NEWER_RULES = replace(MESSAGE, plan=Plan((), rules=99))


class Process:
    """A process whose context, batches and delays are only recorded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stop = StopFlag()
        self.said = SaidReasons()
        self.done: list[BatchMessage] = []
        self.delays: list[float] = []
        # Whether what messages need has been missing for too long.
        self.needs: dict[str, bool] = {}
        self.context_error: Exception | None = None
        self.work_error: Exception | None = None
        self.context = SimpleNamespace(
            name="pi4:1",
            namespace=SimpleNamespace(store_id="s1"),
            sink=SimpleNamespace(batch_key=PUBLIC_KEY),
            missing=SimpleNamespace(is_over=self.needs.get),
        )
        self.letters: list[DeadLetter] = []
        monkeypatch.setattr(tasks, "bury", lambda _, letter: self.letters.append(letter))
        monkeypatch.setattr(tasks, "BatchRunner", self.work)
        monkeypatch.setattr(tasks.time, "sleep", self.delays.append)

    def current(self) -> Any:  # noqa: ANN401 - what a context has of it
        """Return the worker context, or raise its error."""
        if self.context_error is not None:
            raise self.context_error
        return self.context

    def work(self, context: object, message: BatchMessage) -> Process:
        """Do the work of a batch."""
        assert context is self.context
        self.done.append(message)
        return self

    def run(self) -> None:
        """Do the work, ending as the test says."""
        if self.work_error is not None:
            raise self.work_error

    def do(self, raw: object) -> None:
        """Run the task for a message."""
        contexts: Any = self
        run_batch(contexts, raw)


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Process:
    """Return a process that does nothing."""
    return Process(monkeypatch)


@pytest.fixture
def settings(tmp_path: Path) -> WorkerSettings:
    """Return the settings of a worker without a broker."""
    store = f"sqlite:///{tmp_path}/store.db"
    return WorkerSettings("redis://localhost:1/0", store, "s1", tmp_path / "state", 1, "pi4")


@pytest.fixture
def app(settings: WorkerSettings) -> Celery:
    """Return that worker's app."""
    return make_worker_app(settings)


def test_returned_again(process: Process, caplog: pytest.LogCaptureFixture) -> None:
    """A batch that returns again and again for one reason is logged once; a stop each time."""
    process.work_error = RequeueBatch("no folder")
    for _ in range(3):
        with pytest.raises(Reject):
            process.do(encode_batch(MESSAGE))
    process.stop.set()
    process.work_error = RequeueBatch("the worker is stopping")
    for _ in range(2):
        with pytest.raises(Reject):
            process.do(encode_batch(MESSAGE))

    assert [1, 2] == [caplog.text.count(text) for text in ("no folder", "is stopping")]


def test_a_batch(process: Process) -> None:
    """A valid message runs its batch."""
    process.do(encode_batch(MESSAGE))

    assert [MESSAGE] == process.done
    assert [] == process.delays


@pytest.mark.parametrize(
    "raw", [None, "rm -rf /", {}, {"v": 3}, encode_batch(MESSAGE) | {"signed": {}}]
)
def test_hostile_messages(process: Process, raw: object) -> None:
    """An invalid message becomes a dead letter, and has no other effect."""
    process.do(raw)
    (letter,) = process.letters

    assert [] == process.done
    assert ("batch", "pi4:1", raw) == (letter.kind, letter.by, letter.message())


# What a machine that was not upgraded gets from newer ones, by what it needs to understand it, and
# the batch that it finds in it, which it trusts only where the store has signed it.
NEWER: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    f"version {VERSION + 1}": ({"v": VERSION + 1, "whatever": "comes then"}, (0, 0)),
    f"version {VERSION + 2}": (encode_batch(MESSAGE) | {"v": VERSION + 2}, (7, 12)),
    f"version {VERSION + 3}": (
        encode_batch(sign_batch(MESSAGE, "s1", bytes(32))) | {"v": VERSION + 3},
        (0, 0),
    ),
    "rules 99": (encode_batch(sign_batch(NEWER_RULES, "s1", STORE_KEY)), (7, 12)),
}


@pytest.mark.parametrize("needs", NEWER)
def test_messages_of_a_newer_version(process: Process, needs: str) -> None:
    """A machine that was not upgraded requeues newer messages for other machines."""
    message, _ = NEWER[needs]
    with pytest.raises(Reject) as caught:
        process.do(message)

    assert caught.value.requeue
    assert [2.0] == process.delays
    assert [] == process.letters


@pytest.mark.parametrize("needs", NEWER)
def test_newer_messages_that_nobody_understands(process: Process, needs: str) -> None:
    """A newer message becomes a dead letter when no machine has understood such ones for long."""
    message, batch = NEWER[needs]
    process.needs[needs] = True
    process.do(message)
    (letter,) = process.letters

    assert batch == (letter.scan_id, letter.batch_id)
    assert "older machine" in letter.reason
    assert message == letter.message()


@pytest.mark.parametrize(
    "error",
    [
        RequeueBatch("the worker stops"),
        StoreUnavailable("locked"),
        NotFound("no such collection"),
        SourceUnavailable("unmounted"),
        redis.ConnectionError("away"),
        redis.ResponseError("MISCONF"),
        OSError(24, "Too many open files"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_requeued(process: Process, error: Exception) -> None:
    """An unavailable service requeues the batch after a delay."""
    process.work_error = error
    with pytest.raises(Reject) as caught:
        process.do(encode_batch(MESSAGE))

    assert caught.value.requeue
    assert [2.0] == process.delays


@pytest.mark.parametrize(
    "error",
    [
        StoreOutdated("run `scanner store upgrade`"),
        StoreUnavailable("away"),
        OSError(30, "Read-only file system"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_context_fails(process: Process, error: Exception) -> None:
    """A process that cannot create its context requeues the message."""
    process.context_error = error
    with pytest.raises(Reject) as caught:
        process.do(encode_batch(MESSAGE))

    assert caught.value.requeue


def test_no_delay_when_stopping(process: Process) -> None:
    """A stopping worker requeues at once."""
    process.stop.set()
    process.work_error = RequeueBatch("the worker stops")
    with pytest.raises(Reject):
        process.do(encode_batch(MESSAGE))

    assert [] == process.delays


def test_no_other_tasks(app: Celery) -> None:
    """A worker has no other task, in particular none of Celery's own, which anyone could send."""
    assert {SCAN_BATCH} == set(app.tasks)
    # Not even when Celery looks whether its set-up is complete.
    app.finalize()
    assert {SCAN_BATCH} == set(app.tasks)


def test_celery_has_other_tasks(settings: WorkerSettings) -> None:
    """An unchanged app has Celery's own tasks, so the other test is meaningful."""
    from workers.broker.app import make_app  # noqa: PLC0415 - the app without our tasks

    assert "celery.map" in make_app(settings.broker_url, "s1").tasks


def test_a_lost_process(app: Celery) -> None:
    """A batch whose process was killed is given up at once, and not requeued."""
    task = app.tasks[SCAN_BATCH]

    assert "BatchRequest" == task.Request.__name__
    assert task.acks_late
    assert not task.reject_on_worker_lost
    assert task.ignore_result


def test_the_task_runs_a_message(process: Process, app: Celery) -> None:
    """The task decodes its message and drops an invalid one."""
    app.tasks[SCAN_BATCH]({"v": 1})

    assert [] == process.done


def test_shutdown_sets_the_flag(settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery's shutdown signal sets the stop flag."""
    made: list[WorkerContexts] = []

    class Noted(WorkerContexts):
        def __init__(self, settings: WorkerSettings) -> None:
            super().__init__(settings)
            made.append(self)

    monkeypatch.setattr(tasks, "WorkerContexts", Noted)
    make_worker_app(settings)
    assert not made[0].stop.is_set()
    worker_shutting_down.send(sender="test")

    assert made[0].stop.is_set()


def test_one_context_per_process(settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process keeps its context; a forked child creates its own and shares the flag."""
    contexts = WorkerContexts(settings)
    first = contexts.current()
    again = contexts.current()
    monkeypatch.setattr(os, "getpid", lambda: 4_000_000)
    child = contexts.current()
    for one in (first, child):
        one.close()

    assert first is again
    assert first is not child
    assert "pi4:4000000" == child.name
    assert contexts.stop is child.stop
