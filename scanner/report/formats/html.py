"""A report as one HTML file that needs nothing else: no network, no script, no font."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from scanner.report.formats.charts import Chart, course_chart, curve_charts, months_chart
from scanner.report.text import labels, machine, sentences
from scanner.report.text.accuracy import INTERVALS, LABELS
from scanner.report.text.breakdown import by_suspects
from scanner.report.text.grid import safe
from scanner.report.text.report import evidence_counts
from storage.paths import shown
from storage.reads.aggregates import STAGES
from storage.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scanner.report.figures.build import Report
    from scanner.report.figures.compare import Comparison
    from storage.reads.aggregates import HostFigures
    from workers.evaluation.metrics import Confusion

# Rows of a table; the JSON has all.
ROWS = 40


def report_html(report: Report) -> str:
    """The page on one scan."""
    return _environment().get_template("report.html").render(_of(report))


def comparison_html(found: Comparison) -> str:
    """The page on two scans and what changed between them."""
    page = _environment().get_template("comparison.html")
    return page.render(
        before=_of(found.before),
        after=_of(found.after),
        found=found,
        changed=sentences.changed(found),
        mcnemar=None if found.mcnemar is None else sentences.mcnemar(found.mcnemar),
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("scanner.report.formats"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "safe_text": safe,
        "made_of": machine.made_of,
        "health": machine.how_it_was,
        "shown": shown,
        "number": lambda number: f"{number:,}",
        "figure": labels.figure,
        "ai_from": labels.ai_from,
        "skipped": labels.skipped,
        "duration": labels.duration,
        "day": _day,
        "verdict": lambda outcome: labels.VERDICTS[outcome][0],
    }
    environment.globals |= {
        "percent": labels.percent,
        "count": labels.count,
        "stage": _stage,
        "stages": STAGES,
        "interval": sentences.interval,
    }
    return environment


def _of(report: Report) -> dict[str, Any]:
    """What a page says of a scan."""
    found, reasons = evidence_counts(report.evidence)
    folders = by_suspects(report.breakdown.folders)
    return {
        "report": report,
        "scan": report.scan,
        "counts": report.counts,
        "made_at": time.time(),
        "answer": sentences.answer(report),
        "estimate": tuple(sentences.estimate(report)),
        "corrected": report.corrected,
        "copies": sentences.copies(report.breakdown.copies),
        "verdicts": _verdicts(report),
        "folders": folders[:ROWS],
        "more_folders": max(0, len(folders) - ROWS),
        "months": list(report.breakdown.months.items())[-ROWS:],
        "months_chart": months_chart(report.breakdown.months),
        "course_chart": course_chart(report),
        "evidence": found.most_common(ROWS),
        "reasons": reasons.most_common(),
        "truth": None if report.truth is None else _truth(report),
    }


def _verdicts(report: Report) -> list[tuple[str, str, str, int]]:
    """Each verdict's class in the page, name, meaning and number of images."""
    counts = report.counts
    numbers = (
        ("ai", labels.VERDICTS[Outcome.AI], counts.ai),
        ("unsure", labels.VERDICTS[Outcome.UNSURE], counts.unsure),
        ("nothing", labels.VERDICTS[Outcome.NO_EVIDENCE], counts.no_evidence - counts.not_examined),
        ("unseen", labels.NOT_EXAMINED, counts.not_examined),
        ("error", labels.VERDICTS[Outcome.ERROR], counts.error),
        ("pending", labels.VERDICTS[None], counts.pending),
    )
    return [(key, name, meaning, images) for key, (name, meaning), images in numbers if images]


def _truth(report: Report) -> dict[str, Any]:
    truth = report.truth
    if truth is None:
        raise ValueError("without labels there is nothing to say of them")
    figures = truth.figures
    of_figure = {
        "accuracy": figures.accuracy,
        "precision": figures.fake.precision,
        "recall": figures.fake.recall,
        "f1": figures.fake.f1,
        "average_precision": figures.average_precision,
        "roc_auc": figures.roc_auc,
        "ece": truth.curves.ece,
    }
    charts: list[Chart] = curve_charts(truth.curves)
    return {
        "all": truth,
        "figures": figures,
        "sure": [
            (title, of_figure[name], truth.intervals.get(name), method)
            for name, (title, method) in INTERVALS.items()
        ],
        "labels": LABELS,
        "outcomes": (*Outcome, None),
        "accusations": sentences.accusations(truth),
        "charts": charts,
        "by_folder": _largest({shown(k or b"."): one for k, one in truth.by_folder.items()}),
        "by_detector": _largest(truth.by_detector),
    }


def _largest(confusions: Mapping[str, Confusion]) -> list[tuple[str, Confusion]]:
    return sorted(confusions.items(), key=lambda item: -item[1].images)[:ROWS]


def _day(at: float | None) -> str:
    return "-" if at is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def _stage(host: HostFigures, stage: str) -> str:
    took = host.stages.get(stage)
    if took is None:
        return "-"
    return f"{labels.milliseconds(took.p50_us)} / {labels.milliseconds(took.p95_us)}"
