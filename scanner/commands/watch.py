"""`scanner watch`: judge what comes into a folder, until stopped."""

from __future__ import annotations

import os
import signal
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from scanner.exits import DONE, INTERRUPTED
from scanner.options.notices import NoticeOptions, notice_options
from scanner.options.parameters import FiniteRange
from scanner.options.record import as_record
from scanner.options.scan_request import make_request, watch_request_options
from scanner.options.store import open_store, require_own_store, store_option
from scanner.options.unit import OF_USER, UnitAction, unit_options
from scanner.options.work import concurrency_option
from workers.settings import FLEET

if TYPE_CHECKING:
    from collections.abc import Callable

    from scanner.fleet.producer import ScanRequest
    from scanner.options.scan_request import ScanRequestOptions
    from scanner.options.unit import UnitOptions
    from scanner.watch.notices import Bundle

DEFAULT_SETTLE = 10.0
# Where the context keeps the arguments as they were typed.
ARGUMENTS = "scanner.watch.arguments"


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How a folder is watched, and who judges."""

    store: str
    broker: str | None
    concurrency: int
    settle: float
    poll: float | None


@dataclass(frozen=True, slots=True)
class Way:
    """A way by which new findings are sent, once no more have come for `quiet` seconds."""

    name: str
    quiet: float
    send: Callable[[Bundle], bool]


def _own_hub_broker() -> str | None:
    """Default to the hub's broker on the hub's own machine, which has its store."""
    from scanner.fleet.hub_config import load_hub

    hub = load_hub()
    return None if hub is None or hub.store_url is None else hub.broker_url()


class _Command(click.Command):
    """A command that remembers its arguments as they were typed, for a unit."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments."""
        ctx.meta[ARGUMENTS] = list(args)
        return super().parse_args(ctx, args)


@click.command(cls=_Command)
@watch_request_options
@store_option
@click.option(
    "--broker",
    envvar="SCANNER_BROKER_URL",
    show_envvar=True,
    default=_own_hub_broker,
    show_default="the hub's on the hub's own machine, else one that is started for this watch",
    metavar="URL",
    help="Put images on the queue of this Redis server, for the workers there, as `enqueue` does; "
    "without one, judge them here, as `scan` does.",
)
@concurrency_option
@click.option(
    "--settle",
    type=FiniteRange(0.1),
    default=DEFAULT_SETTLE,
    show_default=True,
    metavar="SECONDS",
    help="Judge a file once it has been unchanged for so long.",
)
@click.option(
    "--poll",
    type=FiniteRange(1),
    metavar="SECONDS",
    help="Look at the whole folder so often, instead of being told of changes.  [default: 60 on "
    "network mounts, which do not tell]",
)
@notice_options
@unit_options
@as_record(WatchOptions)
@click.pass_context
def command(
    ctx: click.Context,
    *,
    requested: ScanRequestOptions,
    notices: NoticeOptions,
    unit: UnitOptions | None,
    options: WatchOptions,
) -> None:
    """Judge what comes into FOLDER, until stopped: new images, changed ones, whole folders.

    All go into one scan that grows; what came while no watch ran is judged at the start. Works
    alone, with a queue and a worker of its own as `scan` does, or with --broker for a fleet. An
    image that is moved is judged again at its new place, and stays in the scan under its old name.
    While the folder is not mounted, or store or broker are away, it waits.

    \b
    Examples:
      scanner watch ~/Pictures
      scanner watch /photos/inbox --settle 30 --raw
      scanner watch /mnt/nas/photos --poll 300
      scanner watch /photos --broker redis://:secret@laptop:6379/0
      sudo scanner watch /photos --settle 30 --install

    Exit codes: 0 stopped by SIGTERM, 1 it cannot go on, 4 a required service is unavailable at the
    start, 130 interrupted.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    from storage.paths import shown

    folder = requested.folder
    if not isinstance(folder, Path):
        raise click.UsageError("only folders can be watched: scan a library with `scanner scan`")
    if unit is not None:
        name = requested.name or shown(os.fsencode(folder.resolve().name))
        _change_service(name, unit, ctx.meta[ARGUMENTS])
        return
    ways = _ways(notices)
    if options.broker is None:
        require_own_store(options.store)
    request = make_request(requested, uuid.uuid4().hex if options.broker is None else FLEET)
    try:
        _watch(replace(request, grows=True), options, ways)
    except _Stopped as stopped:
        if stopped.number == signal.SIGINT:
            ctx.exit(INTERRUPTED)
    ctx.exit(DONE)


def _change_service(name: str, unit: UnitOptions, arguments: list[str]) -> None:
    """Install or remove the service that watches with the same arguments, or show its unit."""
    from scanner.fleet.service import WatchService

    kept = [argument for argument in arguments if argument not in (*UnitAction, OF_USER)]
    service = WatchService(kept, unit.of_user, name)
    if unit.action is UnitAction.PRINT:
        click.echo(service.unit(), nl=False)
    elif unit.action is UnitAction.INSTALL:
        service.install()
        click.echo(f"{service.file} is enabled and started")
    else:
        service.uninstall()
        click.echo(f"{service.file} is removed")


class _Stopped(BaseException):
    """A signal to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _stop(number: int, _frame: object) -> NoReturn:
    # Once: what ends then must not be interrupted.
    for other in (signal.SIGINT, signal.SIGTERM):
        signal.signal(other, signal.SIG_IGN)
    raise _Stopped(number)


