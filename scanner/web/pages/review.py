"""The review: one image after the other, an answer each, kept beside the verdicts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from scanner.web.address import Address, query, row_id
from scanner.web.body import form_of
from scanner.web.pages.review_queue import SampleQueue, SelectionQueue
from scanner.web.site import (
    REVIEWER_COOKIE,
    html,
    reviewer_name,
    reviewer_of,
    scan_of,
    site_of,
)
from storage.errors import NotFound
from storage.reads.gallery import Selection
from storage.reads.queries import verdict_row
from storage.records import Outcome
from storage.writes import reviews
from storage.writes.reviews import Answer
from storage.writes.samples import sample_outcome
from workers.evaluation.intervals import wilson

if TYPE_CHECKING:
    from starlette.requests import Request

    from scanner.web.pages.review_queue import Queue
    from scanner.web.site import Site
    from storage.writes.samples import SampleOutcome
    from storage.writes.scans import Scan

# What is reviewed where nothing is said.
DOUBTFUL = Selection(outcomes=(Outcome.UNSURE,))
REVIEWER_SECONDS = 365 * 24 * 3600


def show(request: Request) -> Response:
    """An image to be answered: the one that is named, else the first that nobody has answered."""
    site, scan, address = site_of(request), scan_of(request), Address(request)
    sample = sample_outcome(site.store, scan.scan_id)
    queue, is_sample = _queue(site, scan, address, sample)
    named = address.value("image", row_id)
    image_id = queue.first_open() if named is None else named
    row = None if image_id is None else verdict_row(site.store, scan.scan_id, image_id)
    if named is not None and row is None:
        raise HTTPException(404, f"Scan {scan.scan_id} has no image {named}.")
    before, following = (None, None) if image_id is None else queue.neighbours(image_id)
    progress = reviews.progress(site.store, scan.scan_id)
    given = () if row is None else reviews.reviews_of(site.store, scan.scan_id, row.image_id)
    return html(
        "review.html",
        scan=scan,
        row=row,
        reviews=given,
        # Who knows the verdict, or a folder called "AI", does not look with fresh eyes.
        blind=is_sample and not any(one.stands for one in given),
        is_sample=is_sample,
        sample=sample,
        interval=None if sample is None else wilson(sample.ai, sample.ai + sample.not_ai),
        progress=progress,
        counts=site.watch.live(scan.scan_id).counts,
        selection=None if is_sample else address.selection(DOUBTFUL),
        here=queue.query(None if row is None else row.image_id),
        before=None if before is None else queue.query(before),
        following=None if following is None else queue.query(following),
        following_id=following,
        reviewer=reviewer_of(request),
        can_undo=bool(progress.answers),
    )


async def answer(request: Request) -> Response:
    """Keep an answer, and go on to the next image that nobody has answered."""
    form = await form_of(request)
    return await run_in_threadpool(_answer, request, form)


def _answer(request: Request, form: dict[str, str]) -> Response:
    site, scan, address = site_of(request), scan_of(request), Address(request)
    reviewer = reviewer_of(request)
    if not reviewer:
        raise HTTPException(400, "Say who you are first.")
    try:
        image_id, given = row_id(form.get("image", "")), Answer(form.get("answer", ""))
        reviews.give(site.store, scan.scan_id, image_id, given, reviewer)
    except ValueError as error:
        raise HTTPException(400, "This is no answer.") from error
    except NotFound as error:
        raise HTTPException(404, str(error)) from error
    if form.get("back") == "image":
        return _to(f"/scan/{scan.scan_id}/image/{image_id}", query(address.selection()))
    sample = sample_outcome(site.store, scan.scan_id)
    queue, _ = _queue(site, scan, address, sample)
    following = queue.next_open(image_id)
    return _to(f"/scan/{scan.scan_id}/review", queue.query(following))


async def undo(request: Request) -> Response:
    """Take the reviewer's last answer back, and show its image."""
    await form_of(request)
    return await run_in_threadpool(_undo, request)


def _undo(request: Request) -> Response:
    site, scan, address = site_of(request), scan_of(request), Address(request)
    taken_back = reviews.take_back(site.store, scan.scan_id, reviewer_of(request))
    sample = sample_outcome(site.store, scan.scan_id)
    queue, _ = _queue(site, scan, address, sample)
    return _to(f"/scan/{scan.scan_id}/review", queue.query(taken_back))


async def call_me(request: Request) -> Response:
    """Remember what the reviewer calls himself."""
    form = await form_of(request)
    scan = await run_in_threadpool(scan_of, request)
    response = _to(f"/scan/{scan.scan_id}/review", request.url.query)
    # As ASCII: a cookie takes no other letters.
    name = json.dumps(reviewer_name(form.get("name", "").replace('"', "'")))
    response.set_cookie(REVIEWER_COOKIE, name, REVIEWER_SECONDS, httponly=True, samesite="lax")
    return response


def _queue(
    site: Site, scan: Scan, address: Address, sample: SampleOutcome | None
) -> tuple[Queue, bool]:
    """What is gone through, and whether it is the sample."""
    if not address.values("sample"):
        return SelectionQueue(site.store, scan, address.selection(DOUBTFUL)), False
    if sample is None:
        raise HTTPException(
            404,
            f"Scan {scan.scan_id} has no sample: draw one with "
            f"`scanner review {scan.scan_id} --sample 200`.",
        )
    return SampleQueue(site.store, sample), True


def _to(path: str, said: str) -> RedirectResponse:
    return RedirectResponse(f"{path}?{said}" if said else path, 303)
