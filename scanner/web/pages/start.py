"""Start a scan: choose a folder below the server's roots, and how to scan it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from scanner.language import gettext
from scanner.web.address import Address
from scanner.web.folders import NoFolder, open_folder
from scanner.web.forms import read_form
from scanner.web.runs import Busy
from scanner.web.site import html, message, site_of
from storage.paths import shown
from storage.records import PROVENANCE
from storage.writes.scans import list_scans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from scanner.web.folders import Folder
    from scanner.web.site import Site

# Seconds until the number of a started scan is known: its first images are listed by then.
START_SECONDS = 20.0
MAX_NAME = 200


def show(request: Request) -> Response:
    """Show the roots, or a folder below one with what can be chosen for its scan."""
    site = site_of(request)
    try:
        folder = _folder(site, request)
    except NoFolder as error:
        return message(gettext("Folder not found"), str(error), 404)
    return html(
        "start.html",
        roots=sorted(site.roots),
        can_start=site.runs.can_start,
        folder=folder,
        is_first=not list_scans(site.store),
    )


async def start(request: Request) -> Response:
    """Start the scan, and open its live page."""
    return await run_in_threadpool(_start, request, await read_form(request))


def _start(request: Request, form: dict[str, str]) -> Response:
    site = site_of(request)
    try:
        folder = _folder(site, request)
    except NoFolder as error:
        return message(gettext("Folder not found"), str(error), 404)
    if folder is None:
        return RedirectResponse("/start", 303)
    name = form.get("name", "").strip()[:MAX_NAME].replace("\0", "") or shown(folder.name)
    arguments = [os.fspath(folder.path), f"--name={name}"]
    if form.get("detectors") == PROVENANCE:
        arguments.append(f"--detectors={PROVENANCE}")
    if "labels" in form:
        arguments.append("--labels-from-folders")
    return started(site, arguments)


def started(site: Site, arguments: Sequence[str], resume: int | None = None) -> Response:
    """Start a scan; return the way to its live page, or why there is none."""
    if not site.runs.can_start:
        return message(gettext("The scan was not started"), gettext("This server starts no scans."))
    # The child opens the store by its name, and would make one where this server's has gone.
    site.store.require_writable()
    try:
        run = site.runs.start(arguments, resume=resume)
    except Busy as error:
        link = None
        if error.scan_id is not None:
            text = gettext("Scan {id}").format(id=error.scan_id)
            link = (f"/scan/{error.scan_id}", text)
        return message(gettext("The scan was not started"), str(error), 409, link)
    run.wait_until_known(START_SECONDS)
    if not run.is_running and (trouble := run.trouble()):
        return message(gettext("The scan was not started"), trouble, 409)
    if run.scan_id is None:
        return RedirectResponse("/scans", 303)
    site.monitor.forget(run.scan_id)
    return RedirectResponse(f"/scan/{run.scan_id}", 303)


def _folder(site: Site, request: Request) -> Folder | None:
    """Return the folder of the query; None where no root is named."""
    address = Address(request)
    root = address.value("root", str)
    if root is None:
        return None
    return open_folder(site.roots, root, os.fsencode(address.value("folder", str) or ""))
