"""Who may see a page and who may change anything: host, token, origin, and what browsers may do.

On loopback the host's name is checked, so that no web site can have its own name lead here (DNS
rebinding). Beyond it a token is needed: once in the address or the form, then as a cookie, or as a
bearer token for programs. What changes something has to come from one of our own pages.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from scanner.processes.addresses import is_loopback
from scanner.web.body import form_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Characters of a path; none of ours comes near it.
MAX_PATH = 1_000
COOKIE_SECONDS = 30 * 24 * 3600
SAFE_METHODS = frozenset({"GET", "HEAD"})
# What the page that asks for the token needs.
OPEN_PATHS = frozenset({"/static/style.css"})

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    # With `no-referrer`, browsers would hide the origin of our own forms from us.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """Stands before the app, and lets through what may pass."""

    def __init__(
        self, app: ASGIApp, token: str | None, ask: Callable[[Request, bool], Response]
    ) -> None:
        """Without a token only this machine's own names pass; `ask` is the page that asks."""
        self._app = app
        self._token = token
        self._ask = ask
        if token is not None:
            key = token.encode()
            # Cookies are not told apart by port: two stores that are served need two names.
            self._cookie = f"scanner_{hashlib.sha256(key).hexdigest()[:12]}"
            self._value = hmac.new(key, b"scanner serve: cookie", hashlib.sha256).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        request = Request(scope, receive)
        answer = await self._answer(request)
        await (answer or self._app)(scope, receive, send_with_headers)

    async def _answer(self, request: Request) -> Response | None:
        """What is answered in the app's place, if anything."""
        headers = request.headers
        if len(request.url.path) > MAX_PATH:
            return PlainTextResponse("No page has so long an address.\n", 414)
        if self._token is None and not is_loopback(_host_name(headers)):
            return PlainTextResponse("This address is not served here.\n", 400)
        if request.method not in SAFE_METHODS and not is_own_origin(headers):
            return PlainTextResponse("This has to come from one of scanner's own pages.\n", 403)
        return None if self._token is None else await self._ask_for_token(request)

    async def _ask_for_token(self, request: Request) -> Response | None:
        """The page that asks for the token; None for whoever has given it before."""
        if request.url.path == "/enter" and request.method == "POST":
            try:
                given = await form_of(request)
            except HTTPException:
                given = {}
            return self._let_in(request, given.get("token", ""), "/")
        if "token" in request.query_params:
            return self._let_in(request, request.query_params["token"], _without_token(request))
        if request.url.path in OPEN_PATHS or self._knows(request):
            return None
        return self._ask(request, False)

    def _knows(self, request: Request) -> bool:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        cookie = request.cookies.get(self._cookie, "")
        return self._is_token(bearer) or _same(cookie, self._value)

    def _is_token(self, given: str) -> bool:
        return self._token is not None and _same(given, self._token)

    def _let_in(self, request: Request, given: str, target: str) -> Response:
        if not self._is_token(given):
            return self._ask(request, True)
        response = RedirectResponse(target, 303)
        # Not Strict: a link from a chat or a mail would ask for the token anew.
        response.set_cookie(
            self._cookie, self._value, COOKIE_SECONDS, httponly=True, samesite="lax"
        )
        return response


def is_own_origin(headers: Headers) -> bool:
    """Whether a request comes from a page of ours; browsers say so with whatever may change."""
    origin = headers.get("origin", "")
    return bool(origin) and urlsplit(origin).netloc == headers.get("host")


def _host_name(headers: Headers) -> str:
    host = headers.get("host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return name.removeprefix("[").removesuffix("]")


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _without_token(request: Request) -> str:
    rest = [pair for pair in request.query_params.multi_items() if pair[0] != "token"]
    # Two slashes at the beginning would lead to another host.
    path = "/" + request.url.path.lstrip("/")
    return f"{path}?{urlencode(rest)}" if rest else path
