"""A report as one self-contained HTML file: no network, no script, no font."""

from __future__ import annotations

import time
from base64 import b64encode
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from scanner import language
from scanner.report.figures.estimate import rate_bounds
from scanner.report.formats.charts import curve_charts, months_chart, throughput_chart
from scanner.report.text import accuracy, host_details, labels, prevalence, sentences
from scanner.report.text.folders import by_flagged
from scanner.report.text.full_report import evidence_counts, stage_times, verdict_counts
from scanner.report.text.reasons import reason_counts
from scanner.report.text.tables import safe
from scanner.report.text.why import why
from storage.asset_paths import shown_image
from storage.paths import shown
from storage.reads.hosts import STAGES
from storage.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scanner.report.figures.build import Evaluation, Report
    from scanner.report.figures.compare import Comparison
    from workers.evaluation.metrics import Confusion

# Rows of a table; the JSON has all.
ROWS = 40
# The scanned folder, for its images that are in no folder below it.
NO_FOLDER = language.marked("(in no folder)")


class NamedFinding(NamedTuple):
    """One of the most certain findings; `thumbnail` and `page` are URLs, or empty."""

    path: bytes
    outcome: Outcome
    reason: str
    thumbnail: str
    page: str


def report_html(report: Report, thumbnails: Mapping[int, bytes] | None = None) -> str:
    """Return the page on one scan, with thumbnails (JPEG or PNG) of images by their id."""
    return _environment().get_template("report.html").render(side=_values(report, thumbnails or {}))


def comparison_html(comparison: Comparison, thumbnails: Mapping[int, bytes] | None = None) -> str:
    """Return the page on two scans and what changed between them, with thumbnails as above."""
    values = _compared(comparison, thumbnails or {})
    return _environment().get_template("comparison.html").render(values)


def report_body(report: Report) -> Markup:
    """Return that page without its head and its answer, with links, for the site."""
    template = _environment().get_template("report_body.html")
    # The template escapes what it shows.
    return Markup(template.render(side=_values(report)))  # noqa: S704


def comparison_body(comparison: Comparison) -> Markup:
    """Return the page on two scans without its head and its first sentences, for the site."""
    template = _environment().get_template("comparison_body.html")
    return Markup(template.render(_compared(comparison)))  # noqa: S704 - as above


def _compared(
    comparison: Comparison, thumbnails: Mapping[int, bytes] | None = None
) -> dict[str, Any]:
    test = comparison.mcnemar
    return {
        "before": _values(comparison.before, thumbnails),
        "after": _values(comparison.after, thumbnails),
        "comparison": comparison,
        "changed": sentences.changed(comparison),
        "mcnemar": None if test is None else sentences.mcnemar(test),
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("scanner.report.formats"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # by the extension
        language.gettext, language.ngettext, newstyle=True
    )
    environment.filters |= {
        "safe_text": safe,
        "hardware": host_details.hardware,
        "health": host_details.health,
        "image_path": shown_image,
        "number": lambda number: f"{number:,}",
        "figure": labels.figure,
        "score": labels.score,
        "error": labels.error,
        "rates": lambda rates: prevalence.percent_range(rate_bounds(rates)),
        "stage_name": labels.stage,
        "share_range": lambda bounds: "-" if bounds is None else prevalence.percent_range(bounds),
        "threshold": labels.threshold,
        "skipped": labels.skipped,
        "duration": labels.duration,
        "day": _day,
        "verdict": labels.verdict,
        "state": labels.state,
    }
    environment.globals |= {
        "percent": labels.percent,
        "count": labels.count,
        "language": language.chosen,
        "stage": stage_times,
        "stages": STAGES,
        "interval": sentences.interval,
    }
    return environment


def _values(report: Report, thumbnails: Mapping[int, bytes] | None = None) -> dict[str, Any]:
    """Return the template's values of one scan; without thumbnails, with those of the site."""
    evidence = evidence_counts(report.evidence)
    folders = [
        (language.gettext(NO_FOLDER) if name == "." else name, counts)
        for name, counts in by_flagged(report.breakdown.folders)
    ]
    months, throughput = months_chart(report.breakdown.months), throughput_chart(report)
    evaluation = None if report.evaluation is None else _evaluation(report.evaluation)
    return {
        "report": report,
        "scan": report.scan,
        "name": language.gettext("Scan {id}").format(id=report.scan.scan_id),
        "counts": report.counts,
        "rate": report.rate_at_work,
        "created_at": time.time(),
        "answer": sentences.answer(report),
        "headline": tuple(prevalence.headline(report)),
        "estimate": tuple(prevalence.estimate(report)),
        "corrected": report.corrected,
        "findings": list(_findings(report, thumbnails)),
        "order": sentences.order(report),
        "settled": sentences.settled(report),
        "edited": sentences.edited(report),
        "copies": sentences.copies(report.breakdown.copies),
        "verdicts": [
            (key, language.gettext(name), language.gettext(meaning), images)
            for key, name, meaning, images in verdict_counts(report)
            if images
        ],
        "folders": folders[:ROWS],
        "more_folders": max(0, len(folders) - ROWS),
        "months": list(report.breakdown.months.items())[-ROWS:],
        "months_chart": months,
        "throughput_chart": throughput,
        "evidence": evidence.most_common(ROWS),
        "reasons": reason_counts(report.evidence).most_common(),
        "evaluation": evaluation,
        "charts": [
            *(chart for chart in (months, throughput) if chart is not None),
            *([] if evaluation is None else evaluation["charts"]),
        ],
    }


def _findings(report: Report, thumbnails: Mapping[int, bytes] | None) -> Iterator[NamedFinding]:
    thresholds = report.scan.plan.thresholds()
    for row in report.findings:
        if row.verdict is not None:
            if thumbnails is None:
                address = f"/scan/{report.scan.scan_id}/image/{row.image_id}"
                urls = f"{address}/thumbnail", f"{address}?verdict=ai&verdict=unsure"
            else:
                urls = _data_url(thumbnails.get(row.image_id, b"")), ""
            yield NamedFinding(row.path, row.verdict.outcome, why(row.verdict, thresholds), *urls)


def _data_url(body: bytes) -> str:
    if not body:
        return ""
    kind = "png" if body.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{b64encode(body).decode()}"


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    figures = accuracy.figures_of(evaluation)
    by_folder = {
        shown(name) if name else language.gettext(NO_FOLDER): matrix
        for name, matrix in evaluation.by_folder.items()
    }
    return {
        "all": evaluation,
        "title": accuracy.heading_of(evaluation),
        "basis": accuracy.basis(evaluation),
        "figures": evaluation.figures,
        "with_intervals": [
            (title, figures[name], evaluation.intervals.get(name), method)
            for name, (title, method) in accuracy.INTERVALS.items()
        ],
        "labels": accuracy.LABELS,
        "outcomes": (*Outcome, None),
        "false_positive_rate": sentences.false_positive_rate(evaluation),
        "charts": curve_charts(evaluation.curves),
        "by_folder": _largest(by_folder),
        "by_detector": _largest(evaluation.by_detector),
    }


def _largest(confusions: Mapping[str, Confusion]) -> list[tuple[str, Confusion]]:
    return sorted(confusions.items(), key=lambda item: -item[1].images)[:ROWS]


def _day(seconds: float | None) -> str:
    return "-" if seconds is None else labels.moment(seconds)
