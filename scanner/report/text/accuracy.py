"""Verdicts against labels, on a terminal: classification table, confusion matrix, verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from scanner.report.text import labels
from scanner.report.text.grid import columns, safe
from scanner.report.text.sentences import accusations, interval
from storage.paths import shown
from storage.records import SCORE_THRESHOLD, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console
    from rich.table import Table

    from scanner.report.figures.build import Truth
    from workers.evaluation.metrics import ClassFigures, Classification, Confusion

# AI-made first, as the classes are called in the literature's data sets.
LABELS = ((True, "FAKE"), (False, "REAL"))
# Figures that have an interval: what they are called, and how the interval is got.
INTERVALS = {
    "accuracy": ("accuracy", "Wilson"),
    "precision": ("precision", "Wilson"),
    "recall": ("recall", "Wilson"),
    "f1": ("F1", "bootstrap"),
    "average_precision": ("average precision", "bootstrap"),
    "roc_auc": ("ROC AUC", "bootstrap"),
    "ece": ("expected calibration error", "bootstrap"),
}
# Rows of a table by folder; the JSON has all.
ROWS = 12


def print_truth(truth: Truth, console: Console) -> None:
    """Print how right the scores and the verdicts are."""
    labelled = labels.count(truth.images, "image", "images")
    console.print()
    console.print(Text(f"Against the labels of {labelled}", style="bold"))
    if truth.scored:
        console.print(
            Text(f"{truth.scored:,} with a score; {SCORE_THRESHOLD} or more counts as FAKE")
        )
        console.print()
        console.print(_classes(truth.figures))
        console.print()
        console.print(_confusion(truth.figures))
        console.print()
        console.print(_ranking(truth))
        console.print()
        console.print(_intervals(truth))
    console.print()
    console.print(_verdicts(truth))
    console.print(Text(accusations(truth)))
    parts = (
        ("By folder", {shown(name or b"."): one for name, one in truth.by_folder.items()}),
        ("By detector", {safe(name): one for name, one in truth.by_detector.items()}),
    )
    for title, confusions in parts:
        if len(confusions) > 1:
            console.print()
            console.print(_accuracies(title, confusions))


def _classes(figures: Classification) -> Table:
    table = columns("", "precision", "recall", "F1", "support")

    def add(name: str, one: ClassFigures) -> None:
        each = (labels.figure(value) for value in (one.precision, one.recall, one.f1))
        table.add_row(name, *each, f"{one.support:,}")

    add("FAKE", figures.fake)
    add("REAL", figures.real)
    table.add_row("accuracy", "", "", labels.figure(figures.accuracy), f"{figures.macro.support:,}")
    add("macro average", figures.macro)
    add("weighted average", figures.weighted)
    return table


def _confusion(figures: Classification) -> Table:
    matrix = figures.confusion
    table = columns("", "scored FAKE", "scored REAL")
    table.add_row("FAKE", f"{matrix.tp:,}", f"{matrix.fn:,}")
    table.add_row("REAL", f"{matrix.fp:,}", f"{matrix.tn:,}")
    return table


def _ranking(truth: Truth) -> Table:
    figures = truth.figures
    table = columns("", "FAKE", "REAL")
    table.add_row(
        "average precision",
        labels.figure(figures.average_precision),
        labels.figure(figures.average_precision_real),
    )
    table.add_row("ROC AUC", labels.figure(figures.roc_auc), "")
    table.add_row("expected calibration error", labels.figure(truth.curves.ece), "")
    return table


def _intervals(truth: Truth) -> Table:
    table = columns("95 % intervals (FAKE is positive)", "from", "to")
    for name, (title, _) in INTERVALS.items():
        if name in truth.intervals:
            table.add_row(title, *interval(truth.intervals[name]).split(" to "))
    return table


def _accuracies(title: str, confusions: Mapping[str, Confusion]) -> Table:
    table = columns(title, "images", "accuracy", "from", "to", "missed", "accused")
    most = sorted(confusions.items(), key=lambda item: -item[1].images)
    for name, at in most[:ROWS]:
        table.add_row(
            Text(name),
            f"{at.images:,}",
            labels.figure(at.accuracy),
            *interval(at.accuracy_interval).split(" to "),
            f"{at.fn:,}",
            f"{at.fp:,}",
        )
    return table


def _verdicts(truth: Truth) -> Table:
    outcomes = (*Outcome, None)
    table = columns("By verdict", *(labels.VERDICTS[outcome][0] for outcome in outcomes))
    for made, label in LABELS:
        numbers = (truth.by_verdict.get((made, outcome), 0) for outcome in outcomes)
        table.add_row(label, *(f"{number:,}" for number in numbers))
    return table