def _say(text: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {text}")


def _ways(notices: NoticeOptions) -> list[Way]:
    """Return the ways by which new findings are sent."""
    from scanner.watch import notices as sending

    ways = []
    if notices.webhook is not None:
        send = partial(sending.send_to_webhook, notices.webhook)
        ways.append(Way("webhook", notices.quiet, send))
    server = notices.server()
    if server is not None:
        ways.append(Way("mail", notices.quiet, partial(sending.send_by_mail, server)))
    return ways


def _watch(request: ScanRequest, options: WatchOptions, ways: list[Way]) -> NoReturn:
    from scanner.config import state_dir
    from scanner.fleet import producer
    from scanner.fleet.local_worker import WorkerOptions
    from scanner.follow.progress import RETRY_SECONDS
    from scanner.processes.lock import lock_file, lock_scan
    from scanner.watch.file_systems import silent_file_system
    from scanner.watch.growth import Growth
    from scanner.watch.notices import Notices
    from scanner.watch.progress import WatchProgress
    from scanner.watch.queue import open_queue
    from scanner.watch.root import Root
    from scanner.watch.watcher import POLL_SECONDS, Watcher, changes_of
    from storage.writes.scans import find_scan

    folder = request.folder
    root = os.fsencode(folder)
    worker = WorkerOptions(options.store, options.concurrency, state_dir(), roots={})
    with (
        open_store(options.store, make=True, answer_s=RETRY_SECONDS) as store,
        lock_scan(lock_file(state_dir(), store.identity, root, request.plan.digest()), root),
        open_queue(store, request, options.broker, worker, _say) as queue,
        ExitStack() as running,
    ):
        scan = producer.open_scan(store, request).scan
        queue.begin(scan)
        producer.retry_passing(store, scan)
        silent = silent_file_system(folder)
        poll = options.poll or (POLL_SECONDS if silent else None)
        how = "told of changes" if poll is None else f"looking every {poll:g} s"
        why = f", as {silent} tells of none" if silent and options.poll is None else ""
        _say(f"watching {folder} ({how}{why}) for scan {scan.scan_id} of {scan.collection}")
        progress = WatchProgress(store, scan, _say)
        for way in ways:
            sender = Notices(store, scan, way.name, way.quiet, way.send)
            running.enter_context(sender.remember(state_dir() / "sent"))

        def step() -> None:
            queue.check()
            progress.step()

        growth = Growth(store, queue, scan, request, options.settle)
        watched = Root(folder, lambda: find_scan(store, scan.scan_id).images > 0)
        watcher = Watcher(watched, growth, changes_of(folder, options.settle), _say, step)
        watcher.run(poll)
