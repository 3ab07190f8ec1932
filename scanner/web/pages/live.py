"""The live page, the list of scans, and the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from scanner.follow.phase import IDLE_SECONDS
from scanner.language import gettext
from scanner.report.figures.phase import Phase
from scanner.report.text import labels, sentences
from scanner.report.text.scan_list import listed_scans
from scanner.web.monitor import REFRESH_SECONDS
from scanner.web.pages import steer
from scanner.web.pages.metrics import MAX_SCANS, metrics
from scanner.web.site import html, rendered, scan_of, site_of
from storage.errors import StoreError
from storage.writes.scans import UNFINISHED, list_scans

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from scanner.web.monitor import LiveStatus
    from scanner.web.site import Site

# Milliseconds until a browser reconnects after its stream has ended.
RETRY_MS = 3_000


def home(request: Request) -> Response:
    """Redirect to the latest scan, or to the page that starts the first one."""
    scans = list_scans(site_of(request).store)
    if not scans:
        return RedirectResponse("/start", 303)
    return RedirectResponse(f"/scan/{scans[0].scan_id}", 303)


def scans(request: Request) -> Response:
    """List every scan of the store."""
    site = site_of(request)
    return html("scans.html", listed=listed_scans(site.store, site.monitor.phase))


def live(request: Request) -> Response:
    """Show the current state of a scan; without JavaScript it stays as it is."""
    scan = scan_of(request)
    status = site_of(request).monitor.live(scan.scan_id)
    site = site_of(request)
    return html("live.html", is_settled=_is_settled(site, status), **_values(site, status))


def events(request: Request) -> Response:
    """Send the state of a scan repeatedly, as server-sent events."""
    scan = scan_of(request)
    return StreamingResponse(
        _events(site_of(request), scan.scan_id), media_type="text/event-stream"
    )


async def _events(site: Site, scan_id: int) -> AsyncIterator[str]:
    yield f"retry: {RETRY_MS}\n\n"
    before: tuple[LiveStatus, bool] | None = None
    while True:
        try:
            status = await run_in_threadpool(site.monitor.live, scan_id)
        except StoreError:
            # The browser reconnects, and gets an error page then.
            return
        is_settled = _is_settled(site, status)
        if before is None or status is not before[0] or is_settled is not before[1]:
            before = status, is_settled
            part = rendered("live_part.html", **_values(site, status))
            lines = "".join(f"data: {line}\n" for line in part.splitlines())
            yield f"event: {'over' if is_settled else 'live'}\n{lines}\n"
        if is_settled:
            return
        await anyio.sleep(REFRESH_SECONDS)


def _is_settled(site: Site, status: LiveStatus) -> bool:
    """Return whether nothing on the page will change: the scan is over, and so is its process.

    While the process runs, the scan cannot be started again.
    """
    return status.is_over and not steer.is_running_here(site, status.scan.scan_id)


def _values(site: Site, status: LiveStatus) -> dict[str, Any]:
    """Return the values of the live page and of its part that changes."""
    return {
        "scan": status.scan,
        "live": status,
        "phase": phase(status),
        "is_stopped": status.phase in (Phase.PAUSED, Phase.INTERRUPTED),
        "nothing": _nothing(status),
        "controls": steer.controls(site, status),
        "note": steer.note(site, status),
    }


def _nothing(status: LiveStatus) -> str:
    """Return that a scan has no images, once that is known; empty where it has some."""
    if status.counts.images or status.scan.listed_at is None:
        return ""
    text = sentences.nothing(status.scan)
    return text[:1].upper() + text[1:]


def phase(status: LiveStatus) -> str:
    """Return the phase of a scan in a sentence."""
    is_listed = status.scan.listed_at is not None
    is_new = status.at - status.scan.created_at < IDLE_SECONDS
    match status.phase:
        case Phase.RUNNING | Phase.WAITING if is_new and not status.counts.judged:
            return gettext("This scan is starting.")
        case Phase.RUNNING if is_listed:
            return gettext("This scan is running.")
        case Phase.RUNNING:
            return gettext("This scan is running, while its folder is being listed.")
        case Phase.WAITING:
            return gettext("This scan is waiting for workers: start one with `scanner worker`.")
        case Phase.INTERRUPTED:
            return gettext(
                "This scan was interrupted: scan its folder again, with the same options, to go on."
            )
        case _:
            return gettext("This scan is {state}.").format(state=labels.state(status.phase))


def health(request: Request) -> Response:
    """Answer a health check: 200 where the store answers, 503 where it does not."""
    try:
        list_scans(site_of(request).store, collection_id=0)  # of no collection: the cheapest
    except StoreError:
        return PlainTextResponse("The store is not available.\n", 503)
    return PlainTextResponse("ok\n")


def prometheus(request: Request) -> Response:
    """Return the metrics of the unfinished scans and of the latest one, for Prometheus."""
    site = site_of(request)
    listed = list_scans(site.store)
    wanted = [scan.scan_id for n, scan in enumerate(listed) if n == 0 or scan.state == UNFINISHED]
    statuses = [site.monitor.live(scan_id) for scan_id in wanted[:MAX_SCANS]]
    return Response(
        metrics(statuses, site.monitor.queue()),
        media_type="text/plain; version=0.0.4; charset=utf-8",
    )
