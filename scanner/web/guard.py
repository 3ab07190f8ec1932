"""Access control: host name, token, origin, and security headers.

On loopback the host name is checked, so that no web site can point its own name here (DNS
rebinding). Otherwise a token is required: once in the URL or the form, then as a cookie; programs
send it as a bearer token. Requests that change anything must come from scanner's own pages.
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
from scanner.web.forms import read_form

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Characters of a path; real ones are much shorter.
MAX_PATH = 1_000
COOKIE_SECONDS = 30 * 24 * 3600
SAFE_METHODS = frozenset({"GET", "HEAD"})
# Of the page that asks for the token, and for health checks.
OPEN_PATHS = frozenset({"/static/style.css", "/static/icon.svg", "/language", "/health"})

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; img-src 'self' blob:; style-src 'self'; script-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    # With `no-referrer`, browsers would not send the origin of scanner's own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """Middleware that passes permitted requests to the app."""

    def __init__(
        self,
        app: ASGIApp,
        token: str | None,
        sign_in: Callable[[str, bool], Response],
        *,
        has_users: bool = False,
    ) -> None:
        """Permit only this machine's own names without a token.

        `sign_in` asks for the token, for a page, and says whether the last one was wrong.

        With users who sign in (`scanner.web.sessions`) any name is permitted, too.
        """
        self._app = app
        self._token = token
        self._sign_in = sign_in
        self._has_users = has_users
        if token is not None:
            key = token.encode()
            # Cookies do not depend on the port: two servers need two names.
            self._cookie = f"scanner_{hashlib.sha256(key).hexdigest()[:12]}"
            self._value = hmac.new(key, b"scanner serve: cookie", hashlib.sha256).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it to the app."""
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
        """Return the answer to a refused request; None for a permitted one."""
        headers = request.headers
        if len(request.url.path) > MAX_PATH:
            return PlainTextResponse("URL too long.\n", 414)
        is_open = self._token is None and not self._has_users
        if is_open and not is_loopback(_host_name(headers)):
            return PlainTextResponse("This host name is not served here.\n", 400)
        if request.method not in SAFE_METHODS and not is_own_origin(headers):
            return PlainTextResponse("Only scanner's own pages may send this request.\n", 403)
        return None if self._token is None else await self._check_token(request)

    async def _check_token(self, request: Request) -> Response | None:
        """Return the page that asks for the token; None for a browser that has it."""
        if request.url.path == "/enter" and request.method == "POST":
            try:
                form = await read_form(request)
            except HTTPException:
                form = {}
            return self._let_in(form.get("token", ""), local_path(form.get("target", "/")))
        if "token" in request.query_params:
            return self._let_in(request.query_params["token"], _without_token(request))
        if request.url.path in OPEN_PATHS or self._has_token(request):
            return None
        return self._sign_in(wanted_page(request), False)

    def _has_token(self, request: Request) -> bool:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        cookie = request.cookies.get(self._cookie, "")
        return self._is_token(bearer) or is_same(cookie, self._value)

    def _is_token(self, text: str) -> bool:
        return self._token is not None and is_same(text, self._token)

    def _let_in(self, token: str, target: str) -> Response:
        if not self._is_token(token):
            return self._sign_in(target, True)
        response = RedirectResponse(target, 303)
        # Not Strict: a link from a chat or a mail would ask for the token again.
        response.set_cookie(
            self._cookie, self._value, COOKIE_SECONDS, httponly=True, samesite="lax"
        )
        return response


def is_own_origin(headers: Headers) -> bool:
    """Return whether a request comes from scanner's own pages, by the browser's Origin header."""
    origin = headers.get("origin", "")
    return bool(origin) and urlsplit(origin).netloc == headers.get("host")


def _host_name(headers: Headers) -> str:
    host = headers.get("host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return name.removeprefix("[").removesuffix("]")


def came_from(request: Request) -> str:
    """Return the path and query of this site's page that a form was on, `/` for any other."""
    here = urlsplit(request.headers.get("referer", ""))
    if here.netloc != request.headers.get("host"):
        return "/"
    return _path_and_query(here.path, here.query)


def local_path(text: str) -> str:
    """Return a path and query of this site as they were given, `/` for anything else.

    Browsers ignore control characters in an address, and take a backslash for a slash.
    """
    is_plain = text.isascii() and text.isprintable() and "\\" not in text
    if not is_plain or not text.startswith("/") or text.startswith("//") or text == "/enter":
        return "/"
    return text


def wanted_page(request: Request) -> str:
    """Return the page to show to whom a request is refused, once they are signed in."""
    if request.method not in SAFE_METHODS:
        return local_path(came_from(request))
    return local_path(_path_and_query(request.url.path, request.url.query))


def is_same(text: str, secret: str) -> bool:
    """Compare in a time that does not depend on where two texts differ."""
    return hmac.compare_digest(text.encode(), secret.encode())


def _without_token(request: Request) -> str:
    rest = [pair for pair in request.query_params.multi_items() if pair[0] != "token"]
    return _path_and_query(request.url.path, urlencode(rest))


def _path_and_query(path: str, query: str) -> str:
    # Two leading slashes would be another host.
    path = "/" + path.lstrip("/")
    return f"{path}?{query}" if query else path
