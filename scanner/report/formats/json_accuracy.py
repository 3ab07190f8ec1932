"""Verdicts against labels as JSON, documented in json.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scanner.report.formats.json_parts import CONFIDENCE, ends, share
from storage.paths import fields
from storage.records import Outcome

if TYPE_CHECKING:
    from scanner.report.figures.build import Truth
    from workers.evaluation.curves import Curves
    from workers.evaluation.metrics import ClassFigures, Confusion


def truth_json(truth: Truth) -> dict[str, Any]:
    """How right scores and verdicts are."""
    figures = truth.figures
    return {
        "images": truth.images,
        "scored": truth.scored,
        "accuracy": share(figures.accuracy),
        "precision": share(figures.fake.precision),
        "recall": share(figures.fake.recall),
        "f1": share(figures.fake.f1),
        "average_precision": share(figures.average_precision),
        "average_precision_real": share(figures.average_precision_real),
        "roc_auc": share(figures.roc_auc),
        "ece": share(truth.curves.ece),
        "confidence": CONFIDENCE,
        "intervals": {name: ends(one) for name, one in truth.intervals.items()},
        "confusion": _confusion(figures.confusion),
        "classes": {
            "FAKE": _class(figures.fake),
            "REAL": _class(figures.real),
            "macro_average": _class(figures.macro),
            "weighted_average": _class(figures.weighted),
        },
        "by_verdict": {
            label: {
                "pending" if outcome is None else outcome.value: truth.by_verdict.get(
                    (made, outcome), 0
                )
                for outcome in (*Outcome, None)
            }
            for label, made in (("ai", True), ("real", False))
        },
        "by_folder": [
            {**fields(name or b"."), **_judged(one)} for name, one in truth.by_folder.items()
        ],
        "by_detector": [
            {"detector": name, **_judged(one)} for name, one in truth.by_detector.items()
        ],
        **_curves(truth.curves),
    }


def _class(figures: ClassFigures) -> dict[str, float | int | None]:
    return {
        "precision": share(figures.precision),
        "recall": share(figures.recall),
        "f1": share(figures.f1),
        "support": figures.support,
    }


def _confusion(at: Confusion) -> dict[str, int]:
    return {"tp": at.tp, "fp": at.fp, "fn": at.fn, "tn": at.tn}


def _judged(at: Confusion) -> dict[str, Any]:
    return {
        "images": at.images,
        "accuracy": share(at.accuracy),
        **({} if at.accuracy_interval is None else ends(at.accuracy_interval)),
        "confusion": _confusion(at),
    }


def _curves(curves: Curves) -> dict[str, Any]:
    return {
        "roc": [[share(x), share(y)] for x, y in curves.roc],
        "precision_recall": [[share(x), share(y)] for x, y in curves.precision_recall],
        "reliability": [
            {
                "images": one.images,
                "score": share(one.score),
                "share": share(one.share),
                **ends(one.interval),
            }
            for one in curves.reliability
        ],
    }
