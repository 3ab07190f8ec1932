"""The page with the map of a detector's score over an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from starlette.exceptions import HTTPException

from scanner.language import gettext, ngettext
from scanner.report.text import labels
from scanner.web.address import Address
from scanner.web.looked_at import CROPS, cards_of, further_views
from scanner.web.pages.image import image_id_of, listed_of, no_image
from scanner.web.previews import NoPreview
from scanner.web.score_maps import Busy, cached_map
from scanner.web.site import html, scan_of, site_of
from storage.reads.verdicts import verdict_row
from workers.pipeline.decide import context_ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from scanner.web.previews import Shape
    from scanner.web.site import Site
    from storage.reads.gallery import ListedFile
    from storage.records import Finding, Thresholds
    from storage.writes.scans import Scan
    from workers.detectors.card import Card
    from workers.pipeline.score_map import Square

# Colours of a map, each for the same range of scores.
SHADES = 5


class Field(NamedTuple):
    """A coloured part of a map, in pixels of the upright image."""

    left: float
    top: float
    width: float
    height: float
    score: float
    shade: int
    is_flagged: bool


class ScoreMap(NamedTuple):
    """What the page shows of a map."""

    finding: Finding
    card: Card
    shape: Shape
    fields: list[Field]
    unsure: float
    further_views: str


def show(request: Request) -> Response:
    """Show the map of the detector `by`, else of the first with crops, or why there is none."""
    site, scan, image_id = site_of(request), scan_of(request), image_id_of(request)
    listed, address = listed_of(site, scan, image_id), Address(request)
    row = verdict_row(site.store, scan.scan_id, image_id)
    if row is None:
        raise HTTPException(404, no_image(scan, image_id))
    findings = () if row.verdict is None else row.verdict.findings
    score_map, reason, status = None, "", 200
    try:
        score_map = _map(site, scan, listed, findings, address.values("by"))
    except NoPreview as error:
        reason, status = str(error), 503 if isinstance(error, Busy) else 404
    return html(
        "map.html",
        status,
        scan=scan,
        row=row,
        map=score_map,
        summary="" if score_map is None else _summary(score_map.fields),
        reason=reason,
        shades=SHADES,
        selection=address.selection(),
    )


def _map(
    site: Site, scan: Scan, listed: ListedFile, findings: Sequence[Finding], names: Sequence[str]
) -> ScoreMap:
    """Return a map; NoPreview where there is none."""
    of_crops = [
        finding
        for finding in findings
        if CROPS in finding.detail and (not names or finding.detector in names)
    ]
    if not of_crops:
        raise NoPreview(gettext("no detector of this scan looked at crops of this image"))
    finding, cards = of_crops[0], cards_of(scan.plan)
    card = cards.get(finding.detector)
    if card is None:
        raise NoPreview(
            gettext("this machine has another version of {name} than the scan").format(
                name=finding.detector
            )
        )
    shape = site.previews.shape(scan, listed)
    squares = cached_map(site.previews, scan, listed, card)
    if not squares:
        raise NoPreview(gettext("the image is too large"))
    thresholds = scan.plan.thresholds()[card.name].moved(context_ratio(findings))
    fields = [_field(square, shape, thresholds) for square in squares]
    views = further_views(finding, shape, cards)
    return ScoreMap(finding, card, shape, fields, thresholds.unsure, views)


def _field(square: Square, shape: Shape, thresholds: Thresholds) -> Field:
    left, top, right, bottom = shape.to_upright(square.box)
    shade = min(int(square.score * SHADES), SHADES - 1)
    flagged = square.score >= thresholds.unsure
    return Field(left, top, right - left, bottom - top, square.score, shade, flagged)


def _summary(fields: Sequence[Field]) -> str:
    """Return in words what a map shows, for those who do not see it."""
    scores = sorted(field.score for field in fields)
    flagged = sum(field.is_flagged for field in fields)
    return ngettext(
        "{number} square, scores from {low} to {high}, median {median}; {flagged} at or above the "
        "unsure threshold",
        "{number} squares, scores from {low} to {high}, median {median}; {flagged} at or above the "
        "unsure threshold",
        len(fields),
    ).format(
        number=len(fields),
        low=labels.score(scores[0]),
        high=labels.score(scores[-1]),
        median=labels.score(scores[len(scores) // 2]),
        flagged=flagged,
    )
