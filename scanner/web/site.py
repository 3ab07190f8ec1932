"""What every page needs, and how a page is made of a template."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jinja2
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from scanner.web import address, words
from storage.errors import NotFound
from storage.records import ErrorKind, Outcome
from storage.writes.reviews import Answer
from storage.writes.scans import find_scan

if TYPE_CHECKING:
    from starlette.requests import Request

    from scanner.web.pictures import Pictures
    from scanner.web.watch import Watch
    from storage.database.store import Store
    from storage.writes.scans import Scan

REVIEWER_COOKIE = "scanner_reviewer"
MAX_NAME_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Site:
    """The store, what is made of it, and who is at the keyboard unless he says otherwise.

    `reviewer` is empty where that cannot be known: beyond loopback.
    """

    store: Store
    watch: Watch
    pictures: Pictures
    reviewer: str = ""


def site_of(request: Request) -> Site:
    """The site that a request is for."""
    site = request.app.state.site
    if not isinstance(site, Site):
        raise TypeError("this app has no site")
    return site


def scan_of(request: Request) -> Scan:
    """The scan that a request's path names; 404 where there is none."""
    number = int(request.path_params["scan"])
    try:
        # No scan has a number that a store has no room for.
        return find_scan(site_of(request).store, min(number, 2**31 - 1))
    except NotFound as error:
        raise HTTPException(404, str(error)) from error


def reviewer_of(request: Request) -> str:
    """Who reviews: as he calls himself in his cookie, else the user who serves; empty: unknown."""
    return reviewer_name(request.cookies.get(REVIEWER_COOKIE, "")) or site_of(request).reviewer


def reviewer_name(given: str) -> str:
    """A name that can be kept and shown: from a cookie, JSON in ASCII, or as typed."""
    try:
        given = json.loads(given) if given.startswith('"') else given
    except ValueError:
        return ""
    return words.plain(given.strip()[:MAX_NAME_CHARACTERS])


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("scanner.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= words.FILTERS | {"details": words.details}
    environment.globals |= {
        "answers": list(Answer),
        "error_kinds": list(ErrorKind),
        "outcomes": list(Outcome),
        "place_text": address.place_text,
        "query": address.query,
        "changed": address.changed,
    }
    return environment


_TEMPLATES = _environment()


def rendered(template: str, **values: object) -> str:
    """A template as text."""
    return _TEMPLATES.get_template(template).render(**values)


def html(template: str, status: int = 200, **values: object) -> HTMLResponse:
    """A page."""
    return HTMLResponse(rendered(template, **values), status)


def message(title: str, text: str, status: int = 200) -> HTMLResponse:
    """A page that says one thing."""
    return html("message.html", status, title=title, text=text)
