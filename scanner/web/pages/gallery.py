"""The gallery, and exports of what it shows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from scanner.language import gettext
from scanner.report.text.labels import EVIDENCE
from scanner.web.address import Address
from scanner.web.pages.export import FORMATS
from scanner.web.site import html, scan_of, site_of
from storage.reads import gallery
from storage.reads.verdicts import read_verdicts

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

PAGE_TILES = 60


def tiles(request: Request) -> Response:
    """Show a page of the gallery."""
    site, scan, address = site_of(request), scan_of(request), Address(request)
    selection = address.selection()
    before, after = address.place("before"), address.place("after")
    # One more than is shown tells whether another page follows.
    if before is not None:
        found = gallery.page_before(site.store, scan, selection, PAGE_TILES + 1, before)
        shown_tiles, has_before, has_after = found[-PAGE_TILES:], len(found) > PAGE_TILES, True
    else:
        found = gallery.page(site.store, scan, selection, PAGE_TILES + 1, after)
        shown_tiles, has_before = found[:PAGE_TILES], after is not None
        has_after = len(found) > PAGE_TILES
    return html(
        "gallery.html",
        scan=scan,
        selection=selection,
        tiles=shown_tiles,
        verdicts=read_verdicts(site.store, scan.scan_id, [tile.image_id for tile in shown_tiles]),
        thresholds=scan.plan.thresholds(),
        has_before=has_before and bool(shown_tiles),
        has_after=has_after and bool(shown_tiles),
        counts=site.monitor.live(scan.scan_id).counts,
        hosts=gallery.list_hosts(site.store, scan.scan_id),
        detectors=[planned.name for planned in scan.plan.detectors],
        evidence_kinds=list(EVIDENCE),
        formats=FORMATS,
    )


def export(request: Request) -> Response:
    """Return a selection as a file in the given format."""
    site, scan, address = site_of(request), scan_of(request), Address(request)
    chosen = FORMATS.get(next(iter(address.values("form")), ""))
    if chosen is None:
        raise HTTPException(
            400,
            gettext("Invalid export format: expected {names}.").format(names=", ".join(FORMATS)),
        )
    selected = gallery.iterate(site.store, scan, address.selection())
    file = f"scan-{scan.scan_id}-{chosen.file}"
    root = os.fsencode(site.previews.root(scan))
    return StreamingResponse(
        chosen.write(selected, root),
        media_type=chosen.media_type,
        headers={"content-disposition": f'attachment; filename="{file}"'},
    )
