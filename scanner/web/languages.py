"""The language of a request: the one that was chosen on a page, else what the browser prefers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from scanner import language
from scanner.web.forms import read_form
from scanner.web.guard import came_from

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "scanner_language"
COOKIE_SECONDS = 365 * 24 * 3600


class Languages:
    """Middleware that lets the app answer in the language of the request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, in its language."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        tag = request.cookies.get(COOKIE, "")
        if tag not in language.LANGUAGES:
            tag = language.preferred(request.headers.get("accept-language", ""))
        with language.speaking(tag):
            await self._app(scope, receive, send)


async def set_language(request: Request) -> Response:
    """Remember the chosen language in a cookie, and go back to the page that it was chosen on."""
    tag = (await read_form(request)).get("language", "")
    response = RedirectResponse(came_from(request), 303)
    if tag in language.LANGUAGES:
        response.set_cookie(COOKIE, tag, COOKIE_SECONDS, httponly=True, samesite="lax")
    return response
