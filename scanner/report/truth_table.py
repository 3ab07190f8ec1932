"""Verdicts against labels, on a terminal: classification table, confusion matrix, verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from scanner.report import words
from scanner.report.metrics import THRESHOLD
from storage.records import Outcome

if TYPE_CHECKING:
    from rich.console import Console

    from scanner.report.build import Truth
    from scanner.report.metrics import ClassFigures, Classification

# AI-made first, as the classes are called in the literature's data sets.
LABELS = ((True, "FAKE"), (False, "REAL"))


def print_truth(truth: Truth, console: Console) -> None:
    """Print how right the scores and the verdicts are."""
    labelled = words.count(truth.images, "image", "images")
    console.print()
    console.print(Text(f"Against the labels of {labelled}", style="bold"))
    if truth.scored:
        console.print(
            Text(f"By score, over {truth.scored:,} scored ones; from {THRESHOLD} up counts as FAKE")
        )
        console.print()
        console.print(_classes(truth.figures))
        console.print()
        console.print(_confusion(truth.figures))
        console.print()
        console.print(_ranking(truth.figures))
    console.print()
    console.print(_verdicts(truth))
    console.print(Text(accusations(truth)))


def accusations(truth: Truth) -> str:
    """How often the verdict `ai` was wrong, in words."""
    called = {made: truth.by_verdict.get((made, Outcome.AI), 0) for made, _ in LABELS}
    real = sum(number for (made, _), number in truth.by_verdict.items() if not made)
    total = called[True] + called[False]
    if total == 0:
        return "No labelled image was called AI-made."
    were = "was" if called[False] == 1 else "were"
    text = f"Of {total:,} called AI-made, {called[False]:,} {were} not"
    return f"{text}: {words.percent(called[False], real)} of the REAL ones." if real else f"{text}."


def _grid(*headers: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for place, header in enumerate(headers):
        table.add_column(header, justify="right" if place else "left", no_wrap=True)
    return table


def _classes(figures: Classification) -> Table:
    table = _grid("", "precision", "recall", "F1", "support")

    def add(name: str, one: ClassFigures) -> None:
        each = (words.figure(value) for value in (one.precision, one.recall, one.f1))
        table.add_row(name, *each, f"{one.support:,}")

    add("FAKE", figures.fake)
    add("REAL", figures.real)
    table.add_row("accuracy", "", "", words.figure(figures.accuracy), f"{figures.macro.support:,}")
    add("macro average", figures.macro)
    add("weighted average", figures.weighted)
    return table


def _confusion(figures: Classification) -> Table:
    matrix = figures.confusion
    table = _grid("", "scored FAKE", "scored REAL")
    table.add_row("FAKE", f"{matrix.tp:,}", f"{matrix.fn:,}")
    table.add_row("REAL", f"{matrix.fp:,}", f"{matrix.tn:,}")
    return table


def _ranking(figures: Classification) -> Table:
    table = _grid("", "FAKE", "REAL")
    table.add_row(
        "average precision",
        words.figure(figures.average_precision),
        words.figure(figures.average_precision_real),
    )
    table.add_row("ROC AUC", words.figure(figures.roc_auc), "")
    return table


def _verdicts(truth: Truth) -> Table:
    outcomes = (*Outcome, None)
    table = _grid("By verdict", *(words.VERDICTS[outcome][0] for outcome in outcomes))
    for made, label in LABELS:
        numbers = (truth.by_verdict.get((made, outcome), 0) for outcome in outcomes)
        table.add_row(label, *(f"{number:,}" for number in numbers))
    return table
