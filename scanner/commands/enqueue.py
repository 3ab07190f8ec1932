"""`scanner enqueue`: list a folder and put its batches on the queue."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from scanner.exits import DONE, INCOMPLETE, Failed
from scanner.options.common import (
    broker_option,
    json_lines_option,
    json_option,
    open_broker,
    open_store,
    store_option,
)
from scanner.options.scan_request import dry_run_option, make_request, request_options
from workers.settings import FLEET

if TYPE_CHECKING:
    from scanner.fleet.producer import Request


@click.command()
@request_options
@store_option
@broker_option
@dry_run_option
@json_option
@json_lines_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    asked: dict[str, Any],
    dry_run: bool,
    as_json: bool,
    **given: Any,  # noqa: ANN401
) -> None:
    """List FOLDER and put its images on the queue in batches, for workers to take.

    Lists as it goes: a million files need no more memory than a thousand. Interrupted, the same
    command goes on.

    \b
    Examples:
      scanner enqueue /photos --dry-run
      scanner enqueue /photos --name photos --broker redis://:secret@laptop:6379/0
      scanner enqueue test-set --labels truth.csv
      scanner enqueue /photos --json-lines

    Exit codes: 0 done, 3 done but some folders could not be read, 4 a service is not there.
    """
    from scanner.listing.walk import WalkError
    from workers.sources.source import SourceUnavailable

    request = make_request(asked, FLEET)
    try:
        if dry_run:
            unreadable = say_dry(request, as_json=as_json or given["json_lines"])
        else:
            unreadable = _enqueue(request, given, as_json=as_json)
    except (WalkError, SourceUnavailable) as error:
        raise Failed(str(error)) from error
    ctx.exit(INCOMPLETE if unreadable else DONE)


def _enqueue(request: Request, given: dict[str, Any], *, as_json: bool) -> int:
    """Enqueue, and say so; how many folders could not be read."""
    from scanner.fleet import producer
    from scanner.fleet.fingerprint import take_fingerprint
    from scanner.follow.events import Events
    from storage.reads.queries import counts
    from storage.writes.scans import find_scan
    from workers.broker.collection_fingerprints import store_fingerprint
    from workers.broker.heartbeat import uncancel

    with (
        open_store(given["store"], make=True) as store,
        open_broker(given["broker"], store.identity) as broker,
    ):
        opened = producer.open_scan(store, request)
        uncancel(broker.namespace, opened.scan.scan_id)
        # Before the first batch: a worker may take it at once.
        store_fingerprint(broker.namespace, request.name, take_fingerprint(request))
        events = Events(store, opened.scan.scan_id) if given["json_lines"] else None
        tell = events.update if events is not None else lambda: None
        sent = producer.enqueue(store, broker.app, opened, request, tell)
        scan = find_scan(store, opened.scan.scan_id)
        errors = counts(store, scan.scan_id).error
    done = {
        "scan": scan.scan_id,
        "collection": scan.collection,
        "images": scan.images,
        "batches": sent,
        "skipped": sum(scan.skipped.values()),
        "enqueue_seconds": round(scan.enqueue_seconds, 3),
    }
    if events is not None:
        events.summary(done, errors)
        return scan.unreadable_folders
    if as_json:
        click.echo(json.dumps(done))
        return scan.unreadable_folders
    went_on = " (went on with it)" if opened.resumed else ""
    click.echo(
        f"scan {scan.scan_id} of {scan.collection}{went_on}: {scan.images:,} images, "
        f"{sent:,} batches on the queue"
    )
    click.echo(f"`scanner status {scan.scan_id} --watch` shows how far it is", err=True)
    return scan.unreadable_folders


def say_dry(request: Request, *, as_json: bool) -> int:
    """Say what would be listed; how many folders could not be read."""
    from scanner.fleet import producer

    found = producer.dry_run(request)
    if as_json:
        click.echo(json.dumps(asdict(found)))
        return found.unreadable_folders
    click.echo(
        f"{found.images:,} images, {found.size_bytes:,} bytes, {found.batches:,} batches; "
        f"{found.skipped:,} other files, {found.unreadable_folders:,} folders that cannot be read"
    )
    return found.unreadable_folders
