"""Fewer processes while the board is throttled or memory is short."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from workers.host import autoscale
from workers.host.autoscale import ENOUGH_FREE_MB, MIN_FREE_MB, Autoscaler, Pool


@dataclass
class Board:
    """A board with a throttling reason and free memory, and a clock of its own."""

    why: str = ""
    free: int | None = 4000
    now: float = 0.0

    def pass_seconds(self, seconds: float, autoscaler: Autoscaler) -> list[int]:
        """Let time pass. Return the number of allowed processes at each change."""
        changes = []
        for _ in range(round(seconds / 2)):
            self.now += 2
            if autoscaler.update():
                changes.append(autoscaler.allowed)
        return changes


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    """Return a cool board with free memory."""
    board = Board()
    monkeypatch.setattr(autoscale, "throttling_reason", lambda: board.why)
    monkeypatch.setattr(autoscale, "free_mb", lambda: board.free)
    return board


def test_throttling(board: Board) -> None:
    """Every ten seconds one process ends, down to none; later one returns each minute."""
    autoscaler = Autoscaler(3, cool=True, clock=lambda: board.now)
    assert not board.pass_seconds(60, autoscaler)
    board.why = "throttled"
    assert [2] == board.pass_seconds(10, autoscaler)
    assert "working with 2 of 3 processes: the board is throttled (throttled)" == autoscaler.note()
    assert [1, 0] == board.pass_seconds(60, autoscaler)
    assert "waiting: the board is throttled (throttled)" == autoscaler.note()
    board.why = ""
    assert [1] == board.pass_seconds(70, autoscaler)
    assert [2, 3] == board.pass_seconds(120, autoscaler)
    assert "" == autoscaler.note()


def test_a_relapse(board: Board) -> None:
    """After a relapse, a process returns later."""
    autoscaler = Autoscaler(2, cool=True, clock=lambda: board.now)
    board.why = "throttled"
    board.pass_seconds(10, autoscaler)
    board.why = ""
    assert [2] == board.pass_seconds(70, autoscaler)
    board.why = "throttled"
    board.pass_seconds(10, autoscaler)
    board.why = ""
    assert [] == board.pass_seconds(120, autoscaler)
    assert [2] == board.pass_seconds(10, autoscaler)


def test_throttling_without_cool(board: Board) -> None:
    """Without `--cool`, throttling changes nothing."""
    board.why = "throttled"

    assert not board.pass_seconds(60, Autoscaler(3, cool=False, clock=lambda: board.now))


def test_memory(board: Board) -> None:
    """One process works while memory is short; others return when there is enough for them."""
    autoscaler = Autoscaler(3, cool=False, clock=lambda: board.now)
    board.free = MIN_FREE_MB - 1
    assert [2, 1] == board.pass_seconds(60, autoscaler)
    assert "working with 1 of 3 processes: memory is short (354 MB free)" == autoscaler.note()
    # More than the least, less than one process more would need.
    board.free = ENOUGH_FREE_MB - 1
    assert [] == board.pass_seconds(300, autoscaler)
    board.free = ENOUGH_FREE_MB
    assert [2, 3] == board.pass_seconds(140, autoscaler)


def test_unknown_memory(board: Board) -> None:
    """If the free memory is unknown, all processes work."""
    board.free = None

    assert not board.pass_seconds(60, Autoscaler(3, cool=True, clock=lambda: board.now))


@dataclass
class Processes:
    """The used part of Celery's pool, with a number of idle processes."""

    num_processes: int
    idle: int = 0

    def shrink(self, number: int) -> None:
        """End an idle process, as Celery does."""
        if not self.idle:
            raise ValueError("Can't shrink pool. All processes busy!")
        self.idle -= number
        self.num_processes -= number

    def grow(self, number: int) -> None:
        """Start a process."""
        self.num_processes += number


@dataclass
class Fetches:
    """The number of messages that are fetched at a time."""

    value: int

    def increment_eventually(self) -> None:
        """Fetch one more."""
        self.value += 1

    def decrement_eventually(self) -> None:
        """Fetch one fewer."""
        self.value -= 1


@dataclass
class Consumer:
    """The used part of Celery's consumer."""

    pool: Processes
    qos: Fetches = field(init=False)

    def __post_init__(self) -> None:
        self.qos = Fetches(self.pool.num_processes)


def test_the_pool_follows() -> None:
    """No more batches are fetched than processes remain; one ends when idle, and returns."""
    consumer = Consumer(Processes(3))
    pool = Pool(consumer)
    pool.resize(1)
    assert (3, 1) == (consumer.pool.num_processes, consumer.qos.value)
    consumer.pool.idle = 1
    pool.resize(1)
    assert (2, 1) == (consumer.pool.num_processes, consumer.qos.value)
    pool.resize(2)
    assert (2, 2) == (consumer.pool.num_processes, consumer.qos.value)
    pool.resize(3)
    assert (3, 3) == (consumer.pool.num_processes, consumer.qos.value)
    consumer.pool.idle = 3
    for _ in range(5):
        pool.resize(0)
    assert (1, 1) == (consumer.pool.num_processes, consumer.qos.value)


def test_logged_once(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    """Only the start and the end of a reduction are logged."""
    autoscaler, pool = (
        Autoscaler(3, cool=True, clock=lambda: board.now),
        Pool(Consumer(Processes(3, 3))),
    )
    board.why = "throttled"
    for _ in range(60):
        board.now += 2
        autoscale.scale_pool(autoscaler, pool, "pi4")
    board.why = ""
    for _ in range(200):
        board.now += 2
        autoscale.scale_pool(autoscaler, pool, "pi4")

    assert [
        "pi4: working with 2 of 3 processes: the board is throttled (throttled)",
        "pi4: working with all processes again",
    ] == caplog.messages
