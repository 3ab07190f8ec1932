"""`scanner resume`: publish again what is not done."""

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
    """Put every batch of SCAN that is not done on the queue again (default: the latest scan).

    For a queue that was lost, or a scan that was cancelled. Harmless at any time: what is done
    stays done, what is at work is not begun twice. A listing that was cut short is gone on with
    by `scanner enqueue` or `scanner scan` of the same folder.

    \b
    Examples:
      scanner resume
      scanner resume 7 --broker redis://:secret@laptop:6379/0
    """
    from scanner.fleet import producer
    from storage.records import PlanError
    from storage.writes import scans
    from workers.broker.heartbeat import uncancel

    with open_store(store) as opened, open_broker(broker, opened.identity) as queue:
        found = scans.find_scan(opened, scan_id)
        scans.hand_to(opened, found.scan_id, FLEET)
        uncancel(queue.namespace, found.scan_id)
        again = scans.find_scan(opened, found.scan_id)
        try:
            sent = producer.publish_undone(opened, queue.app, again, lambda: None)
        except PlanError as error:
            raise Failed(str(error)) from error
    click.echo(f"scan {found.scan_id} of {found.collection}: {sent:,} batches on the queue again")
    if found.listed_at is None:
        click.echo(
            "its folder was not listed to the end: `scanner enqueue` it again to go on", err=True
        )
