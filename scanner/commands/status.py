"""`scanner status`: how far a scan is."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from scanner.options.common import (
    broker_option,
    json_lines_option,
    json_option,
    open_store,
    scan_argument,
    store_option,
    without_password,
)
from workers.settings import FLEET

if TYPE_CHECKING:
    from scanner.follow.progress import ScanProgress
    from scanner.follow.queue_state import QueueState
    from storage.database.store import Store


@click.command()
@scan_argument
@store_option
@broker_option
@click.option("--watch", is_flag=True, help="Stay and show how it goes on, until it is over.")
@json_option
@json_lines_option
def command(
    *,
    scan_id: int | None,
    store: str,
    broker: str,
    watch: bool,
    **how: bool,
) -> None:
    """How far SCAN is (default: the latest), and who is at work.

    What is judged comes from the store; the queue and the workers from the broker, if it answers.
    A `scan` with a queue of its own has no broker that could be asked.

    \b
    Examples:
      scanner status
      scanner status 7 --watch
      scanner status --json | jq .verdicts.pending
      scanner status --watch --json-lines
    """
    from scanner.follow.events import Events
    from scanner.follow.progress import Follower, read_progress
    from scanner.follow.queue_state import read_queue_state
    from scanner.report.text import sentences
    from storage.writes.cascade import cascade_progress

    with open_store(store) as opened:
        from storage.writes.scans import find_scan

        found = find_scan(opened, scan_id)
        events = Events(opened, found.scan_id) if how["json_lines"] else None
        if watch:
            tell = None if events is None else events.show
            with Follower(opened, found.scan_id, on_progress=tell) as follower:
                follower.follow()
        # Read anew: it may have been handed to the fleet meanwhile.
        seen = read_progress(opened, found.scan_id)
        is_of_fleet = seen.scan.owner == FLEET
        state = read_queue_state(broker, opened.identity) if is_of_fleet else None
        if events is not None:
            events.summary(_body(opened, found.scan_id, state), seen.counts.error)
            return
        if how["as_json"]:
            click.echo(json.dumps(_body(opened, found.scan_id, state)))
            return
        _print(seen, state)
        if (said := cascade_progress(opened, seen.scan)) is not None:
            click.echo(f"  {sentences.second_stage(said)}")
        _print_hosts(opened, found.scan_id)
        if is_of_fleet and not seen.is_over:
            _print_queue(state, broker)


def _body(store: Store, scan_id: int, state: QueueState | None) -> dict[str, Any]:
    from msgspec import to_builtins

    from scanner.report.figures.build import build
    from scanner.report.formats.json import to_json
    from storage.writes.scans import find_scan

    body = to_json(build(store, find_scan(store, scan_id)))
    body["queue"] = to_builtins(state)
    return body


def _print(seen: ScanProgress, state: QueueState | None) -> None:
    from scanner.report.text import labels

    scan, counts = seen.scan, seen.counts
    click.echo(f"scan {scan.scan_id} of {scan.collection}: {_phase(seen, state)}")
    judged = f"{counts.judged:,} of {labels.count(counts.images, 'image', 'images')} judged"
    # While a folder is listed, a share would be one of what is known so far.
    if scan.listed_at is not None and counts.images:
        judged += f" ({labels.percent(counts.judged, counts.images)})"
    click.echo(f"  {judged}")
    click.echo(
        f"  {counts.ai:,} ai, {counts.unsure:,} unsure, {counts.no_evidence:,} no evidence, "
        f"{labels.count(counts.error, 'error', 'errors')}, {counts.pending:,} pending"
    )


def _print_hosts(store: Store, scan_id: int) -> None:
    from scanner.report.text.grid import safe
    from scanner.report.text.machine import health
    from storage.reads.health import pulse

    for host in pulse(store, scan_id).hosts:
        state = health(host.info)
        line = f"  {safe(host.label)}: {host.images_per_second:,.1f} images/s"
        click.echo(f"{line}, {state}" if state else line)


def _print_queue(state: QueueState | None, broker: str) -> None:
    if state is None:
        click.echo(f"  the broker {without_password(broker)} does not answer", err=True)
        return
    if not state.workers:
        click.echo(f"  {_waiting(state)}")
        click.echo("  no worker is at work: start one with `scanner worker`")
        return
    click.echo(f"  {_waiting(state)}; the processes at work lately")
    for worker in state.workers:
        ago = max(0.0, time.time() - worker.at)
        note = f": {worker.note}" if worker.note else ""
        # A worker that was paused is at none.
        at = f" batch {worker.batch_id} of scan {worker.scan_id}," if worker.batch_id else ""
        click.echo(f"    {worker.name}{at} {ago:.0f} s ago{note}")


def _waiting(state: QueueState) -> str:
    return f"{state.waiting:,} {'batch waits' if state.waiting == 1 else 'batches wait'}"


def _phase(seen: ScanProgress, state: QueueState | None) -> str:
    if seen.is_over:
        return seen.scan.state
    # Only of a fleet it is known who works; the process of a `scan` may be gone.
    works = state is not None and bool(state.workers)
    if seen.scan.listed_at is None:
        return "being judged while it is listed" if works else "not listed to its end yet"
    return "being judged" if works else "not finished"
