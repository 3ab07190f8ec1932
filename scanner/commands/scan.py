"""`scanner scan`: enqueue, work, watch and report, on this machine alone."""

from __future__ import annotations

import os
import signal
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from scanner.exits import DONE, INCOMPLETE, Failed, Unavailable
from scanner.options import json_option, open_store, root_option, store_option
from scanner.requests import make_request, request_options
from workers.settings import FLEET

if TYPE_CHECKING:
    from scanner.producer import Request
    from storage.scans import Scan
    from storage.store import Store


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
@click.option(
    "--concurrency",
    type=click.IntRange(1),
    default=lambda: os.cpu_count() or 1,
    show_default="the number of cores",
    help="Processes that judge images.",
)
@root_option
@json_option
@click.pass_context
def command(ctx: click.Context, *, asked: dict[str, Any], as_json: bool, **given: Any) -> None:  # noqa: ANN401
    r"""Scan FOLDER on this machine: list, judge, report.

    Needs nothing else running. Ctrl-C stops it after the images at work; the same command goes on
    from there. A finished scan is scanned again with the verdicts of unchanged images kept.

    \b
    Examples:
      scanner scan ~/Pictures
      scanner scan ~/Pictures --exclude 'raw/**' --name home
      scanner scan ~/Pictures --retry-errors
      scanner scan test-set --labels-from-folders --json > figures.json

    Exit codes: 0 done, 3 done but some images could not be read, 4 a service is not there,
    130 interrupted.
    """
    # A service manager's stop is a Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A broker of one's own has a keeper of one's own; a named one is looked after by its fleet's.
    name = uuid.uuid4().hex if given["broker"] is None else FLEET
    request = make_request(asked, name)
    with open_store(given["store"]) as store:
        scan = _run(store, request, given)
        counts = _print_report(store, scan, as_json=as_json)
    ctx.exit(INCOMPLETE if counts else DONE)


def _run(store: Store, request: Request, given: dict[str, Any]) -> Scan:
    """Do the whole scan; what it was started for is stopped again, however it ends."""
    from scanner import local, producer  # noqa: PLC0415 - heavy
    from scanner.config import state_dir  # noqa: PLC0415
    from scanner.embedded import EmbeddedServerError  # noqa: PLC0415
    from scanner.lock import AlreadyRunning, only_one  # noqa: PLC0415
    from scanner.progress import Follower  # noqa: PLC0415
    from scanner.walk import WalkError  # noqa: PLC0415

    try:
        with ExitStack() as stack:
            opened = producer.open_scan(store, request)
            scan_id = opened.scan.scan_id
            stack.enter_context(only_one(state_dir(), given["store"], scan_id))
            broker = stack.enter_context(local.own_broker(given["broker"], state_dir()))
            stack.enter_context(local.keeper(store, broker, request.broker))
            options = local.WorkerOptions(
                given["store"], given["concurrency"], state_dir(), given["roots"]
            )
            worker = stack.enter_context(local.local_worker(broker, options))
            follower = stack.enter_context(Follower(store, scan_id))
            producer.enqueue(store, broker.app, opened, request, follower.update)
            return follower.follow(worker.check).scan
    except EmbeddedServerError as error:
        raise Unavailable(str(error)) from error
    except (WalkError, AlreadyRunning, local.WorkerGone) as error:
        raise Failed(str(error)) from error


def _print_report(store: Store, scan: Scan, *, as_json: bool) -> int:
    """Print the report; how many images could not be read."""
    from scanner.report.output import print_report  # noqa: PLC0415

    return print_report(store, scan, as_json=as_json).counts.error
