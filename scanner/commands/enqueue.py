"""`scanner enqueue`: list a folder and put its batches on the queue."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from scanner.exits import DONE, INCOMPLETE
from scanner.options.broker import broker_option
from scanner.options.output import json_lines_option, json_option
from scanner.options.record import as_record
from scanner.options.scan_request import dry_run_option, make_request, request_options
from scanner.options.store import open_store, store_option
from workers.settings import FLEET

if TYPE_CHECKING:
    from scanner.fleet.producer import ScanRequest
    from scanner.options.scan_request import ScanRequestOptions


@dataclass(frozen=True, slots=True)
class EnqueueOptions:
    """Where to enqueue, and how to report."""

    store: str
    broker: str
    dry_run: bool
    as_json: bool
    json_lines: bool


@click.command()
@request_options
@store_option
@broker_option
@dry_run_option
@json_option
@json_lines_option
@as_record(EnqueueOptions)
@click.pass_context
def command(ctx: click.Context, *, requested: ScanRequestOptions, options: EnqueueOptions) -> None:
    """List FOLDER and put its images on the queue in batches for workers.

    Batches are queued while the folder is listed: a million files need no more memory than a
    thousand. If interrupted, run the same command again to resume.

    \b
    Examples:
      scanner enqueue /photos --dry-run
      scanner enqueue /photos --name photos --broker redis://:secret@laptop:6379/0
      scanner enqueue test-set --labels truth.csv
      scanner enqueue /photos --json-lines

    Exit codes: 0 done, 3 done but some folders could not be read, 4 a required service is
    unavailable.
    """
    request = make_request(requested, FLEET)
    if options.dry_run:
        unreadable = print_dry_run(request, as_json=options.as_json or options.json_lines)
    else:
        unreadable = _enqueue(request, options)
    ctx.exit(INCOMPLETE if unreadable else DONE)


def _enqueue(request: ScanRequest, options: EnqueueOptions) -> int:
    """Enqueue and report; return how many folders could not be read."""
    from scanner.fleet import producer
    from scanner.fleet.broker import open_broker, warn_of_eviction
    from scanner.fleet.fingerprint import take_fingerprint
    from scanner.follow.events import Events
    from scanner.report.text import labels
    from storage.reads.progress import count_images
    from storage.writes.scans import find_scan
    from workers.broker.collection_fingerprints import store_fingerprint
    from workers.broker.heartbeat import uncancel

    with (
        open_store(options.store, make=True) as store,
        open_broker(options.broker, store.identity) as broker,
    ):
        warn_of_eviction(broker)
        opened = producer.open_scan(store, request)
        uncancel(broker.namespace, opened.scan.scan_id)
        # Before the first batch: a worker may take it at once.
        store_fingerprint(broker.namespace, request.name, take_fingerprint(request))
        events = Events(store, opened.scan.scan_id) if options.json_lines else None
        on_batch = events.update if events is not None else lambda: None
        batches = producer.enqueue(store, broker.app, opened, request, on_batch)
        scan = find_scan(store, opened.scan.scan_id)
        errors = count_images(store, scan.scan_id).error
    summary = {
        "scan": scan.scan_id,
        "collection": scan.collection,
        "images": scan.images,
        "batches": batches,
        "skipped": sum(scan.skipped.values()),
        "enqueue_seconds": round(scan.enqueue_seconds, 3),
    }
    if events is not None:
        events.summary(summary, errors)
    elif options.as_json:
        click.echo(json.dumps(summary))
    else:
        resumed = " (resumed)" if opened.resumed else ""
        click.echo(
            f"scan {scan.scan_id} of {scan.collection}{resumed}: "
            f"{labels.count(scan.images, 'image', 'images')}, "
            f"{labels.count(batches, 'batch', 'batches')} on the queue"
        )
        click.echo(f"`scanner status {scan.scan_id} --watch` shows its progress", err=True)
    return scan.unreadable_folders


def print_dry_run(request: ScanRequest, *, as_json: bool) -> int:
    """Print what would be listed; return how many folders could not be read."""
    from scanner.fleet import producer
    from scanner.report.text import labels

    listing = producer.summarize_listing(request)
    if as_json:
        click.echo(json.dumps(asdict(listing)))
    else:
        count = labels.count
        click.echo(
            f"{count(listing.images, 'image', 'images')}, {listing.size_bytes:,} bytes, "
            f"{count(listing.batches, 'batch', 'batches')}; "
            f"{count(listing.skipped, 'other file', 'other files')}, "
            f"{count(listing.unreadable_folders, 'unreadable folder', 'unreadable folders')}"
        )
    return listing.unreadable_folders
