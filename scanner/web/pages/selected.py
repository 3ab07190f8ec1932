"""Several images of the gallery at once: answers and exports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from scanner.language import gettext
from scanner.report.text import labels
from scanner.web.address import Address, query, row_id
from scanner.web.filters import answer as answer_text
from scanner.web.filters import evidence
from scanner.web.forms import read_pairs
from scanner.web.guard import came_from
from scanner.web.pages.gallery import exported
from scanner.web.site import html, message, reviewer_of, scan_of, site_of
from storage.errors import NotFound
from storage.paths import shown
from storage.reads import gallery
from storage.writes.reviews import Answer, answered_by, record_answers

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from scanner.web.site import Site
    from storage.reads.selection import Selection
    from storage.writes.scans import Scan

# Bytes of a form with the images of a page, groups included.
MAX_FORM_BYTES = 200_000
# Images that are answered at once: what a store writes in seconds.
MAX_ANSWERED = 100_000
# Images that are shown before all are answered.
SHOWN = 12


async def selected(request: Request) -> Response:
    """Answer or export the chosen images of a page, or all of its selection."""
    pairs = await read_pairs(request, MAX_FORM_BYTES)
    return await run_in_threadpool(_selected, request, pairs)


def _selected(request: Request, pairs: list[tuple[str, str]]) -> Response:
    site, scan, form = site_of(request), scan_of(request), dict(pairs)
    selection = Address(request).selection()
    is_all = "all" in form
    try:
        images = [row_id(value) for name, value in pairs if name == "image"]
        answer = Answer(form["answer"]) if "answer" in form else None
    except ValueError as error:
        raise HTTPException(400, gettext("Unknown answer.")) from error
    if not images and not is_all:
        raise HTTPException(400, gettext("Select images first."))
    if answer is None:
        every = gallery.iterate(site.store, scan, selection) if is_all else None
        tiles = every or gallery.read_tiles(site.store, scan, images)
        return exported(site, scan, form.get("form", ""), tiles)
    reviewer = reviewer_of(request)
    if not reviewer:
        raise HTTPException(400, gettext("Enter your name first."))
    if is_all:
        images = gallery.selected_images(site.store, scan, selection, MAX_ANSWERED + 1)
        if len(images) > MAX_ANSWERED:
            text = gettext("At most {most} images are answered at once: filter further.")
            return message(gettext("Too many images"), text.format(most=f"{MAX_ANSWERED:,}"), 400)
        # Asked again where others have come meanwhile.
        if form.get("confirmed") != str(len(images)):
            return _confirmation(site, scan, selection, (answer, reviewer), images)
    try:
        record_answers(site.store, scan.scan_id, images, answer, reviewer)
    except NotFound as error:
        raise HTTPException(404, str(error)) from error
    if is_all:
        return RedirectResponse(f"/scan/{scan.scan_id}/gallery?{query(selection, answered=1)}", 303)
    return RedirectResponse(_with_answered(came_from(request)), 303)


def _confirmation(
    site: Site,
    scan: Scan,
    selection: Selection,
    given: tuple[Answer, str],
    images: list[int],
) -> Response:
    answer, reviewer = given
    replaced = answered_by(site.store, scan.scan_id, reviewer).intersection(images)
    return html(
        "answer_all.html",
        scan=scan,
        selection=selection,
        filters=_filters(site, scan, selection),
        answer=answer,
        answer_text=answer_text(answer),
        number=len(images),
        replaced=len(replaced),
        tiles=gallery.page(site.store, scan, selection, SHOWN),
    )


def _filters(site: Site, scan: Scan, selection: Selection) -> list[tuple[str, str]]:
    """Return what a selection is filtered by, in words."""
    hosts = dict(gallery.list_hosts(site.store, scan.scan_id))
    examined = {True: gettext("examined by a model"), False: gettext("not examined"), None: ""}
    reviewed = {
        "yes": gettext("reviewed"),
        "no": gettext("not reviewed"),
        "disagree": gettext("disagreement"),
    }
    verdicts = ", ".join(labels.verdict(outcome) for outcome in selection.wanted_outcomes)
    every = [
        (gettext("Verdict"), verdicts),
        (gettext("Search"), shown(selection.name)),
        (gettext("Folder"), shown(selection.folder)),
        (gettext("Detector"), selection.detector),
        (gettext("Evidence"), selection.evidence and evidence(selection.evidence)),
        (gettext("Host"), selection.host and hosts.get(selection.host, selection.host)),
        (gettext("Error"), selection.error and labels.error(selection.error)),
        (gettext("Reviewed"), selection.reviewed and reviewed[selection.reviewed]),
        (gettext("Examined"), examined[selection.is_examined]),
        (gettext("Generator"), selection.generator),
        (gettext("Camera"), selection.camera),
        (gettext("Month taken"), selection.month),
    ]
    return [(name, value) for name, value in every if value]


def _with_answered(address: str) -> str:
    """Return the address of a page that says what was answered."""
    if "answered=1" in address:
        return address
    return f"{address}{'&' if '?' in address else '?'}answered=1"
