"""`scanner scan`: enqueue, work, watch and report, on this machine alone."""

from __future__ import annotations

import signal
import uuid
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from scanner.exits import DONE, FAIL_ON, INCOMPLETE, INTERRUPTED, Failed, Unavailable
from scanner.follow.webhook import require_url
from scanner.options.common import (
    concurrency_option,
    fail_on_option,
    json_lines_option,
    json_option,
    open_store,
    root_option,
    store_option,
)
from scanner.options.scan_request import dry_run_option, make_request, request_options
from workers.settings import FLEET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scanner.fleet.producer import Opened, Request
    from scanner.report.figures.build import Report
    from storage.database.store import Store


@click.command()
@request_options
@store_option
@click.option(
    "--broker",
    envvar="SCANNER_BROKER_URL",
    show_envvar=True,
    metavar="URL",
    help="A Redis to use.  [default: one that is started for this scan]",
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
    callback=require_url,
    help="POST the report there as JSON when the scan is over; signed with the secret in "
    "SCANNER_WEBHOOK_SECRET.",
)
@click.option("--full", is_flag=True, help="Print every figure, not only the summary.")
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
    """Scan FOLDER on this machine: list, judge, report.

    Needs nothing else running. Ctrl-C stops it after the images at work; the same command goes on
    from there. A finished scan is scanned again with the verdicts of unchanged images kept.

    \b
    Examples:
      scanner scan ~/Pictures
      scanner scan ~/Pictures --exclude 'raw/**' --name home
      scanner scan ~/Pictures --retry-errors
      scanner scan test-set --labels-from-folders --json > figures.json
      scanner scan /photos --fail-on ai --webhook https://example.org/scanned

    Exit codes: 0 done, 3 done but some images could not be read, 4 a service is not there, 5 a
    --fail-on was met, 130 interrupted.
    """
    from scanner.fleet import producer
    from scanner.follow.progress import read_progress

    stop = _Stop()
    # A service manager's stop is a Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    # A broker of one's own has a keeper of one's own; a named one is looked after by its fleet's.
    request = make_request(asked, uuid.uuid4().hex if given["broker"] is None else FLEET)
    if dry_run:
        ctx.exit(INCOMPLETE if _dry_run(request, as_json=as_json or given["json_lines"]) else DONE)
    with open_store(given["store"], make=True) as store, _alone(store, request):
        opened = producer.open_scan(store, request)
        scan_id = opened.scan.scan_id
        try:
            _run(store, opened, request, given, stop)
        except KeyboardInterrupt:
            counts = read_progress(store, scan_id).counts
            click.echo(
                f"interrupted: {counts.judged:,} of {counts.images:,} images judged so far; "
                "the same command goes on",
                err=True,
            )
            ctx.exit(INTERRUPTED)
        report = _report(store, scan_id, given, as_json=as_json)
    if report.scan.state != "finished":
        raise Failed(f"scan {scan_id} was cancelled; the same command goes on with it")
    if given["fail_on"] == "ai" and report.counts.ai:
        ctx.exit(FAIL_ON)
    incomplete = report.counts.error or report.scan.unreadable_folders
    ctx.exit(INCOMPLETE if incomplete else DONE)


def _report(store: Store, scan_id: int, given: dict[str, Any], *, as_json: bool) -> Report:
    """Print the report, tell the webhook; the report."""
    from scanner.follow.events import Events
    from scanner.follow.webhook import deliver
    from scanner.report.figures.build import build
    from scanner.report.formats.json import to_json
    from scanner.report.formats.write import write
    from storage.writes.scans import find_scan

    report = build(store, find_scan(store, scan_id))
    if given["json_lines"]:
        Events(store, scan_id).summary(to_json(report), report.counts.error)
    else:
        write(report, "json" if as_json else "table", None, full=given["full"])
    if given["webhook"] is not None:
        deliver(given["webhook"], to_json(report))
    return report


class _Stop:
    """What Ctrl-C does: raise, and remember, for Python drops what is raised in a destructor."""

    def __init__(self) -> None:
        self._asked = False

    def __call__(self, *_: object) -> None:
        self._asked = True
        raise KeyboardInterrupt

    def check(self) -> None:
        """Raise once more if it was asked for."""
        if self._asked:
            raise KeyboardInterrupt


def _dry_run(request: Request, *, as_json: bool) -> int:
    from scanner.commands.enqueue import say_dry
    from scanner.listing.walk import WalkError

    try:
        return say_dry(request, as_json=as_json)
    except WalkError as error:
        raise Failed(str(error)) from error


@contextmanager
def _alone(store: Store, request: Request) -> Iterator[None]:
    """See that no other process is at the same scan, before anything of it is touched."""
    from scanner.config import state_dir
    from scanner.processes.lock import AlreadyRunning, lock_scan

    digest = request.plan.digest()
    try:
        with lock_scan(state_dir(), store.identity, request.root, digest):
            yield
    except AlreadyRunning as error:
        raise Failed(str(error)) from error


def _run(
    store: Store, opened: Opened, request: Request, given: dict[str, Any], stop: _Stop
) -> None:
    """Do the whole scan; what it was started for is stopped again, however it ends."""
    from scanner.config import state_dir
    from scanner.fleet import producer
    from scanner.follow.events import Events
    from scanner.follow.progress import Follower
    from scanner.follow.queue_state import waiting_note
    from scanner.listing.walk import WalkError
    from scanner.processes import local
    from scanner.processes.embedded_broker import EmbeddedServerError
    from workers.broker.heartbeat import uncancel

    scan_id = opened.scan.scan_id
    options = local.WorkerOptions(
        given["store"], given["concurrency"], state_dir(), given["roots"], request.plan.second_stage
    )
    try:
        with ExitStack() as stack:
            own = stack.enter_context(
                local.local_broker(given["broker"], state_dir(), store.identity)
            )
            # A named broker may remember that the scan was cancelled.
            uncancel(own.broker.namespace, scan_id)
            kept = stack.enter_context(local.local_rescuer(store, own.broker, request.owner))
            worker = stack.enter_context(local.local_worker(own.broker, options))
            stack.enter_context(_saying_that_it_stops())
            tell = Events(store, scan_id).show if given["json_lines"] else None
            follower = stack.enter_context(
                Follower(store, scan_id, lambda: waiting_note(own.broker.namespace), tell)
            )
            producer.enqueue(store, own.broker.app, opened, request, follower.update)
            follower.follow(stop.check, own.check, worker.check, kept, until_complete=True)
    except EmbeddedServerError as error:
        raise Unavailable(str(error)) from error
    except (WalkError, local.RescuerGone, local.WorkerGone) as error:
        raise Failed(str(error)) from error


@contextmanager
def _saying_that_it_stops() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo("stopping after the images at work …", err=True)
        raise
