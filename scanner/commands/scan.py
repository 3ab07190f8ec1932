"""`scanner scan`: enqueue, work, watch and report, on this machine alone."""

from __future__ import annotations

import os
import signal
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import click

from scanner.exits import DONE, FAIL_ON, INCOMPLETE, INTERRUPTED
from scanner.options.notices import webhook_url
from scanner.options.output import fail_on_option, full_option, json_lines_option, json_option
from scanner.options.record import as_record
from scanner.options.scan_request import dry_run_option, make_request, request_options
from scanner.options.store import open_store, store_option
from scanner.options.work import concurrency_option, root_option
from storage.errors import ScannerError, StoreUnavailable
from workers.settings import FLEET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scanner.fleet.local_worker import LocalWorker
    from scanner.fleet.producer import OpenedScan, ScanRequest
    from scanner.follow.events import Events
    from scanner.options.scan_request import ScanRequestOptions
    from scanner.report.figures.build import Report
    from storage.database.store import Store
    from workers.broker.namespace import Namespace
    from workers.sources.location import SourceLocation

# What a scan needs to begin, and for its report.
_MODULES = ("scanner.fleet.producer", "scanner.fleet.local", "scanner.follow.progress")
_REPORT_MODULES = ("scanner.report.figures.build", "scanner.report.formats.write")


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """How `scan` works and reports."""

    store: str
    broker: str | None
    concurrency: int
    roots: Mapping[str, SourceLocation]
    dry_run: bool
    fail_on: str | None
    webhook: str | None
    full: bool
    as_json: bool
    json_lines: bool


@click.command()
@request_options
@store_option
@click.option(
    "--broker",
    envvar="SCANNER_BROKER_URL",
    show_envvar=True,
    metavar="URL",
    help="A Redis server to use.  [default: one that is started for this scan]",
)
@concurrency_option
@root_option
@dry_run_option
@fail_on_option
@click.option(
    "--webhook",
    envvar="SCANNER_WEBHOOK_URL",
    show_envvar=True,
    metavar="URL",
    callback=webhook_url,
    help="POST the report as JSON to URL when the scan is over, signed with the secret in "
    "SCANNER_WEBHOOK_SECRET.",
)
@full_option
@json_option
@json_lines_option
@as_record(ScanOptions)
@click.pass_context
def command(ctx: click.Context, *, requested: ScanRequestOptions, options: ScanOptions) -> None:
    """Scan FOLDER on this machine: list, judge, report.

    Needs no other service. Ctrl-C stops after the images at work; run the same command again to
    resume. Scanning a finished folder again keeps the verdicts of unchanged images.

    \b
    Examples:
      scanner scan ~/Pictures
      scanner scan ~/Pictures --exclude 'raw/**' --name home
      scanner scan ~/Pictures --retry-errors
      scanner scan immich+http://nas:2283 --key-file immich.key
      scanner scan test-set --labels-from-folders --json > figures.json
      scanner scan /photos --fail-on ai --webhook https://example.org/scanned

    Exit codes: 0 done, 3 done but some images could not be read, 4 a required service is
    unavailable, 5 --fail-on matched, 130 interrupted, 141 output closed.
    """
    stop = _Stop()
    # A service manager's stop is a Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    if options.dry_run:
        ctx.exit(_dry_run(requested, options))
    # Started first, since it has as much to import as this process.
    with _local_worker(options) as worker:
        ctx.exit(_scan(requested, _Means(options, worker, stop)))


def _local_worker(options: ScanOptions) -> LocalWorker:
    """Start a worker, which waits for its broker."""
    from scanner.config import state_dir
    from scanner.fleet.local_worker import LocalWorker, WorkerOptions

    is_alone = options.broker is None
    worker = WorkerOptions(options.store, options.concurrency, state_dir(), options.roots, is_alone)
    return LocalWorker(worker)


def _request(requested: ScanRequestOptions, options: ScanOptions) -> ScanRequest:
    # With an embedded broker this process requeues lost batches itself; with --broker the fleet.
    return make_request(requested, uuid.uuid4().hex if options.broker is None else FLEET)


def _dry_run(requested: ScanRequestOptions, options: ScanOptions) -> int:
    """Print what would be scanned; return the exit code."""
    from scanner.commands.enqueue import print_dry_run

    as_json = options.as_json or options.json_lines
    incomplete = print_dry_run(_request(requested, options), as_json=as_json)
    return INCOMPLETE if incomplete else DONE


