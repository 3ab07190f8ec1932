"""The gallery, the page of an image, its previews, and exports."""

from __future__ import annotations

import os
from html import escape
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from scanner.language import gettext
from scanner.report.text.labels import EVIDENCE
from scanner.web import looked_at
from scanner.web.address import Address
from scanner.web.pages.export import FORMATS
from scanner.web.previews import NoPreview, Size
from scanner.web.site import html, reviewer_of, scan_of, site_of
from storage.reads import gallery
from storage.reads.verdicts import verdict_row
from storage.writes.reviews import list_reviews

if TYPE_CHECKING:
    from starlette.requests import Request

    from scanner.web.previews import Shape
    from scanner.web.site import Site
    from storage.reads.gallery import ListedFile
    from storage.writes.scans import Scan

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
        has_before=has_before and bool(shown_tiles),
        has_after=has_after and bool(shown_tiles),
        counts=site.monitor.live(scan.scan_id).counts,
        hosts=gallery.list_hosts(site.store, scan.scan_id),
        detectors=[planned.name for planned in scan.plan.detectors],
        evidence_kinds=list(EVIDENCE),
        formats=FORMATS,
    )


def image(request: Request) -> Response:
    """Show an image with everything known about it."""
    site, scan, image_id = site_of(request), scan_of(request), image_id_of(request)
    listed = listed_of(site, scan, image_id)
    row = verdict_row(site.store, scan.scan_id, image_id)
    if row is None:
        raise HTTPException(404, no_image(scan, image_id))
    findings = () if row.verdict is None else row.verdict.findings
    shape = _shape(site, scan, listed) if looked_at.has_places(findings) else None
    cards = looked_at.cards_of(scan.plan)
    selection = Address(request).selection()
    score = None if row.verdict is None else row.verdict.score
    place = gallery.position_of(listed.outcome, score, image_id)
    before = gallery.page_before(site.store, scan, selection, 1, place)
    following = gallery.page(site.store, scan, selection, 1, place)
    folder, slash, _ = row.path.rpartition(b"/")
    return html(
        "image.html",
        scan=scan,
        row=row,
        thresholds=scan.plan.thresholds(),
        listed=listed,
        folder=folder if slash else b"",
        file=os.fsencode(site.previews.root(scan)) + b"/" + row.path,
        boxes=looked_at.boxes(findings, shape, cards) if shape else (),
        size=shape.upright if shape else None,
        further_views=[looked_at.further_views(finding, shape, cards) for finding in findings],
        reviews=list_reviews(site.store, scan.scan_id, image_id),
        reviewer=reviewer_of(request),
        selection=selection,
        before=before[0] if before else None,
        following=following[0] if following else None,
    )


def thumbnail(request: Request) -> Response:
    """Return a thumbnail of an image."""
    return _preview(request, Size.THUMBNAIL)


def large(request: Request) -> Response:
    """Return a large preview of an image."""
    return _preview(request, Size.LARGE)


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


def _shape(site: Site, scan: Scan, listed: ListedFile) -> Shape | None:
    try:
        return site.previews.shape(scan, listed)
    except NoPreview:
        return None


def _preview(request: Request, size: Size) -> Response:
    site, scan = site_of(request), scan_of(request)
    listed = listed_of(site, scan, image_id_of(request))
    etag = f'"{(listed.digest or b"-").hex()}-{size.name.lower()}"'
    # Revalidated soon: after a repair the same URL has another preview.
    headers = {"cache-control": "private, max-age=60", "etag": etag}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    try:
        data = site.previews.get(scan, listed, size)
    except NoPreview as error:
        return _placeholder(str(error))
    png = data.startswith(b"\x89PNG")
    return Response(data, media_type="image/png" if png else "image/jpeg", headers=headers)


def _placeholder(reason: str) -> Response:
    """Return an image with the reason why there is no preview; browsers show it despite the 404."""
    words = reason.split(" ")
    half = -(-len(words) // 2)
    rows = [" ".join(words[:half]), " ".join(words[half:])]
    texts = "".join(
        f'<text x="160" y="{110 + 24 * n}" text-anchor="middle">{escape(row)}</text>'
        for n, row in enumerate(rows)
    )
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 240" '
        # Legible on light and on dark pages.
        'font-family="sans-serif" font-size="17" fill="#fff">'
        f'<rect width="320" height="240" fill="#63676d"/>{texts}</svg>'
    )
    return Response(svg, 404, media_type="image/svg+xml")


def image_id_of(request: Request) -> int:
    """Return the number of an image in a request's path."""
    # Stores hold no larger number.
    return min(int(request.path_params["image"]), 2**63 - 1)


def no_image(scan: Scan, image_id: int) -> str:
    """Return that a scan has no such image."""
    return gettext("Image not found: scan {scan} has no image {image}.").format(
        scan=scan.scan_id, image=image_id
    )


def listed_of(site: Site, scan: Scan, image_id: int) -> ListedFile:
    """Return an image as its scan listed it; raises HTTPException (404) where there is none."""
    listed = gallery.find_image(site.store, scan.scan_id, image_id)
    if listed is None:
        raise HTTPException(404, no_image(scan, image_id))
    return listed
