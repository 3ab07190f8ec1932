"""The site: what pages need, and how templates become pages."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import jinja2
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from scanner import language
from scanner.language import gettext
from scanner.web import address, filters
from scanner.web.forms import MAX_NAME_CHARACTERS
from scanner.web.memory_cache import MemoryCache
from scanner.web.on_screen import OnScreen
from scanner.web.runs import Runs
from scanner.web.sessions import signed_in_user
from storage.errors import NotFound
from storage.records import ErrorKind, Outcome
from storage.writes.reviews import Agreed, Answer
from storage.writes.scans import find_scan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from starlette.requests import Request

    from scanner.report.figures.build import Report
    from scanner.report.figures.compare import Comparison
    from scanner.web.monitor import Monitor
    from scanner.web.previews import Previews
    from storage.database.store import Store
    from storage.reads.choices import Choices
    from storage.writes.scans import Scan
    from workers.detectors.card import Card

REVIEWER_COOKIE = "scanner_reviewer"
# Seconds for which a report, and what can be filtered by, are kept.
REPORT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Site:
    """The store and what pages compute from it; `reviewer` is the default name of a reviewer.

    Empty beyond loopback, where the user is unknown.
    """

    store: Store
    monitor: Monitor
    previews: Previews
    reviewer: str = ""
    # Folders below which scans may be started, and what starts them.
    roots: Mapping[str, Path] = field(default_factory=dict)
    runs: Runs = field(default_factory=Runs)
    on_screen: OnScreen = field(default_factory=OnScreen)
    reports: MemoryCache[Report] = field(default_factory=lambda: MemoryCache(REPORT_SECONDS))
    choices: MemoryCache[Choices] = field(default_factory=lambda: MemoryCache(REPORT_SECONDS))
    # Of the detectors of a scan; looking for plug-ins reads files of all installed packages.
    cards: MemoryCache[Mapping[str, Card]] = field(
        default_factory=lambda: MemoryCache(REPORT_SECONDS)
    )
    comparisons: MemoryCache[Comparison] = field(
        default_factory=lambda: MemoryCache(REPORT_SECONDS)
    )


def site_of(request: Request) -> Site:
    """Return the site of a request."""
    site = request.app.state.site
    if not isinstance(site, Site):
        raise TypeError("the app has no site")
    return site


def scan_of(request: Request) -> Scan:
    """Return the scan of a request's path; raises HTTPException (404) where there is none."""
    number = int(request.path_params["scan"])
    try:
        # Stores hold no larger number.
        return find_scan(site_of(request).store, min(number, 2**31 - 1))
    except NotFound as error:
        raise HTTPException(404, gettext("Scan not found: {id}").format(id=number)) from error


def reviewer_of(request: Request) -> str:
    """Return the user who is signed in, else the name in the cookie, else the site's default.

    Empty if unknown.
    """
    if user := signed_in_user():
        return user
    cookie = request.cookies.get(REVIEWER_COOKIE, "")
    try:
        name = json.loads(cookie) if cookie.startswith('"') else cookie
    except ValueError:
        name = ""
    return reviewer_name(name) or site_of(request).reviewer


def reviewer_name(text: str) -> str:
    """Return a typed name as it is safe to store and show."""
    return filters.plain(text.strip()[:MAX_NAME_CHARACTERS])


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("scanner.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # by the extension
        language.gettext, language.ngettext, newstyle=True
    )
    environment.filters |= filters.FILTERS
    environment.globals |= {
        "answers": list(Answer),
        "agreed": list(Agreed),
        "error_kinds": list(ErrorKind),
        "outcomes": list(Outcome),
        "place_text": address.place_text,
        "query": address.query,
        "changed": address.changed,
        "language": language.chosen,
        "user": signed_in_user,
        "languages": language.LANGUAGES,
    }
    return environment


_TEMPLATES = _environment()


def rendered(template: str, **values: object) -> str:
    """Return a template as text."""
    return _TEMPLATES.get_template(template).render(**values)


def html(template: str, status: int = 200, **values: object) -> HTMLResponse:
    """Return a page."""
    return HTMLResponse(rendered(template, **values), status)


def message(
    title: str, text: str, status: int = 200, link: tuple[str, str] | None = None
) -> HTMLResponse:
    """Return a page with a single message, and a link as its address and text."""
    return html("message.html", status, title=title, text=text, link=link)
