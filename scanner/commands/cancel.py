"""`scanner cancel`: stop a scan."""

from __future__ import annotations

import click

from scanner.exits import Failed
from scanner.options.common import (
    broker_option,
    open_broker,
    open_store,
    scan_argument,
    store_option,
)
from workers.settings import FLEET


@click.command()
@scan_argument
@store_option
@broker_option
def command(*, scan_id: int | None, store: str, broker: str) -> None:
    """Stop SCAN (default: the latest): workers drop what is left of it within a second.

    Of a finished scan that is what waits for a second opinion.

    Verdicts that are there stay; `scanner resume`, or the same `scan` again, goes on.

    \b
    Examples:
      scanner cancel
      scanner cancel 7
    """
    from storage.writes import scans
    from storage.writes.cascade import count_waiting
    from workers.broker import heartbeat

    with open_store(store) as opened:
        found = scans.find_scan(opened, scan_id)
        if found.finished_at is not None and not count_waiting(opened, found):
            raise Failed(f"scan {found.scan_id} of {found.collection} is finished already")
        # The store first: it outlasts the broker, and no worker begins a batch of it from now on.
        scans.cancel(opened, found.scan_id)
        click.echo(f"scan {found.scan_id} of {found.collection} is cancelled")
        if found.owner != FLEET:
            return  # it belongs to a `scan` with a broker of its own, which sees it in the store
        with open_broker(broker, opened.identity) as queue:
            heartbeat.cancel(queue.namespace, found.scan_id)