def _scan(requested: ScanRequestOptions, means: _Means) -> int:
    """Scan and report; return the exit code."""
    from scanner.processes.imports import import_all

    import_all(*_MODULES)

    from scanner.config import state_dir
    from scanner.fleet import producer
    from scanner.fleet.broker import open_broker
    from scanner.follow.progress import RETRY_SECONDS, ScanProgress, read_progress
    from scanner.processes.lock import lock_file, lock_scan

    options = means.options
    request = _request(requested, options)
    root = os.fsencode(str(request.root))
    with (
        open_store(options.store, make=True, answer_s=RETRY_SECONDS) as store,
        lock_scan(lock_file(state_dir(), store.identity, root, request.plan.digest()), root),
    ):
        if options.broker is not None:
            # Before the scan is in the store: it would stay there unfinished.
            with open_broker(options.broker, store.identity):
                pass
        opened = producer.open_scan(store, request)
        scan_id = opened.scan.scan_id
        try:
            _run(store, opened, request, means)
        except (KeyboardInterrupt, BrokenPipeError) as error:
            counts = read_progress(store, scan_id).counts
            what = "interrupted" if isinstance(error, KeyboardInterrupt) else "stopped"
            click.echo(
                f"{what}: {counts.judged:,} of {counts.images:,} images judged so far; "
                "run the same command again to resume",
                err=True,
            )
            if isinstance(error, BrokenPipeError):
                raise
            return INTERRUPTED
        report = _report(store, scan_id, options)
    if report.scan.state != "finished":
        raise ScannerError(f"scan {scan_id} was cancelled; run the same command again to resume")
    if options.fail_on == "ai" and report.counts.ai:
        return FAIL_ON
    return ScanProgress(report.scan, report.counts).exit_code


class _Stop:
    """Raise KeyboardInterrupt on Ctrl-C, and again: Python drops what a destructor raises."""

    def __init__(self) -> None:
        self._requested = False

    def __call__(self, *_: object) -> None:
        self._requested = True
        raise KeyboardInterrupt

    def check(self) -> None:
        """Raise once more if Ctrl-C was pressed."""
        if self._requested:
            raise KeyboardInterrupt


@dataclass(frozen=True, slots=True)
class _Means:
    """How a scan is done, who works for it, and what stops it."""

    options: ScanOptions
    worker: LocalWorker
    stop: _Stop


def _run(store: Store, opened: OpenedScan, request: ScanRequest, means: _Means) -> None:
    """Do the whole scan; stop what was started for it, however it ends."""
    from scanner.config import state_dir
    from scanner.fleet import local, producer
    from scanner.follow.progress import Follower
    from scanner.follow.queue_state import waiting_note
    from scanner.processes.imports import import_all
    from workers.broker.heartbeat import uncancel

    options, worker = means.options, means.worker
    scan_id = opened.scan.scan_id
    on_progress = _events(store, scan_id).show if options.json_lines else None
    with local.local_broker(options.broker, state_dir(), store.identity) as own:
        # A named broker may remember that the scan was cancelled.
        uncancel(own.broker.namespace, scan_id)
        with (
            local.local_rescuer(store, own.broker, request.owner) as check_rescuer,
            worker.serving(own.broker.url),
            _announced_stop(),
            Follower(
                store,
                scan_id,
                lambda: waiting_note(own.broker.namespace),
                on_progress,
                partial(_require_writable, store, own.broker.namespace),
            ) as follower,
        ):
            producer.enqueue(store, own.broker.app, opened, request, follower.update)
            # While the worker judges, so that its first image does not wait for it.
            import_all(*_REPORT_MODULES)
            follower.follow(means.stop.check, own.check, worker.check, check_rescuer)


def _require_writable(store: Store, namespace: Namespace) -> None:
    """Raise StoreUnavailable or an error of Redis if a disk is full, so that the scan ends."""
    try:
        store.require_writable()
    except StoreUnavailable as error:
        raise StoreUnavailable(f"{error}; run the same command again to resume") from error
    namespace.client.set(namespace.key("writable"), "", ex=1)


@contextmanager
def _announced_stop() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo("stopping after the images at work …", err=True)
        raise


def _events(store: Store, scan_id: int) -> Events:
    from scanner.follow.events import Events

    return Events(store, scan_id)


def _report(store: Store, scan_id: int, options: ScanOptions) -> Report:
    """Print the report and send it to the webhook; return it."""
    from scanner.report.figures.build import build
    from scanner.report.formats.json import to_json
    from scanner.report.formats.write import write
    from storage.writes.scans import find_scan

    report = build(store, find_scan(store, scan_id))
    if options.json_lines:
        _events(store, scan_id).summary(to_json(report), report.counts.error)
    else:
        write(report, "json" if options.as_json else "table", None, full=options.full)
    if options.webhook is not None:
        from scanner.follow.webhook import deliver, origin

        click.echo(f"sending to the webhook at {origin(options.webhook)} …", err=True)
        deliver(options.webhook, to_json(report))
    return report
