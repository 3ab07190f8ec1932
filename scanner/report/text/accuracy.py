"""Verdicts compared with labels, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from scanner.language import gettext, marked
from scanner.report.text import labels, sentences
from scanner.report.text.tables import columns, heading, safe
from storage.paths import shown
from storage.records import SCORE_THRESHOLD, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console, RenderableType
    from rich.table import Table

    from scanner.report.figures.build import Evaluation
    from workers.evaluation.metrics import ClassFigures, Classification, Confusion

# By label; the names of the classes in the literature's data sets.
LABELS = ((True, "FAKE"), (False, "REAL"))
# Figures with an interval: their titles, and the method of the interval.
INTERVALS = {
    "accuracy": (marked("accuracy"), marked("Wilson")),
    "precision": (marked("precision"), marked("Wilson")),
    "recall": (marked("recall"), marked("Wilson")),
    "f1": (marked("F1"), marked("bootstrap")),
    "average_precision": (marked("average precision"), marked("bootstrap")),
    "roc_auc": (marked("ROC AUC"), marked("bootstrap")),
    "ece": (marked("expected calibration error"), marked("bootstrap")),
}
# Figures of the short report.
SHORT = ("accuracy", "precision", "recall", "f1", "roc_auc")
# Rows of a table by folder; the JSON has all.
ROWS = 12


def figures_of(evaluation: Evaluation) -> dict[str, float | None]:
    """Return the figures that have an interval, by name."""
    figures = evaluation.figures
    return {
        "accuracy": figures.accuracy,
        "precision": figures.fake.precision,
        "recall": figures.fake.recall,
        "f1": figures.fake.f1,
        "average_precision": figures.average_precision,
        "roc_auc": figures.roc_auc,
        "ece": evaluation.curves.ece,
    }


def heading_of(evaluation: Evaluation) -> str:
    """Return the title of the figures, with the images that they are of."""
    images = labels.count(evaluation.images, "labelled image", "labelled images")
    if evaluation.scored in (0, evaluation.images):
        return gettext("Accuracy on {images}").format(images=images)
    return gettext("Accuracy on the {scored} scored of {images}").format(
        scored=f"{evaluation.scored:,}", images=images
    )


def basis(evaluation: Evaluation) -> str:
    """Return which images and which threshold the figures are of."""
    return gettext(
        "Figures of the {number} with a score; {threshold} or more counts as FAKE, the positive "
        "class."
    ).format(number=f"{evaluation.scored:,}", threshold=SCORE_THRESHOLD)


def short_accuracy(evaluation: Evaluation, *, compact: bool) -> Iterator[RenderableType]:
    """Yield the main figures with their intervals, `compact` without."""
    title = Text(heading_of(evaluation), style="bold")
    if evaluation.scored:
        title.append(f" (AI from a score of {SCORE_THRESHOLD})", style="not bold")
    yield title
    if evaluation.scored:
        figures = figures_of(evaluation)
        if compact:
            values = (f"{INTERVALS[name][0]} {labels.figure(figures[name])}" for name in SHORT)
            yield Text(", ".join(values))
            return
        table = columns("", "", "95 % interval")
        for name in SHORT:
            bounds = sentences.interval(evaluation.intervals.get(name))
            table.add_row(INTERVALS[name][0], labels.figure(figures[name]), bounds)
        yield table
    yield Text(sentences.false_positive_rate(evaluation))


def print_accuracy(evaluation: Evaluation, console: Console) -> None:
    """Print all figures against labels."""
    heading(console, heading_of(evaluation))
    if evaluation.scored:
        console.print(Text(basis(evaluation)))
        for table in (
            _classes(evaluation.figures),
            _confusion(evaluation.figures),
            _ranking(evaluation),
            _intervals(evaluation),
        ):
            console.print()
            console.print(table)
    console.print()
    console.print(_verdicts(evaluation))
    console.print(Text(sentences.false_positive_rate(evaluation)))
    by_folder = {shown(name or b"."): matrix for name, matrix in evaluation.by_folder.items()}
    by_detector = {safe(name): matrix for name, matrix in evaluation.by_detector.items()}
    for title, confusions in (("By folder", by_folder), ("By detector", by_detector)):
        if len(confusions) > 1:
            console.print()
            console.print(_accuracies(title, confusions))


def _classes(figures: Classification) -> Table:
    table = columns("", "precision", "recall", "F1", "support")

    def add(name: str, row: ClassFigures) -> None:
        cells = (labels.figure(value) for value in (row.precision, row.recall, row.f1))
        table.add_row(name, *cells, f"{row.support:,}")

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


def _ranking(evaluation: Evaluation) -> Table:
    figures = evaluation.figures
    table = columns("", "FAKE", "REAL")
    table.add_row(
        "average precision",
        labels.figure(figures.average_precision),
        labels.figure(figures.average_precision_real),
    )
    table.add_row("ROC AUC", labels.figure(figures.roc_auc), "")
    table.add_row("expected calibration error", labels.figure(evaluation.curves.ece), "")
    return table


def _intervals(evaluation: Evaluation) -> Table:
    table = columns("95 % intervals", "from", "to")
    for name, (title, _) in INTERVALS.items():
        if name in evaluation.intervals:
            table.add_row(title, *sentences.interval(evaluation.intervals[name]).split(" to "))
    return table


def _accuracies(title: str, confusions: Mapping[str, Confusion]) -> Table:
    table = columns(title, "images", "accuracy", "from", "to", "missed", "false pos.")
    largest = sorted(confusions.items(), key=lambda item: -item[1].images)
    for name, matrix in largest[:ROWS]:
        table.add_row(
            Text(name),
            f"{matrix.images:,}",
            labels.figure(matrix.accuracy),
            *sentences.interval(matrix.accuracy_interval).split(" to "),
            f"{matrix.fn:,}",
            f"{matrix.fp:,}",
        )
    return table


def _verdicts(evaluation: Evaluation) -> Table:
    outcomes = (*Outcome, None)
    table = columns("By verdict", *(labels.VERDICTS[outcome][0] for outcome in outcomes))
    for label, name in LABELS:
        numbers = (evaluation.by_verdict.get((label, outcome), 0) for outcome in outcomes)
        table.add_row(name, *(f"{number:,}" for number in numbers))
    return table
