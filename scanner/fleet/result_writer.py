"""The recorder as a process; who starts it hands over the URLs in the environment."""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import closing

from scanner.fleet.broker import open_broker
from scanner.processes.logs import log_to_stderr
from storage.database.store import Store


def main() -> int:
    """Write results until stopped; the exit code."""
    from celery.platforms import SecurityWarning  # noqa: PLC0415 - after the store has answered

    from workers.batch.result_writer import make_result_writer  # noqa: PLC0415

    log_to_stderr(verbose=False)
    # It warns root of what a message may run; ours are JSON, and checked before they are used.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    broker_url = os.environ["SCANNER_BROKER_URL"]
    with closing(Store.open(os.environ["SCANNER_STORE_URL"], make=False)) as store:
        with open_broker(broker_url, store.identity):
            pass  # it answers
        worker = make_result_writer(broker_url, store).Worker(
            hostname=f"recorder-{os.getpid()}@scanner",
            # No fork: the store is open already, and one result at a time is what SQLite does.
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
    sys.exit(main())
