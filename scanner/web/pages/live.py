"""The live page, the list of scans, and the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response, StreamingResponse

from scanner.report.text.scan_list import listed_scans
from scanner.web.pages.metrics import MAX_SCANS, metrics
from scanner.web.site import html, message, rendered, scan_of, site_of
from scanner.web.watch import LOOK_SECONDS
from storage.errors import StoreError
from storage.writes.scans import UNFINISHED, list_scans

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from scanner.web.site import Site
    from scanner.web.watch import Live

# Milliseconds until a browser asks again whose stream has ended.
RETRY_MS = 3_000


def home(request: Request) -> Response:
    """The latest scan."""
    scans = list_scans(site_of(request).store)
    if not scans:
        return message("No scan yet", "Begin one with: scanner scan FOLDER")
    return RedirectResponse(f"/scan/{scans[0].scan_id}", 303)


def scans(request: Request) -> Response:
    """Every scan of the store."""
    return html("scans.html", listed=listed_scans(site_of(request).store))


def live(request: Request) -> Response:
    """How a scan goes on; as it was found, for those without JavaScript."""
    scan = scan_of(request)
    seen = site_of(request).watch.live(scan.scan_id)
    return html("live.html", scan=scan, live=seen, phase=phase(seen))


def events(request: Request) -> Response:
    """The same, again and again, as server-sent events."""
    scan = scan_of(request)
    return StreamingResponse(
        _events(site_of(request), scan.scan_id), media_type="text/event-stream"
    )


async def _events(site: Site, scan_id: int) -> AsyncIterator[str]:
    yield f"retry: {RETRY_MS}\n\n"
    before = None
    while True:
        try:
            seen = await run_in_threadpool(site.watch.live, scan_id)
        except StoreError:
            # The browser asks again, and is told then.
            return
        if seen is not before:
            before = seen
            part = rendered("live_part.html", scan=seen.scan, live=seen, phase=phase(seen))
            lines = "".join(f"data: {line}\n" for line in part.splitlines())
            yield f"event: {'over' if seen.look.is_over else 'live'}\n{lines}\n"
        if seen.look.is_over:
            return
        await anyio.sleep(LOOK_SECONDS)


def phase(seen: Live) -> str:
    """What a scan is at, in words."""
    if seen.look.is_over:
        return seen.scan.state
    listing = ", while its folder is still being listed" if seen.scan.listed_at is None else ""
    if seen.images_per_second:
        return f"being judged{listing}"
    return f"waiting: nobody has judged anything for a while{listing}"


def prometheus(request: Request) -> Response:
    """The figures of the scans that are not over, and of the latest one."""
    site = site_of(request)
    listed = list_scans(site.store)
    wanted = [one.scan_id for n, one in enumerate(listed) if n == 0 or one.state == UNFINISHED]
    lives = [site.watch.live(scan_id) for scan_id in wanted[:MAX_SCANS]]
    return Response(
        metrics(lives, site.watch.queue()),
        media_type="text/plain; version=0.0.4; charset=utf-8",
    )
