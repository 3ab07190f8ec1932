"""`scanner resume`: publish unfinished batches again."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from scanner.options.broker import broker_option, names_a_broker
from scanner.options.completion import complete_stopped_scan
from scanner.options.store import open_store, scan_argument_of, store_option
from storage.errors import ScannerError
from workers.settings import FLEET

if TYPE_CHECKING:
    from storage.database.store import Store
    from storage.writes.scans import Scan


@click.command()
@scan_argument_of(complete_stopped_scan)
@store_option
@broker_option
@click.pass_context
def command(ctx: click.Context, *, scan_id: int | None, store: str, broker: str) -> None:
    """Put every unfinished batch of SCAN on the queue again (default: the latest scan).

    For a queue that was lost, or a scan that was cancelled. What `scanner scan` began on this
    machine goes on with the same `scanner scan`, or is handed to the fleet of a --broker. Images
    that became errors because their folder had other files (`moved`) are tried again, and so are
    batches that were given up. Harmless at any time: finished work stays finished, and work in
    progress is not started twice. A listing that was interrupted continues with `scanner enqueue`
    or `scanner scan` of the same folder.

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

    with open_store(store) as opened, ExitStack() as stack:
        scan = scans.find_scan(opened, scan_id)
        if scan.owner != FLEET:
            _require_fleet(opened, scan, broker, is_named=names_a_broker(ctx))
        queue = stack.enter_context(open_broker(broker, opened.identity))
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


def _require_fleet(store: Store, scan: Scan, broker: str, *, is_named: bool) -> None:
    """Refuse to hand over a scan of one machine which runs there, or where no broker is named."""
    from scanner.follow.phase import phases_of
    from scanner.report.figures.phase import Phase
    from scanner.report.text import labels
    from scanner.report.text.next_step import next_step

    phase = phases_of(store, broker).of(scan)
    if is_named and phase is not Phase.RUNNING:
        return
    text = f"scan {scan.scan_id} of {scan.collection} is {labels.state(phase)}"
    step = next_step(scan, phase)
    if step is None:
        raise ScannerError(f"{text} already")
    hand_over = "" if phase is Phase.RUNNING else "; to hand it to a fleet, name its --broker"
    raise ScannerError(f"{text}, {step}{hand_over}")
