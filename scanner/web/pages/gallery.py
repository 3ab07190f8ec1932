"""The gallery, and exports of what it shows."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, StreamingResponse

from scanner.language import gettext, marked
from scanner.report.text.labels import EVIDENCE
from scanner.web.address import Address
from scanner.web.pages.export import FORMATS, read_selected
from scanner.web.paging import Pager
from scanner.web.site import html, reviewer_of, scan_of, site_of
from storage.paths import shown
from storage.reads import gallery
from storage.reads.choices import read_choices
from storage.reads.folders import subfolders
from storage.reads.names import suggestions
from storage.reads.selection import Sort
from storage.reads.verdicts import read_verdicts
from storage.records import Outcome
from storage.writes.reviews import read_last_answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request
    from starlette.responses import Response

    from scanner.web.site import Site
    from storage.reads.gallery import Tile
    from storage.reads.selection import Selection
    from storage.writes.scans import Scan

PAGE_TILES = 60
# Images with other verdicts that are counted.
MAX_HIDDEN = 1_000
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
    pager = Pager(site.store, scan, selection, PAGE_TILES)
    page = pager.page(address.place("after"), address.place("before"))
    first_ids = [group[0].image_id for group in page.groups]
    reviewer, is_answered = reviewer_of(request), bool(address.values("answered"))
    return html(
        "gallery.html",
        scan=scan,
        way=_way(selection.folder),
        subfolders=subfolders(site.store, scan.collection_id, selection.folder),
        selection=selection,
        page=page,
        place={name: next(iter(address.values(name)), None) for name in ("after", "before")},
        hidden=_hidden(site, scan, selection) if selection.name or not page.groups else 0,
        most_hidden=MAX_HIDDEN,
        verdicts=read_verdicts(site.store, scan.scan_id, first_ids),
        thresholds=scan.plan.thresholds(),
        counts=site.monitor.live(scan.scan_id).counts,
        hosts=gallery.list_hosts(site.store, scan.scan_id),
        detectors=[planned.name for planned in scan.plan.detectors],
        evidence_kinds=list(EVIDENCE),
        choices=site.choices.get(scan.scan_id, lambda: read_choices(site.store, scan.scan_id)),
        sorts=SORTS,
        formats=FORMATS,
        reviewer=reviewer,
        last=read_last_answer(site.store, scan.scan_id, reviewer) if is_answered else None,
    )


def _hidden(site: Site, scan: Scan, selection: Selection) -> int:
    """Return how many images only the filter of verdicts hides, MAX_HIDDEN + 1 at most."""
    if selection.error is not None:
        return 0
    others = tuple(outcome for outcome in Outcome if outcome not in selection.outcomes)
    wanted = replace(selection, outcomes=others)
    return len(gallery.selected_images(site.store, scan, wanted, MAX_HIDDEN + 1)) if others else 0


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


def export(request: Request) -> Response:
    """Return a selection as a file in the given format."""
    site, scan, address = site_of(request), scan_of(request), Address(request)
    selected_images = gallery.iterate(site.store, scan, address.selection())
    return exported(site, scan, next(iter(address.values("form")), ""), selected_images)


def exported(site: Site, scan: Scan, form: str, tiles: Iterable[Tile]) -> Response:
    """Return images as a file in a format."""
    chosen = FORMATS.get(form)
    if chosen is None:
        raise HTTPException(
            400,
            gettext("Invalid export format: expected {names}.").format(names=", ".join(FORMATS)),
        )
    file = f"scan-{scan.scan_id}-{chosen.file}"
    root = os.fsencode(str(site.previews.root(scan)))
    return StreamingResponse(
        chosen.write(read_selected(site.store, scan.scan_id, tiles), root),
        media_type=chosen.media_type,
        headers={"content-disposition": f'attachment; filename="{file}"'},
    )
