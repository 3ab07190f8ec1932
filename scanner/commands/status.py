"""`scanner status`: a scan's progress."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from scanner.exits import DONE
from scanner.options.broker import broker_option
from scanner.options.output import json_lines_option, json_option
from scanner.options.record import as_record
from scanner.options.store import open_store, scan_argument, store_option
from workers.settings import FLEET

if TYPE_CHECKING:
    from scanner.follow.phase import Phases
    from scanner.follow.progress import ScanProgress
    from scanner.follow.queue_state import QueueState
    from scanner.report.figures.phase import Phase
    from storage.database.store import Store


@dataclass(frozen=True, slots=True)
class Options:
    """The scan to show, and how."""

    scan_id: int | None
    store: str
    broker: str
    watch: bool
    as_json: bool
    json_lines: bool


@click.command()
@scan_argument
@store_option
@broker_option
@click.option("--watch", is_flag=True, help="Show progress until the scan is over.")
@json_option
@json_lines_option
@as_record(Options)
@click.pass_context
def command(ctx: click.Context, *, options: Options) -> None:
    """Show the progress of SCAN (default: the latest), and which workers are active.

    Verdicts are counted in the store; queue and workers are known to the broker, if it answers. A
    `scan` with an embedded broker cannot be asked about its queue.

    Exit codes of --watch: 0 done, 1 cancelled, 3 done but some images could not be read.

    \b
    Examples:
      scanner status
      scanner status 7 --watch
      scanner status --json | jq .verdicts.pending
      scanner status --watch --json-lines
    """
    from scanner.follow.events import Events
    from scanner.follow.phase import phases_of
    from scanner.follow.progress import Follower, read_progress
    from scanner.report.text.next_step import next_step
    from storage.writes.scans import find_scan

    with open_store(options.store) as store:
        scan_id = find_scan(store, options.scan_id).scan_id
        events = Events(store, scan_id) if options.json_lines else None
        if options.watch:
            on_progress = None if events is None else events.show
            with Follower(store, scan_id, on_progress=on_progress) as follower:
                follower.follow()
        # Read again: the scan may have been handed to the fleet meanwhile.
        seen = read_progress(store, scan_id)
        is_of_fleet = seen.scan.owner == FLEET
        phases = phases_of(store, options.broker)
        phase = phases.of(seen.scan)
        state = phases.queue if is_of_fleet else None
        if events is not None:
            events.summary(_body(store, scan_id, phases), seen.counts.error)
        elif options.as_json:
            click.echo(json.dumps(_body(store, scan_id, phases)))
        else:
            _print(seen, phase)
            _print_hosts(store, scan_id)
            if is_of_fleet and not seen.is_over:
                _print_queue(state, options.broker)
            if (step := next_step(seen.scan, phase)) is not None:
                click.echo(f"  {step}")
    ctx.exit(seen.exit_code if options.watch else DONE)


def _body(store: Store, scan_id: int, phases: Phases) -> dict[str, Any]:
    from msgspec import to_builtins

    from scanner.report.figures.build import build
    from scanner.report.formats.json import to_json
    from storage.writes.scans import find_scan

    scan = find_scan(store, scan_id)
    body = to_json(build(store, scan, phase_of=phases.of))
    body["queue"] = to_builtins(phases.queue if scan.owner == FLEET else None)
    return body


def _print(seen: ScanProgress, phase: Phase) -> None:
    from scanner.report.text import labels

    scan, counts = seen.scan, seen.counts
    is_listing = scan.listed_at is None and not seen.is_over
    listing = ", folder not fully listed" if is_listing else ""
    click.echo(f"scan {scan.scan_id} of {scan.collection}: {labels.state(phase)}{listing}")
    judged = f"{counts.judged:,} of {labels.count(counts.images, 'image', 'images')} judged"
    # The total is unknown while the folder is listed.
    if scan.listed_at is not None and counts.images:
        judged += f" ({labels.percent(counts.judged, counts.images)})"
    click.echo(f"  {judged}")
    click.echo(
        f"  {counts.ai:,} AI-generated, {counts.unsure:,} unsure, "
        f"{counts.no_evidence:,} no evidence, "
        f"{labels.count(counts.error, 'error', 'errors')}, {counts.pending:,} pending"
    )


def _print_hosts(store: Store, scan_id: int) -> None:
    from scanner.report.text.host_details import health
    from scanner.report.text.tables import safe
    from storage.reads.progress import read_activity

    for host in read_activity(store, scan_id).hosts:
        state = health(host.info)
        line = f"  {safe(host.label)}: {host.images_per_second:,.1f} images/s"
        click.echo(f"{line}, {state}" if state else line)


def _print_queue(state: QueueState | None, broker: str) -> None:
    from scanner.fleet.broker import without_password

    if state is None:
        click.echo(f"  broker {without_password(broker)} does not answer", err=True)
        return
    waiting = f"{state.waiting:,} {'batch' if state.waiting == 1 else 'batches'} queued"
    if not state.workers:
        click.echo(f"  {waiting}")
        click.echo("  no active worker")
        return
    click.echo(f"  {waiting}; recently active processes:")
    for worker in state.workers:
        seconds = max(0.0, time.time() - worker.at)
        note = f": {worker.note}" if worker.note else "" if worker.batch_id else ": idle"
        # An idle or paused worker has no batch.
        batch = f" batch {worker.batch_id} of scan {worker.scan_id}," if worker.batch_id else ""
        click.echo(f"    {worker.name}{batch} {seconds:.0f} s ago{note}")
