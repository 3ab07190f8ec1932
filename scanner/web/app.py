"""The web app: its routes and its error pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from scanner.language import gettext
from scanner.web.guard import Guard
from scanner.web.languages import Languages, set_language
from scanner.web.pages import (
    check,
    gallery,
    image,
    live,
    report,
    review,
    score_map,
    selected,
    start,
    steer,
)
from scanner.web.sessions import Sessions
from scanner.web.site import html, message
from storage.errors import NotFound, StoreError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from scanner.web.accounts import Accounts
    from scanner.web.site import Site

ROUTES = (
    Route("/", live.home),
    Route("/health", live.health),
    Route("/metrics", live.prometheus),
    Route("/language", set_language, methods=["POST"]),
    Route("/scans", live.scans),
    Route("/check", check.show, methods=["GET"]),
    Route("/check", check.check, methods=["POST"]),
    Route("/start", start.show, methods=["GET"]),
    Route("/start", start.start, methods=["POST"]),
    Route("/scan/{scan:int}", live.live),
    Route("/scan/{scan:int}/pause", steer.pause, methods=["POST"]),
    Route("/scan/{scan:int}/resume", steer.start_again, methods=["POST"]),
    Route("/scan/{scan:int}/again", steer.start_again, methods=["POST"]),
    Route("/scan/{scan:int}/rescan", steer.start_again, methods=["POST"]),
    Route("/scan/{scan:int}/retry", steer.start_again, methods=["POST"]),
    Route("/scan/{scan:int}/cancel", steer.ask_cancel, methods=["GET"]),
    Route("/scan/{scan:int}/cancel", steer.cancel, methods=["POST"]),
    Route("/scan/{scan:int}/sample", steer.sample, methods=["POST"]),
    Route("/scan/{scan:int}/events", live.events),
    Route("/scan/{scan:int}/report", report.report),
    Route("/scan/{scan:int}/compare", report.comparison),
    Route("/scan/{scan:int}/gallery", gallery.tiles),
    Route("/scan/{scan:int}/suggest", gallery.suggest),
    Route("/scan/{scan:int}/export", gallery.export),
    Route("/scan/{scan:int}/selected", selected.selected, methods=["POST"]),
    Route("/scan/{scan:int}/image/{image:int}", image.show),
    Route("/scan/{scan:int}/image/{image:int}/thumbnail", image.thumbnail),
    Route("/scan/{scan:int}/image/{image:int}/large", image.large),
    Route("/scan/{scan:int}/image/{image:int}/full", image.full),
    Route("/scan/{scan:int}/image/{image:int}/map", score_map.show),
    Route("/scan/{scan:int}/review", review.show, methods=["GET"]),
    Route("/scan/{scan:int}/review", review.answer, methods=["POST"]),
    Route("/scan/{scan:int}/review/undo", review.undo, methods=["POST"]),
    Route("/scan/{scan:int}/reviewer", review.set_reviewer, methods=["POST"]),
)


def make_app(site: Site, token: str | None, accounts: Accounts | None = None) -> Starlette:
    """Return the app of a site; with a token, only browsers that have it see anything.

    With accounts users sign in instead, and the token is for programs that read.
    """
    if accounts is None:
        guards = [Middleware(Guard, token=token, sign_in=_sign_in)]
    else:
        guards = [
            Middleware(Guard, token=None, sign_in=_sign_in, has_users=True),
            Middleware(Sessions, accounts=accounts, token=token, sign_in=_sign_in_by_name),
        ]
    app = Starlette(
        routes=[*ROUTES, Mount("/static", StaticFiles(packages=[("scanner.web", "static")]))],
        middleware=[Middleware(Languages), *guards],
        exception_handlers={
            HTTPException: _http,
            NotFound: _not_found,
            StoreError: _unavailable,
            Exception: _broken,
        },
    )
    app.state.site = site
    return app


def _sign_in(target: str, was_wrong: bool) -> Response:  # noqa: FBT001 - a callback
    trouble = gettext("Wrong token.") if was_wrong else ""
    return html("sign_in.html", 401, by_name=False, target=target, trouble=trouble)


def _sign_in_by_name(target: str, trouble: str) -> Response:
    return html("sign_in.html", 401, by_name=True, target=target, trouble=trouble)


def _http(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    is_missing = error.status_code == 404  # noqa: PLR2004
    title = gettext("Page not found") if is_missing else gettext("Bad request")
    is_unknown = error.detail == "Not Found"
    text = gettext("There is nothing at this address.") if is_unknown else error.detail
    return message(title, text, error.status_code, _all_scans() if is_missing else None)


def _not_found(_request: Request, error: Exception) -> Response:
    # Without the command that lists what there is, for which there is a link.
    return message(gettext("Page not found"), str(error).partition(" (`")[0], 404, _all_scans())


def _all_scans() -> tuple[str, str]:
    return "/scans", gettext("All scans")


def _unavailable(_request: Request, _error: Exception) -> Response:
    # Not the error's message: it contains the store's address.
    return message(gettext("The store is not available"), gettext("Try again in a moment."), 503)


def _broken(_request: Request, _error: Exception) -> Response:
    return message(
        gettext("Internal error"),
        gettext("See the output of `scanner serve` for the cause."),
        500,
    )
