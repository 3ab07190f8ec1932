"""`scanner cancel`: stop a scan."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from scanner.options.broker import broker_option
from scanner.options.completion import complete_running_scan
from scanner.options.store import open_store, scan_argument_of, store_option
from storage.errors import ScannerError
from workers.settings import FLEET

if TYPE_CHECKING:
    from storage.database.store import Store
    from storage.writes.scans import Scan


@click.command()
@scan_argument_of(complete_running_scan)
@store_option
@broker_option
@click.option("--yes", is_flag=True, help="Without SCAN: do not ask for confirmation.")
def command(*, scan_id: int | None, store: str, broker: str, yes: bool) -> None:
    """Stop SCAN: workers drop the rest of it within a second.

    Without SCAN it asks whether to stop the one that runs, or the only one that is not finished.
    Existing verdicts stay; `scanner resume`, or the same `scan` again, continues.

    \b
    Examples:
      scanner cancel
      scanner cancel 7
    """
    from scanner.fleet.broker import open_broker
    from storage.writes import scans
    from workers.broker import heartbeat

    with open_store(store) as opened:
        scan = _only_one(opened, broker) if scan_id is None else scans.find_scan(opened, scan_id)
        if scan.finished_at is not None:
            raise ScannerError(f"scan {scan.scan_id} of {scan.collection} is finished already")
        if scan_id is None and not yes:
            what = f"scan {scan.scan_id} of {scan.collection}"
            if not sys.stdin.isatty():
                raise click.UsageError(f"SCAN or --yes is required to cancel {what}")
            click.confirm(f"Cancel {what}?", abort=True, err=True)
        # The store first: it outlasts the broker, and no worker starts a batch from now on.
        scans.cancel(opened, scan.scan_id)
        click.echo(f"scan {scan.scan_id} of {scan.collection} is cancelled")
        if scan.owner != FLEET:
            return  # a `scan` with an embedded broker looks after it, and looks into the store
        with open_broker(broker, opened.identity) as queue:
            heartbeat.cancel(queue.namespace, scan.scan_id)


def _only_one(store: Store, broker: str) -> Scan:
    """Return the scan that runs, else the one that is not finished; refuse where several are."""
    from scanner.follow.phase import phases_of
    from scanner.report.figures.phase import Phase
    from storage.writes.scans import UNFINISHED, find_scan, list_scans

    unfinished = [scan for scan in list_scans(store) if scan.state == UNFINISHED]
    if not unfinished:
        latest = find_scan(store)
        raise ScannerError(
            f"scan {latest.scan_id} of {latest.collection} is {latest.state} already, and no other "
            "is left to cancel"
        )
    phases = phases_of(store, broker)
    running = [scan for scan in unfinished if phases.of(scan) is Phase.RUNNING]
    chosen, *others = running or unfinished
    if others:
        named = ", ".join(f"{scan.scan_id} of {scan.collection}" for scan in (chosen, *others))
        raise click.UsageError(f"SCAN is required, as any of these could be meant: {named}")
    return chosen
