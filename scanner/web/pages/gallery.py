"""The gallery, and exports of what it shows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, StreamingResponse

from scanner.language import gettext, marked
from scanner.report.text.labels import EVIDENCE
from scanner.web.address import Address, row_id
from scanner.web.alike import grouped
from scanner.web.forms import read_pairs
from scanner.web.guard import came_from
from scanner.web.pages.export import FORMATS
from scanner.web.site import html, reviewer_of, scan_of, site_of
from storage.errors import NotFound
from storage.paths import shown
from storage.reads import gallery
from storage.reads.choices import read_choices
from storage.reads.folders import subfolders
from storage.reads.names import suggestions
from storage.reads.selection import Sort
from storage.reads.verdicts import read_verdicts
from storage.writes.reviews import Answer, record_answers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request
    from starlette.responses import Response

    from scanner.web.site import Site
    from storage.reads.gallery import Tile
    from storage.writes.scans import Scan

PAGE_TILES = 60
# Images that are answered or exported at once: more than a page has.
MAX_CHOSEN = 500
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
    ids = [tile.image_id for tile in shown_tiles]
    verdicts = read_verdicts(site.store, scan.scan_id, ids)
    is_grouped = bool(address.values("group"))
    return html(
        "gallery.html",
        scan=scan,
        is_grouped=is_grouped,
        way=_way(selection.folder),
        subfolders=subfolders(site.store, scan.collection_id, selection.folder),
        groups=grouped(shown_tiles, verdicts) if is_grouped else [[one] for one in shown_tiles],
        selection=selection,
        tiles=shown_tiles,
        verdicts=verdicts,
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
        reviewer=reviewer_of(request),
    )


def _way(folder: bytes) -> list[bytes]:
    """Return the folders that lead to a folder, with it at the end."""
    parts = folder.split(b"/") if folder else []
    return [b"/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]


def suggest(request: Request) -> Response:
    """Return folders and names that have what was typed, as JSON; with `folders`, these alone."""
    site, scan, address = site_of(request), scan_of(request), Address(request)
    typed = os.fsencode(address.value("typed", str) or "").replace(b"\0", b"")
    paths = suggestions(
        site.store, scan.collection_id, typed, folders_only=bool(address.values("folders"))
    )
    # A name with bytes or characters that would be escaped cannot be typed.
    return JSONResponse([shown(path) for path in paths if shown(path).encode() == path])


async def selected(request: Request) -> Response:
    """Answer the chosen images of a page at once, or export them."""
    return await run_in_threadpool(_selected, request, await read_pairs(request))


def _selected(request: Request, pairs: list[tuple[str, str]]) -> Response:
    site, scan, form = site_of(request), scan_of(request), dict(pairs)
    try:
        images = [row_id(value) for name, value in pairs if name == "image"][:MAX_CHOSEN]
        answer = Answer(form["answer"]) if "answer" in form else None
    except ValueError as error:
        raise HTTPException(400, gettext("Unknown answer.")) from error
    if not images:
        raise HTTPException(400, gettext("Select images first."))
    if answer is None:
        tiles = gallery.read_tiles(site.store, scan, images)
        return _exported(site, scan, form.get("form", ""), tiles)
    reviewer = reviewer_of(request)
    if not reviewer:
        raise HTTPException(400, gettext("Enter your name first."))
    try:
        record_answers(site.store, scan.scan_id, images, answer, reviewer)
    except NotFound as error:
        raise HTTPException(404, str(error)) from error
    return RedirectResponse(came_from(request), 303)


def export(request: Request) -> Response:
    """Return a selection as a file in the given format."""
    site, scan, address = site_of(request), scan_of(request), Address(request)
    selected_images = gallery.iterate(site.store, scan, address.selection())
    return _exported(site, scan, next(iter(address.values("form")), ""), selected_images)


def _exported(site: Site, scan: Scan, form: str, tiles: Iterable[Tile]) -> Response:
    chosen = FORMATS.get(form)
    if chosen is None:
        raise HTTPException(
            400,
            gettext("Invalid export format: expected {names}.").format(names=", ".join(FORMATS)),
        )
    file = f"scan-{scan.scan_id}-{chosen.file}"
    root = os.fsencode(str(site.previews.root(scan)))
    return StreamingResponse(
        chosen.write(tiles, root),
        media_type=chosen.media_type,
        headers={"content-disposition": f'attachment; filename="{file}"'},
    )
