"""The gallery, and exports of what it shows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, StreamingResponse

from scanner.language import gettext, marked
from scanner.report.text.labels import EVIDENCE
from scanner.web.address import Address
from scanner.web.pages.export import FORMATS
from scanner.web.site import html, scan_of, site_of
from storage.paths import shown
from storage.reads import gallery
from storage.reads.choices import read_choices
from storage.reads.names import suggestions
from storage.reads.selection import Sort
from storage.reads.verdicts import read_verdicts

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

PAGE_TILES = 60
SORTS = {
    Sort.SCORE: marked("score"),
    Sort.NAME: marked("name"),
    Sort.TAKEN: marked("date taken"),
    Sort.CHANGED: marked("date changed"),
    Sort.SIZE: marked("size"),
}


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
        choices=site.choices.get(scan.scan_id, lambda: read_choices(site.store, scan.scan_id)),
        sorts=SORTS,
        formats=FORMATS,
    )


def suggest(request: Request) -> Response:
    """Return folders and names that have what was typed, as JSON; with `folders`, these alone."""
    site, scan, address = site_of(request), scan_of(request), Address(request)
    typed = os.fsencode(address.value("typed", str) or "").replace(b"\0", b"")
    paths = suggestions(
        site.store, scan.collection_id, typed, folders_only=bool(address.values("folders"))
    )
    # A name with bytes or characters that would be escaped cannot be typed.
    return JSONResponse([shown(path) for path in paths if shown(path).encode() == path])


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
