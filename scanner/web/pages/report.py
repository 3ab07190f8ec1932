"""The report of a scan as a page: the answer, the estimate, and the most certain findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.report.figures.build import build
from scanner.report.text import prevalence, sentences
from scanner.report.text.reasons import not_examined
from scanner.report.text.why import why
from scanner.web.site import html, scan_of, site_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def report(request: Request) -> Response:
    """Show the sentences of the report, and its most certain findings with their reasons."""
    site, scan = site_of(request), scan_of(request)
    known = site.reports.get(scan.scan_id, lambda: build(site.store, scan))
    thresholds = scan.plan.thresholds()
    return html(
        "report.html",
        scan=scan,
        answer=sentences.answer(known),
        unseen=not_examined(known) if known.counts.not_examined else "",
        estimate=list(prevalence.estimate(known)) if known.counts.judged else [],
        findings=[
            (row, why(row.verdict, thresholds)) for row in known.findings if row.verdict is not None
        ],
    )
