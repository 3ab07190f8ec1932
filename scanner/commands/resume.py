"""`scanner resume`: publish unfinished batches again."""

from __future__ import annotations

import click

from scanner.options.broker import broker_option
from scanner.options.completion import complete_stopped_scan
from scanner.options.store import open_store, scan_argument_of, store_option
from workers.settings import FLEET


@click.command()
@scan_argument_of(complete_stopped_scan)
@store_option
@broker_option
def command(*, scan_id: int | None, store: str, broker: str) -> None:
    """Put every unfinished batch of SCAN on the queue again (default: the latest scan).

    For a queue that was lost, or a scan that was cancelled. Images that became errors because their
    folder had other files (`moved`) are tried again, and so are batches that were given up.
    Harmless at any time: finished work stays finished, and work in progress is not started twice. A
    listing that was interrupted continues with `scanner enqueue` or `scanner scan` of the same
    folder.

    \b
    Examples:
      scanner resume
      scanner resume 7 --broker redis://:secret@laptop:6379/0
    """
    from scanner.fleet import producer
    from scanner.fleet.broker import open_broker
    from scanner.report.text import labels
    from storage.writes import scans
    from workers.broker.dead_letters import drop_letters
    from workers.broker.heartbeat import uncancel
    from workers.broker.missing import reset_all

    with open_store(store) as opened, open_broker(broker, opened.identity) as queue:
        scan = scans.find_scan(opened, scan_id)
        scans.change_owner(opened, scan.scan_id, FLEET)
        uncancel(queue.namespace, scan.scan_id)
        reset_all(queue.namespace)
        producer.retry_moved(opened, scan)
        drop_letters(queue.namespace, lambda letter: letter.scan_id == scan.scan_id)
        scan = scans.find_scan(opened, scan.scan_id)
        batches = producer.publish_unfinished(opened, queue.app, scan, lambda: None)
    queued = labels.count(batches, "batch", "batches")
    click.echo(f"scan {scan.scan_id} of {scan.collection}: {queued} on the queue again")
    if scan.listed_at is None:
        click.echo(
            "its folder is not fully listed: `scanner enqueue` it again to continue", err=True
        )
