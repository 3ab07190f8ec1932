"""The review: images one by one, each with an answer, stored next to the verdicts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from scanner.language import gettext
from scanner.web.address import Address, query, row_id
from scanner.web.forms import read_form, read_pairs
from scanner.web.looked_at import Looked
from scanner.web.pages.image import listed_of, looked_of, no_image
from scanner.web.pages.review_queue import SampleQueue, SelectionQueue
from scanner.web.site import (
    REVIEWER_COOKIE,
    html,
    message,
    reviewer_name,
    reviewer_of,
    scan_of,
    site_of,
)
from storage.errors import NotFound
from storage.reads import gallery
from storage.reads.selection import Selection
from storage.reads.verdicts import verdict_row
from storage.records import Outcome
from storage.writes import reviews
from storage.writes.reviews import Answer
from storage.writes.samples import read_sample
from workers.evaluation.intervals import wilson

if TYPE_CHECKING:
    from starlette.requests import Request

    from scanner.web.pages.review_queue import Queue
    from scanner.web.site import Site
    from storage.writes.samples import SampleOutcome
    from storage.writes.scans import Scan

# Reviewed by default.
UNSURE = Selection(outcomes=(Outcome.UNSURE,))
REVIEWER_SECONDS = 365 * 24 * 3600


def show(request: Request) -> Response:
    """Show an image to review: the given one, else the first without an answer."""
    site, scan, address = site_of(request), scan_of(request), Address(request)
    sample = read_sample(site.store, scan.scan_id)
    reviewer = reviewer_of(request)
    queue, is_sample = _queue(site, scan, address, sample, reviewer)
    chosen = address.value("image", row_id)
    image_id = queue.first_open() if chosen is None else chosen
    row = None if image_id is None else verdict_row(site.store, scan.scan_id, image_id)
    if chosen is not None and row is None:
        raise HTTPException(404, no_image(scan, chosen))
    if reviewer and image_id is not None:
        site.on_screen.show(scan.scan_id, image_id, reviewer)
    before, following = (None, None) if image_id is None else queue.neighbours(image_id)
    following_open = None if image_id is None else queue.next_open(image_id)
    progress = reviews.review_progress(site.store, scan.scan_id)
    answers = () if row is None else reviews.list_reviews(site.store, scan.scan_id, row.image_id)
    # The verdict, a folder called "AI", or boxes would influence the reviewer.
    blind = is_sample and not any(review.is_current for review in answers)
    looked = Looked((), None, ())
    if row is not None and row.verdict is not None and not blind:
        listed = listed_of(site, scan, row.image_id)
        looked = looked_of(site, scan, listed, row.verdict.findings)
    return html(
        "review.html",
        scan=scan,
        row=row,
        looked=looked,
        thresholds=scan.plan.thresholds(),
        reviews=answers,
        blind=blind,
        is_sample=is_sample,
        is_empty=row is None and not is_sample and not _has_any(site, scan, address),
        sample=sample,
        interval=None if sample is None else wilson(sample.ai, sample.ai + sample.not_ai),
        progress=progress,
        counts=site.monitor.live(scan.scan_id).counts,
        selection=None if is_sample else address.selection(UNSURE),
        here=queue.query(None if row is None else row.image_id),
        before=None if before is None else queue.query(before),
        following=None if following is None else queue.query(following),
        following_open=None if following_open is None else queue.query(following_open),
        all_open=queue.query(None),
        reviewer=reviewer,
        can_undo=bool(progress.answers),
    )


async def answer(request: Request) -> Response:
    """Store an answer, and go on to the next image without one; a script gets JSON instead.

    A script may send several, each with its image, which are stored one after the other.
    """
    pairs = await read_pairs(request)
    return await run_in_threadpool(_answer, request, pairs)


def _answer(request: Request, pairs: list[tuple[str, str]]) -> Response:
    form = dict(pairs)
    site, scan, address = site_of(request), scan_of(request), Address(request)
    reviewer = reviewer_of(request)
    if not reviewer:
        raise HTTPException(400, gettext("Enter your name first."))
    try:
        images = [row_id(value) for name, value in pairs if name == "image"]
        chosen = [Answer(value) for name, value in pairs if name == "answer"]
        given = list(zip(images, chosen, strict=True))
        for image_id, each in given:
            reviews.record_answer(site.store, scan.scan_id, image_id, each, reviewer)
            site.on_screen.answer(scan.scan_id, image_id)
    except ValueError as error:
        raise HTTPException(400, gettext("Unknown answer.")) from error
    except NotFound as error:
        raise HTTPException(404, str(error)) from error
    if not given:
        raise HTTPException(400, gettext("Unknown answer."))
    if request.headers.get("accept") == "application/json":
        return JSONResponse([{"image": image_id, "answer": each} for image_id, each in given])
    if form.get("back") == "image":
        return _to(f"/scan/{scan.scan_id}/image/{image_id}", query(address.selection()))
    sample = read_sample(site.store, scan.scan_id)
    queue, _ = _queue(site, scan, address, sample, reviewer)
    following = queue.next_open(image_id)
    return _to(f"/scan/{scan.scan_id}/review", queue.query(following))


async def undo(request: Request) -> Response:
    """Undo the reviewer's last answer, and show its image; that of `at` for the gallery."""
    form = await read_form(request)
    return await run_in_threadpool(_undo, request, form)


def _undo(request: Request, form: dict[str, str]) -> Response:
    site, scan, address = site_of(request), scan_of(request), Address(request)
    try:
        at = float(form["at"]) if "at" in form else None
    except ValueError as error:
        raise HTTPException(400, gettext("Unknown answer.")) from error
    reviewer = reviewer_of(request)
    image_id = reviews.withdraw_answer(site.store, scan.scan_id, reviewer, at)
    if at is not None:
        if image_id is None:
            text = gettext("You have answered since, or this was undone already.")
            return message(gettext("Nothing was undone"), text, 409)
        return _to(f"/scan/{scan.scan_id}/gallery", query(address.selection()))
    sample = read_sample(site.store, scan.scan_id)
    queue, _ = _queue(site, scan, address, sample, reviewer)
    return _to(f"/scan/{scan.scan_id}/review", queue.query(image_id))


async def set_reviewer(request: Request) -> Response:
    """Remember the reviewer's name in a cookie."""
    form = await read_form(request)
    scan = await run_in_threadpool(scan_of, request)
    response = _to(f"/scan/{scan.scan_id}/review", request.url.query)
    # As JSON, which is ASCII: cookies allow no other characters.
    name = json.dumps(reviewer_name(form.get("name", "")))
    response.set_cookie(REVIEWER_COOKIE, name, REVIEWER_SECONDS, httponly=True, samesite="lax")
    return response


def _queue(
    site: Site, scan: Scan, address: Address, sample: SampleOutcome | None, reviewer: str
) -> tuple[Queue, bool]:
    """Return the images for a reviewer, and whether they are the sample."""
    taken = site.on_screen.of_others(scan.scan_id, reviewer)
    if not address.values("sample"):
        return SelectionQueue(site.store, scan, address.selection(UNSURE), taken), False
    if sample is None:
        raise HTTPException(
            404,
            gettext("Sample not found: draw one under Review."),
        )
    return SampleQueue(site.store, sample, taken), True


def _has_any(site: Site, scan: Scan, address: Address) -> bool:
    return bool(gallery.page(site.store, scan, address.selection(UNSURE), 1))


def _to(path: str, query: str) -> RedirectResponse:
    return RedirectResponse(f"{path}?{query}" if query else path, 303)
