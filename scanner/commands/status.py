"""`scanner status`: how far a scan is."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from scanner.options import (
    broker_option,
    json_option,
    open_store,
    scan_argument,
    store_option,
    without_password,
)

if TYPE_CHECKING:
    from scanner.progress import Look
    from scanner.queue_state import QueueState
    from storage.store import Store


@click.command()
@scan_argument
@store_option
@broker_option
@click.option("--watch", is_flag=True, help="Stay and show how it goes on, until it is over.")
@json_option
def command(*, scan_id: int | None, store: str, broker: str, watch: bool, as_json: bool) -> None:
    """How far SCAN is (default: the latest), and who is at work.

    What is judged comes from the store; the queue and the workers from the broker, if it answers.

    \b
    Examples:
      scanner status
      scanner status 7 --watch
      scanner status --json | jq .verdicts.pending
    """
    from scanner.progress import Follower, look
    from scanner.queue_state import queue_state

    with open_store(store) as opened:
        from storage.scans import find_scan

        found = find_scan(opened, scan_id)
        if watch:
            with Follower(opened, found.scan_id) as follower:
                follower.follow()
        state = queue_state(broker, opened.identity)
        if as_json:
            _print_json(opened, found.scan_id, state)
            return
        _print(look(opened, found.scan_id), state, broker)


def _print_json(store: Store, scan_id: int, state: QueueState | None) -> None:
    from scanner.report.build import build
    from scanner.report.json import to_json
    from storage.scans import find_scan

    body = to_json(build(store, find_scan(store, scan_id)))
    body["queue"] = None if state is None else asdict(state)
    click.echo(json.dumps(body))


def _print(seen: Look, state: QueueState | None, broker: str) -> None:
    scan, counts = seen.scan, seen.counts
    click.echo(f"scan {scan.scan_id} of {scan.collection}: {_phase(seen)}")
    share = 100 * counts.judged / counts.images if counts.images else 100.0
    click.echo(f"  {counts.judged:,} of {counts.images:,} images judged ({share:.1f} %)")
    click.echo(
        f"  {counts.ai:,} ai, {counts.unsure:,} unsure, {counts.no_evidence:,} no evidence, "
        f"{counts.error:,} errors, {counts.pending:,} pending"
    )
    if state is None:
        click.echo(f"  the broker {without_password(broker)} does not answer", err=True)
        return
    click.echo(f"  {state.waiting:,} batches wait, {len(state.workers)} processes at work lately")
    for worker in state.workers:
        ago = max(0.0, time.time() - worker.at)
        note = f": {worker.note}" if worker.note else ""
        click.echo(
            f"    {worker.name} batch {worker.batch_id} of scan {worker.scan_id}, "
            f"{ago:.0f} s ago{note}"
        )


def _phase(seen: Look) -> str:
    if seen.scan.cancelled_at is not None:
        return "cancelled"
    if seen.scan.finished_at is not None:
        return "finished"
    return "being judged" if seen.scan.listed_at is not None else "being listed"
