"""What a worker's tasks make of a message: done, dropped, or back on the queue."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
import redis
from celery.exceptions import Reject
from celery.signals import worker_shutting_down

from storage.errors import NotFound, StoreOutdated, StoreUnavailable
from storage.records import BatchImage, Plan
from workers.batch import tasks
from workers.batch.retry import RequeueBatch
from workers.batch.stopping import StopFlag
from workers.batch.tasks import WorkerContexts, make_worker_app, run_batch
from workers.broker.app import SCAN_BATCH
from workers.broker.batch_message import BatchMessage, encode_batch
from workers.settings import WorkerSettings
from workers.sources.source import SourceUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from celery import Celery

MESSAGE = BatchMessage(7, 12, 1, "photos", Plan(()), (BatchImage(5, b"a.jpg", 10),))


class Process:
    """A process whose station, batches and pauses are only noted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stop = StopFlag()
        self.done: list[BatchMessage] = []
        self.pauses: list[float] = []
        self.station_error: Exception | None = None
        self.work_error: Exception | None = None
        monkeypatch.setattr(tasks, "BatchRunner", self.work)
        monkeypatch.setattr(tasks.time, "sleep", self.pauses.append)

    def current(self) -> str:
        """Return the worker context, or raise its error."""
        if self.station_error is not None:
            raise self.station_error
        return "station"

    def work(self, context: object, message: BatchMessage) -> Process:
        """Do the work of a batch."""
        assert context == "station"
        self.done.append(message)
        return self

    def run(self) -> None:
        """Do the work, ending as the test says."""
        if self.work_error is not None:
            raise self.work_error

    def do(self, raw: object) -> None:
        """Return what the task does."""
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


def test_a_batch(process: Process) -> None:
    """A batch is done as its message says."""
    process.do(encode_batch(MESSAGE))

    assert [MESSAGE] == process.done
    assert [] == process.pauses


@pytest.mark.parametrize(
    "raw", [None, "rm -rf /", {}, {"v": 2}, encode_batch(MESSAGE) | {"batch": True}]
)
def test_hostile_messages(process: Process, raw: object, caplog: pytest.LogCaptureFixture) -> None:
    """What is no message of ours is dropped, said, and touches nothing."""
    process.station_error = AssertionError("a station was made for it")
    process.do(raw)

    assert [] == process.done
    assert "dropped" in caplog.text


@pytest.mark.parametrize(
    "newer",
    [
        {"v": 3, "whatever": "comes then"},
        encode_batch(MESSAGE) | {"plan": {"rules": 99, "cards": []}},
    ],
    ids=["message", "rules"],
)
def test_messages_of_a_later_version(process: Process, newer: object) -> None:
    """A machine that was not upgraded leaves them to others; it does not eat their queue."""
    with pytest.raises(Reject) as caught:
        process.do(newer)

    assert caught.value.requeue
    assert [2.0] == process.pauses


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
def test_back_to_the_queue(process: Process, error: Exception) -> None:
    """What is wrong with the world sends the batch back, after a pause so that it does not spin."""
    process.work_error = error
    with pytest.raises(Reject) as caught:
        process.do(encode_batch(MESSAGE))

    assert caught.value.requeue
    assert [2.0] == process.pauses


@pytest.mark.parametrize(
    "error",
    [
        StoreOutdated("run `scanner store upgrade`"),
        StoreUnavailable("away"),
        OSError(30, "Read-only file system"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_station(process: Process, error: Exception) -> None:
    """A process that cannot even set itself up acknowledges nothing."""
    process.station_error = error
    with pytest.raises(Reject) as caught:
        process.do(encode_batch(MESSAGE))

    assert caught.value.requeue


def test_no_pause_when_stopping(process: Process) -> None:
    """A worker that stops gives back at once."""
    process.stop.set()
    process.work_error = RequeueBatch("the worker stops")
    with pytest.raises(Reject):
        process.do(encode_batch(MESSAGE))

    assert [] == process.pauses


def test_nothing_else_can_be_called(app: Celery) -> None:
    """A worker does batches; Celery's own tasks, which anyone could send, are not there."""
    assert {SCAN_BATCH} == set(app.tasks)
    # Not even when Celery looks whether its set-up is complete.
    app.finalize()
    assert {SCAN_BATCH} == set(app.tasks)


def test_celery_would_have_some(settings: WorkerSettings) -> None:
    """The other test does not pass for nothing: an app that was left alone has Celery's tasks."""
    from workers.broker.app import make_app  # noqa: PLC0415 - the app without our tasks

    assert "celery.map" in make_app(settings.broker_url, "s1").tasks


def test_a_lost_process(app: Celery) -> None:
    """A batch whose process was killed is tried twice more, soon, and acknowledged late."""
    task = app.tasks[SCAN_BATCH]

    assert (2, 1) == (task.max_retries, task.default_retry_delay)
    assert task.acks_late
    assert task.reject_on_worker_lost
    assert task.ignore_result


def test_the_task_does_a_batch(process: Process, app: Celery) -> None:
    """The task is what its name says: a message in, dropped here since it is none."""
    app.tasks[SCAN_BATCH]({"v": 1})

    assert [] == process.done


def test_shutdown_sets_the_flag(settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """When Celery begins to shut down, the pool's children are told."""
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


def test_one_station_a_process(settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process keeps its station; a child that was forked makes its own, and shares the flag."""
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
