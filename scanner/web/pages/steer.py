"""Pause, resume, cancel and repeat a scan, and draw a sample of it."""

from __future__ import annotations

import os
import secrets
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from scanner.detectors.plan import plan_for
from scanner.fleet.broker import open_broker
from scanner.fleet.producer import ScanRequest
from scanner.follow.phase import lock_of
from scanner.language import gettext
from scanner.listing.libraries import find_library
from scanner.listing.walk import WalkOptions
from scanner.processes.lock import mark_paused
from scanner.web.folders import is_below
from scanner.web.forms import read_form
from scanner.web.pages.start import started
from scanner.web.site import html, message, scan_of, site_of
from storage.errors import ScannerError, StoreError, StoreUnavailable
from storage.records import PROVENANCE
from storage.writes import samples, scans
from workers.broker import heartbeat
from workers.settings import FLEET

if TYPE_CHECKING:
    from starlette.requests import Request

    from scanner.web.monitor import LiveStatus
    from scanner.web.site import Site
    from storage.writes.scans import Scan

MAX_SAMPLE = 100_000


class Control(NamedTuple):
    """A button of the live page: what it asks for, and what it says."""

    action: str
    name: str


def is_running_here(site: Site, scan_id: int) -> bool:
    """Return whether a process that was started from the pages works on a scan."""
    run = site.runs.of(scan_id)
    return run is not None and run.is_running


def controls(site: Site, status: LiveStatus) -> list[Control]:
    """Return what can be done with a scan now."""
    scan, run = status.scan, site.runs.of(status.scan.scan_id)
    is_running = run is not None and run.is_running
    offered = []
    if run is not None and is_running and not (run.is_paused or status.is_over):
        offered.append(Control("pause", gettext("Pause")))
    if _can_start(site, scan) and not is_running:
        if scan.finished_at is None:
            offered.append(Control("resume", gettext("Resume")))
        else:
            offered.append(Control("again", gettext("Scan what is new or changed")))
            offered.append(Control("rescan", gettext("Judge everything again")))
            if status.counts.error:
                offered.append(Control("retry", gettext("Retry the errors")))
    return offered


def note(site: Site, status: LiveStatus) -> str:
    """Return what became of the process that ran a scan here; empty if there is nothing to say."""
    run = site.runs.of(status.scan.scan_id)
    if run is None or status.is_over:
        return ""
    if run.is_paused:
        return gettext("Paused.") if not run.is_running else gettext("Pausing …")
    return run.trouble()


async def pause(request: Request) -> Response:
    """Stop the scan that runs here after the images at work."""
    await read_form(request)
    scan = await run_in_threadpool(scan_of, request)
    run = site_of(request).runs.of(scan.scan_id)
    if run is None or not run.is_running:
        return message(
            gettext("Not paused"),
            gettext("This scan does not run on this server: pause it where it was started."),
            409,
        )
    if scan.owner != FLEET:
        mark_paused(lock_of(site_of(request).store, scan))
    run.pause()
    site_of(request).monitor.forget(scan.scan_id)
    return RedirectResponse(f"/scan/{scan.scan_id}", 303)


async def start_again(request: Request) -> Response:
    """Resume a scan, or scan its folder again."""
    await read_form(request)
    return await run_in_threadpool(_start_again, request)


def _start_again(request: Request) -> Response:
    site, scan = site_of(request), scan_of(request)
    if not _can_start(site, scan):
        return message(
            gettext("The scan was not started"),
            gettext(
                "Its folder is not below the server's roots: start it as before, or name it with "
                "`scanner serve --root`."
            ),
            409,
        )
    action = request.url.path.rpartition("/")[2]
    is_resumed = action == "resume" and scan.finished_at is None
    if is_resumed and scan.owner == FLEET and scan.listed_at is not None:
        return started(site, [], resume=scan.scan_id)
    options = _options(scan)
    if options is None and is_resumed:
        return message(
            gettext("The scan was not started"),
            gettext(
                "It was started with options that the pages do not have: run the same command "
                "again."
            ),
            409,
        )
    more = {"rescan": ["--rescan"], "retry": ["--retry-errors"]}.get(action, [])
    name = f"--name={scan.collection}"
    return started(site, [os.fsdecode(scan.root), name, *(options or []), *more])


def ask_cancel(request: Request) -> Response:
    """Ask whether to cancel a scan."""
    scan = scan_of(request)
    if scan.finished_at is not None or scan.cancelled_at is not None:
        return RedirectResponse(f"/scan/{scan.scan_id}", 303)
    return html("cancel.html", scan=scan)


async def cancel(request: Request) -> Response:
    """Cancel a scan."""
    await read_form(request)
    return await run_in_threadpool(_cancel, request)


def _cancel(request: Request) -> Response:
    site, scan = site_of(request), scan_of(request)
    if scan.finished_at is None:
        # The store first: it outlasts the broker, and no worker starts a batch from now on.
        scans.cancel(site.store, scan.scan_id)
        site.monitor.forget(scan.scan_id)
        if scan.owner == FLEET:
            try:
                with open_broker(site.monitor.broker_url, site.store.identity) as queue:
                    heartbeat.cancel(queue.namespace, scan.scan_id)
            except StoreUnavailable:
                raise
            except ScannerError:
                return message(
                    gettext("Cancelled"),
                    gettext(
                        "The queue does not answer: workers end the batches that they have begun."
                    ),
                )
    return RedirectResponse(f"/scan/{scan.scan_id}", 303)


async def sample(request: Request) -> Response:
    """Draw a random sample, and begin its review."""
    form = await read_form(request)
    return await run_in_threadpool(_sample, request, form.get("size", ""))


def _sample(request: Request, typed: str) -> Response:
    site, scan = site_of(request), scan_of(request)
    size = int(typed) if typed.isascii() and typed.isdigit() and len(typed) <= 6 else 0  # noqa: PLR2004
    if not 1 <= size <= MAX_SAMPLE:
        text = gettext("Invalid number of images: expected {low} to {high}.")
        return message(gettext("No sample"), text.format(low=1, high=f"{MAX_SAMPLE:,}"), 400)
    try:
        samples.draw_sample(site.store, scan.scan_id, size, secrets.randbits(31))
    except StoreUnavailable:
        raise
    except StoreError as error:
        return message(gettext("No sample"), f"{error}.", 409)
    return RedirectResponse(f"/scan/{scan.scan_id}/review?sample=1", 303)


def _can_start(site: Site, scan: Scan) -> bool:
    return site.runs.can_start and is_below(site.roots, scan.root)


def _options(scan: Scan) -> list[str] | None:
    """Return the options by which `scanner scan` continues a scan; None if others were used."""
    for detectors in (None, PROVENANCE, ",".join(sorted(scan.plan.names()))):
        try:
            plan = plan_for(detectors)
        except ScannerError:
            continue
        if plan.digest() != scan.plan.digest():
            continue
        options = [] if detectors is None else [f"--detectors={detectors}"]
        root = Path(os.fsdecode(scan.root))
        walk = WalkOptions(library=find_library(root) is not None)
        request = ScanRequest(root, scan.collection, plan, scan.owner, walk)
        if request.choices() == scan.choices:
            return options
        if replace(request, label=lambda _path: None).choices() == scan.choices:
            return [*options, "--labels-from-folders"]
    return None
