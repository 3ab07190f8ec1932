"""Why images were not examined, in words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scanner.report.formats.html import report_html
from scanner.report.text.reasons import not_examined, reason_counts
from storage.reads.evidence import EvidenceCount
from tests.scanner.report.text.test_full_report import numbers, printed
from tests.scanner.report.text.test_summary import printed as short

if TYPE_CHECKING:
    from scanner.report.figures.build import Report

GRAPHIC = "looks like a drawing, icon, page or other graphic, not a photograph"
SMALL = "too small for a detector of photographs, and without a face"


def unseen(report: Report, **kinds: int) -> Report:
    """Return the report with images that the router kept from the detectors, by kind."""
    rows = tuple(EvidenceCount("router", kind, None, None, n) for kind, n in kinds.items())
    number = sum(n for kind, n in kinds.items() if kind != "degraded")
    counts = replace(report.counts, not_examined=number, no_evidence=number + 1)
    return replace(report, evidence=(*report.evidence[:1], *rows), counts=counts)


def test_each_reason_has_its_number(report: Report) -> None:
    """The sentence has how many images were not examined, and each reason with its number."""
    text = not_examined(unseen(report, out_of_domain=1234, no_detector=2, degraded=9))

    assert text == (
        "Not examined: 1,236 images; only metadata and marks were read. "
        f"Why: {GRAPHIC} (1,234); {SMALL} (2)."
    )


def test_no_numbers_that_do_not_add_up(report: Report) -> None:
    """An image with evidence in its metadata has a reason too, but counts by its verdict."""
    seen = unseen(report, out_of_domain=3)
    counts = replace(seen.counts, not_examined=1)

    assert not_examined(replace(seen, counts=counts)) == (
        f"Not examined: 1 image; only metadata and marks were read. Why: {GRAPHIC}."
    )


def test_reports_say_why(report: Report) -> None:
    """The summary, the full report and the page have the reason; the estimate counts none of it."""
    seen = unseen(report, out_of_domain=2)

    assert f"Why: {GRAPHIC} (2)." in " ".join(" ".join(short(seen)).split())
    assert numbers(printed(seen), GRAPHIC) == ["2"]
    assert GRAPHIC in report_html(seen)


def test_other_reasons_are_shown_by_their_kind(report: Report) -> None:
    """A kind without a name, as a newer version may store, is shown as it is."""
    assert {"new\\x1bkind": 4} == reason_counts(unseen(report, **{"new\x1bkind": 4}).evidence)
