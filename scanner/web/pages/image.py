"""The page of an image, and its previews."""

from __future__ import annotations

import os
from functools import partial
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from starlette.exceptions import HTTPException
from starlette.responses import Response

from scanner.language import gettext
from scanner.web import looked_at
from scanner.web.address import Address
from scanner.web.alike import likeness
from scanner.web.previews import NoPreview, Size, Taken, full_size
from scanner.web.site import html, reviewer_of, scan_of, site_of
from storage.reads import gallery
from storage.reads.alike import neighbourhoods
from storage.reads.order import Position, position_of
from storage.reads.selection import Selection, Sort
from storage.reads.verdicts import verdict_row
from storage.records import Outcome
from storage.writes.reviews import list_reviews

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from scanner.web.looked_at import Looked
    from scanner.web.previews import Shape
    from scanner.web.site import Site
    from storage.reads.gallery import ListedFile, Tile
    from storage.records import Finding
    from storage.writes.scans import Scan


# Images by name before an image, and after it.
NEIGHBOURS = 3
# Copies and images that look alike which are shown.
MOST_ALIKE = 28


class Neighbour(NamedTuple):
    """An image next to another by name, and how alike they are, in words."""

    tile: Tile
    likeness: str


def show(request: Request) -> Response:
    """Show an image with everything known about it."""
    site, scan, image_id = site_of(request), scan_of(request), image_id_of(request)
    listed = listed_of(site, scan, image_id)
    row = verdict_row(site.store, scan.scan_id, image_id)
    if row is None:
        raise HTTPException(404, no_image(scan, image_id))
    findings = () if row.verdict is None else row.verdict.findings
    looked = looked_of(site, scan, listed, findings)
    address = Address(request)
    is_full = bool(address.values("full"))
    shape = _shape(site, scan, listed) if is_full else None
    selection = address.selection()
    score = None if row.verdict is None else row.verdict.score
    place = position_of(listed.outcome, score, image_id)
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
        file=os.fsencode(str(site.previews.root(scan))) + b"/" + row.path,
        looked=looked,
        reviews=list_reviews(site.store, scan.scan_id, image_id),
        reviewer=reviewer_of(request),
        taken=_taken(site, scan, listed),
        neighbours=_neighbours(site, scan, image_id),
        alike=_alike(site, scan, image_id),
        page={name: next(iter(address.values(name)), None) for name in ("after", "before")},
        is_full=is_full,
        full_size=full_size(shape) if is_full and shape is not None else None,
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


def full(request: Request) -> Response:
    """Return a preview of an image at its own resolution."""
    return _preview(request, Size.FULL)


def _taken(site: Site, scan: Scan, listed: ListedFile) -> Taken:
    try:
        return site.previews.taken(scan, listed)
    except NoPreview:
        return Taken()


def _neighbours(site: Site, scan: Scan, image_id: int) -> list[Neighbour]:
    """Return the judged images before and after an image by name, with it in the middle."""
    by_name = Selection(outcomes=tuple(Outcome), sort=Sort.NAME)
    place = Position(None, image_id)
    here = gallery.read_tiles(site.store, scan, [image_id])
    tiles = [
        *gallery.page_before(site.store, scan, by_name, NEIGHBOURS, place),
        *here,
        *gallery.page(site.store, scan, by_name, NEIGHBOURS, place),
    ]
    return [
        Neighbour(tile, likeness(here[0], tile) if here and tile not in here else "")
        for tile in tiles
    ]


def _alike(site: Site, scan: Scan, image_id: int) -> list[Neighbour]:
    """Return copies of an image and images that look alike, wherever they are in the scan."""
    here = gallery.read_tiles(site.store, scan, [image_id])
    near = neighbourhoods(site.store, scan, Selection(outcomes=tuple(Outcome)), here)
    return [
        Neighbour(tile, words)
        for tiles in near
        for tile in tiles
        if tile.image_id != image_id and (words := likeness(here[0], tile))
    ][:MOST_ALIKE]


def looked_of(site: Site, scan: Scan, listed: ListedFile, findings: Sequence[Finding]) -> Looked:
    """Return what the detectors looked at in an image of a scan."""
    shape = _shape(site, scan, listed) if looked_at.has_places(findings) else None
    cards = site.cards.get(scan.scan_id, partial(looked_at.cards_of, scan.plan))
    return looked_at.looked(findings, shape, cards)


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
        '<svg xmlns="http://www.w3.org/2000/svg" width="320" height="240" viewBox="0 0 320 240" '
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
