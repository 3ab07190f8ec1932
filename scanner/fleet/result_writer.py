"""Run the result writer as a process, with URLs from the environment."""

from __future__ import annotations

import os
from contextlib import closing

from scanner.fleet.broker import open_broker
from scanner.processes.logs import log_to_stderr, run_logged
from storage.database.engine import WORK_ANSWER_S
from storage.database.store import Store


def main() -> int:
    """Write results until stopped; return the exit code."""
    # After the store has answered.
    from workers.batch.result_writer import make_result_writer  # noqa: PLC0415
    from workers.broker.quiet import quiet_celery  # noqa: PLC0415

    log_to_stderr(verbose=False)
    quiet_celery()
    broker_url = os.environ["SCANNER_BROKER_URL"]
    with closing(
        Store.open(os.environ["SCANNER_STORE_URL"], make=False, answer_s=WORK_ANSWER_S)
    ) as store:
        with open_broker(broker_url, store.identity):
            pass  # check that it answers
        worker = make_result_writer(broker_url, store).Worker(
            hostname=f"result-writer-{os.getpid()}@scanner",
            # No fork: the store is open already, and SQLite takes one write at a time.
            pool="solo",
            concurrency=1,
            loglevel="WARNING",
            quiet=True,
            without_mingle=True,
            without_gossip=True,
            without_heartbeat=True,
        )
        worker.start()
        return int(worker.exitcode or 0)


if __name__ == "__main__":
    run_logged(main)
