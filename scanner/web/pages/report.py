"""The report of a scan as a page, with its charts; and two scans side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from scanner.language import gettext
from scanner.report.figures.build import build
from scanner.report.figures.compare import compare
from scanner.report.formats.html import comparison_body, report_body
from scanner.report.text import prevalence, sentences
from scanner.report.text.reasons import not_examined
from scanner.web.site import html, scan_of, site_of
from storage.writes.scans import find_scan, list_scans

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

# Scans that can be chosen for a comparison.
MAX_OTHERS = 100


def report(request: Request) -> Response:
    """Show the answer, and all figures; and offer the collection's other scans to compare with."""
    site, scan = site_of(request), scan_of(request)
    of_collection = list_scans(site.store, collection_id=scan.collection_id)
    others = [other for other in of_collection if other.scan_id != scan.scan_id]
    known = site.reports.get(scan.scan_id, lambda: build(site.store, scan))
    return html(
        "report.html",
        scan=scan,
        answer=sentences.answer(known),
        headline=list(prevalence.headline(known)),
        unseen=not_examined(known) if known.counts.not_examined else "",
        body=report_body(known),
        others=others[:MAX_OTHERS],
    )


def comparison(request: Request) -> Response:
    """Show a scan beside another one, the earlier first, and what changed between them."""
    site, scan = site_of(request), scan_of(request)
    try:
        # Stores hold no larger number.
        number = min(int(request.query_params.get("with", "")), 2**31 - 1)
    except ValueError as error:
        raise HTTPException(400, gettext("Choose a scan to compare with.")) from error
    before, after = sorted((scan, find_scan(site.store, number)), key=lambda each: each.scan_id)
    key = before.scan_id, after.scan_id
    known = site.comparisons.get(key, lambda: compare(site.store, before, after))
    return html(
        "comparison.html",
        scan=scan,
        before=before,
        after=after,
        changed=sentences.changed(known),
        mcnemar="" if known.mcnemar is None else sentences.mcnemar(known.mcnemar),
        body=comparison_body(known),
    )
