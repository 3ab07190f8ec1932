"""Verdicts compared with labels as JSON, documented in json.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scanner.report.formats.json_parts import CONFIDENCE, bounds, share
from storage.paths import fields
from storage.records import Outcome

if TYPE_CHECKING:
    from scanner.report.figures.build import Evaluation
    from workers.evaluation.curves import Curves
    from workers.evaluation.metrics import ClassFigures, Confusion


def evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return the accuracy of scores and verdicts."""
    figures = evaluation.figures
    return {
        "images": evaluation.images,
        "scored": evaluation.scored,
        "accuracy": share(figures.accuracy),
        "precision": share(figures.fake.precision),
        "recall": share(figures.fake.recall),
        "f1": share(figures.fake.f1),
        "average_precision": share(figures.average_precision),
        "average_precision_real": share(figures.average_precision_real),
        "roc_auc": share(figures.roc_auc),
        "ece": share(evaluation.curves.ece),
        "confidence": CONFIDENCE,
        "intervals": {name: bounds(interval) for name, interval in evaluation.intervals.items()},
        "confusion": _confusion(figures.confusion),
        "classes": {
            "FAKE": _class(figures.fake),
            "REAL": _class(figures.real),
            "macro_average": _class(figures.macro),
            "weighted_average": _class(figures.weighted),
        },
        "by_verdict": {
            label: {
                "pending" if outcome is None else outcome.value: evaluation.by_verdict.get(
                    (is_ai, outcome), 0
                )
                for outcome in (*Outcome, None)
            }
            for label, is_ai in (("ai", True), ("real", False))
        },
        "by_folder": [
            {**fields(name or b"."), **_judged(matrix)}
            for name, matrix in evaluation.by_folder.items()
        ],
        "by_detector": [
            {"detector": name, **_judged(matrix)} for name, matrix in evaluation.by_detector.items()
        ],
        **_curves(evaluation.curves),
    }


def _class(figures: ClassFigures) -> dict[str, float | int | None]:
    return {
        "precision": share(figures.precision),
        "recall": share(figures.recall),
        "f1": share(figures.f1),
        "support": figures.support,
    }


def _confusion(matrix: Confusion) -> dict[str, int]:
    return {"tp": matrix.tp, "fp": matrix.fp, "fn": matrix.fn, "tn": matrix.tn}


def _judged(matrix: Confusion) -> dict[str, Any]:
    interval = matrix.accuracy_interval
    return {
        "images": matrix.images,
        "accuracy": share(matrix.accuracy),
        **({} if interval is None else bounds(interval)),
        "confusion": _confusion(matrix),
    }


def _curves(curves: Curves) -> dict[str, Any]:
    return {
        "roc": [[share(x), share(y)] for x, y in curves.roc],
        "precision_recall": [[share(x), share(y)] for x, y in curves.precision_recall],
        "reliability": [
            {
                "images": each.images,
                "score": share(each.score),
                "share": share(each.share),
                **bounds(each.interval),
            }
            for each in curves.reliability
        ],
    }
