"""Random sequences of faults."""

from __future__ import annotations

import itertools
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from stage import pool_children

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stage import RedisServer, Stage, Verdicts

# Each sequence is a scan, which takes about a minute.
SEQUENCES = 2
STEPS = 5


class Sequence(RuleBasedStateMachine):
    """Two workers in the middle of a scan, to which one thing after another happens."""

    def __init__(self, stage: Stage, server: RedisServer, expected: Verdicts) -> None:
        super().__init__()
        self.stage, self.server, self.expected = stage, server, expected

    @initialize()
    def begin(self) -> None:
        """Begin a scan."""
        self.stage.work()
        self.stage.work()
        self.stage.enqueue()
        self.stage.wait_begun()

    @rule()
    def kill_child(self) -> None:
        """Kill the process of a worker that judges images."""
        for child in pool_children(self.stage.workers[-1]):
            child.kill()

    @rule()
    def kill_worker(self) -> None:
        """Kill a worker with its processes, and start another."""
        victim = self.stage.workers[-1]
        for process in [*pool_children(victim), victim]:
            os.kill(process.pid, signal.SIGKILL)
        victim.wait()
        self.stage.work()

    @rule()
    def stop_worker(self) -> None:
        """Tell a worker to stop, and start another."""
        self.stage.workers[-1].send_signal(signal.SIGTERM)
        self.stage.workers[-1].wait(60)
        self.stage.work()

    @rule()
    def kill_redis(self) -> None:
        """Kill Redis, and start it again."""
        self.server.kill()
        self.server.start()

    @rule()
    def empty_redis(self) -> None:
        """Lose everything in Redis."""
        with self.server.client() as client:
            client.flushall()

    @rule()
    def fill_redis(self) -> None:
        """Leave Redis no memory for a while."""
        with self.server.client() as client:
            client.config_set("maxmemory", 1)
            time.sleep(4)
            client.config_set("maxmemory", 0)

    def teardown(self) -> None:
        """Let the scan end, and ask the oracle."""
        if self.stage.scan_id:
            with self.stage.fault():
                pass
            on = "" if self.stage.store_url.startswith("sqlite") else " (Postgres)"
            self.stage.finish(f"random sequences of up to {STEPS} faults{on}", self.expected)


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_random_sequences(
    stage_on: Callable[..., Stage], server: RedisServer, expected: Verdicts, tmp_path: Path
) -> None:
    """Nothing is lost or doubled, whatever happens one after the other."""
    urls = (f"sqlite:///{tmp_path}/{number}.db" for number in itertools.count())
    run_sequences(lambda: Sequence(stage_on(next(urls)), server, expected), SEQUENCES)


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_random_sequence_on_postgres(
    stage_on: Callable[..., Stage], server: RedisServer, expected: Verdicts, postgres_url: str
) -> None:
    """The same with a Postgres, in which a second sequence would find the images judged."""
    run_sequences(lambda: Sequence(stage_on(postgres_url), server, expected), 1)


def run_sequences(begin: Callable[[], Sequence], sequences: int) -> None:
    """Run so many random sequences, each on what `begin` returns."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        begin,
        settings=settings(
            max_examples=sequences,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            # Repeating a sequence to make it shorter would take an hour.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
