"""Who is signed in: names and passwords, sessions, and how often a wrong one may be tried.

Sessions are kept in memory: they end when the server does, with the user, and with their password.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from scanner.language import gettext
from scanner.web.accounts import AccountsError
from scanner.web.forms import MAX_NAME_CHARACTERS, read_form
from scanner.web.guard import OPEN_PATHS, SAFE_METHODS, came_from, is_same, local_path, wanted_page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from scanner.web.accounts import Accounts, User

SESSION_SECONDS = 7 * 24 * 3600
MAX_SESSIONS = 10_000
# Wrong passwords from an address for one name, and for all names, in so many seconds.
TRIES, TRIES_OF_ADDRESS, TRY_SECONDS = 5, 50, 15 * 60
MAX_TRIED = 10_000

log = logging.getLogger(__name__)

_user = ContextVar("user", default="")


def signed_in_user() -> str:
    """Return the name of who asks; empty where nobody signs in."""
    return _user.get()


@dataclass(frozen=True, slots=True)
class _Session:
    """A browser of a user, as long as their password's hash stays what it was."""

    user: User
    ends_at: float


class Tries:
    """Wrong passwords of the last minutes, by address and by address and name."""

    def __init__(self) -> None:
        self._times: dict[tuple[str, str | None], list[float]] = {}

    def are_used_up(self, address: str, name: str) -> bool:
        """Return whether an address has to wait before it may try this name again."""
        of_name, of_address = self._recent((address, name)), self._recent((address, None))
        return len(of_name) >= TRIES or len(of_address) >= TRIES_OF_ADDRESS

    def note(self, address: str, name: str) -> None:
        """Note a wrong password."""
        if len(self._times) >= MAX_TRIED:
            self._times = {key: times for key in self._times if (times := self._recent(key))}
        for key in ((address, name), (address, None)):
            self._times[key] = [*self._recent(key), time.monotonic()]

    def _recent(self, key: tuple[str, str | None]) -> list[float]:
        since = time.monotonic() - TRY_SECONDS
        return [at for at in self._times.get(key, ()) if at >= since]


class Sessions:
    """Middleware that lets users in, by their session, and programs, by a token, to read."""

    def __init__(
        self,
        app: ASGIApp,
        accounts: Accounts,
        token: str | None,
        sign_in: Callable[[str, str], Response],
    ) -> None:
        """Take what asks for name and password, for a page, with what is wrong as a sentence."""
        self._app = app
        self._accounts = accounts
        self._token = token
        self._sign_in = sign_in
        self._sessions: dict[str, _Session] = {}
        self._tries = Tries()
        # Verifying a password takes 64 MiB: one at a time.
        self._verifying = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of nobody, or pass on that of a user."""
        request = Request(scope, receive)
        path, method = request.url.path, request.method
        answer: Response | None = None
        name = ""
        if path == "/enter" and method == "POST":
            answer = await self._enter(request)
        elif path == "/leave" and method == "POST":
            answer = self._leave(request)
        elif path not in OPEN_PATHS:
            name = await run_in_threadpool(self._name_of, request)
            if not name and not (method in SAFE_METHODS and self._has_token(request)):
                answer = self._sign_in(wanted_page(request), "")
        reset = _user.set(name)
        try:
            await (answer or self._app)(scope, receive, send)
        finally:
            _user.reset(reset)

    async def _enter(self, request: Request) -> Response:
        try:
            form = await read_form(request)
        except HTTPException:
            form = {}
        return await run_in_threadpool(self._let_in, request, form)

    def _let_in(self, request: Request, form: Mapping[str, str]) -> Response:
        address = request.client.host if request.client else ""
        name, password = form.get("name", "")[:MAX_NAME_CHARACTERS], form.get("password", "")
        target = local_path(form.get("target", came_from(request)))
        with self._verifying:
            if self._tries.are_used_up(address, name):
                return self._sign_in(
                    target, gettext("Too many wrong passwords: try again in 15 minutes.")
                )
            try:
                user = self._accounts.verified(name, password)
            except AccountsError as error:
                log.error("%s", error)  # noqa: TRY400 - a sentence, no traceback
                return self._sign_in(target, gettext("Nobody can sign in at the moment."))
            if user is None:
                self._tries.note(address, name)
                return self._sign_in(target, gettext("Wrong name or password."))
        key = secrets.token_urlsafe(32)
        if len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        ends_at = time.monotonic() + SESSION_SECONDS
        self._sessions[_digest(key)] = _Session(user, ends_at)
        response = RedirectResponse(target, 303)
        response.set_cookie(_cookie(request), key, SESSION_SECONDS, httponly=True, samesite="lax")
        return response

    def _leave(self, request: Request) -> Response:
        self._sessions.pop(_digest(request.cookies.get(_cookie(request), "")), None)
        response = RedirectResponse("/", 303)
        response.delete_cookie(_cookie(request))
        return response

    def _name_of(self, request: Request) -> str:
        """Return the user of a session that has not ended, and whom the file still has, else ""."""
        key = _digest(request.cookies.get(_cookie(request), ""))
        session = self._sessions.get(key)
        if session is None:
            return ""
        name, password_hash = session.user
        try:
            is_known = self._accounts.hashes().get(name) == password_hash
        except AccountsError:
            return ""
        if not is_known or time.monotonic() > session.ends_at:
            self._sessions.pop(key, None)
            return ""
        return name

    def _has_token(self, request: Request) -> bool:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        return self._token is not None and is_same(bearer, self._token)


def _cookie(request: Request) -> str:
    """Return the cookie's name: cookies do not depend on the port, and two servers need two."""
    return f"scanner_session_{request.url.port or 80}"


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()
