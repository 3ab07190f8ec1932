"""A plot of a run: learning curves and confusion matrix."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from workers.detectors.card import Measured
    from workers.training.runs import Epoch


def draw(title: str, history: Sequence[Epoch], measured: Measured, path: Path) -> None:
    """Draw loss, accuracy and the test set's confusion matrix side by side, as PNG.

    A dotted line separates the phases of training.
    """
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    losses, accuracies, matrix = figure.subplots(1, 3)
    epochs = [each.epoch for each in history]
    losses.plot(epochs, [each.loss for each in history], "o-", label="training")
    losses.plot(epochs, [each.validation_loss for each in history], "s-", label="validation")
    losses.set(title="Loss", xlabel="epoch", ylabel="cross-entropy")
    accuracies.plot(epochs, [each.accuracy for each in history], "o-", label="training")
    accuracies.plot(
        epochs, [each.validation_accuracy for each in history], "s-", label="validation"
    )
    accuracies.axhline(measured.accuracy, linestyle="--", color="grey", label="test")
    accuracies.set(title="Accuracy", xlabel="epoch")
    for axes in (losses, accuracies):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(visible=True, alpha=0.3)
        for last, first in pairwise(history):
            if first.phase != last.phase:
                axes.axvline(last.epoch + 0.5, linestyle=":", color="grey")
        axes.legend()
    _draw_matrix(matrix, measured)
    figure.suptitle(title)
    figure.savefig(path, dpi=100)


def _draw_matrix(axes: Axes, measured: Measured) -> None:
    confusion = measured.confusion
    counts = np.array([[confusion.tp, confusion.fn], [confusion.fp, confusion.tn]])
    axes.imshow(counts, cmap="Blues", vmin=0)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if count > counts.max() / 2 else "black"
        axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour)
    axes.set_xticks((0, 1), ("FAKE", "REAL"))
    axes.set_yticks((0, 1), ("FAKE", "REAL"))
    axes.set(title=f"Test: {measured.accuracy:.4f}", xlabel="predicted", ylabel="label")
