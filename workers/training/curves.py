"""A run's picture: learning curves and confusion matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from workers.detectors.card import Measured
    from workers.training.train import Epoch


def draw(title: str, history: Sequence[Epoch], measured: Measured, path: Path) -> None:
    """Draw loss, accuracy and the confusion matrix of a run side by side, as PNG."""
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
    accuracies.axhline(measured.accuracy, linestyle="--", color="grey", label="test, int8")
    accuracies.set(title="Accuracy", xlabel="epoch")
    for axes in (losses, accuracies):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
    _matrix(matrix, measured)
    figure.suptitle(title)
    figure.savefig(path, dpi=100)


def _matrix(axes: Axes, measured: Measured) -> None:
    at = measured.confusion
    counts = np.array([[at.tp, at.fn], [at.fp, at.tn]])
    axes.imshow(counts, cmap="Blues", vmin=0)
    for (row, column), count in np.ndenumerate(counts):
        shade = "white" if count > counts.max() / 2 else "black"
        axes.text(column, row, f"{count:,}", ha="center", va="center", color=shade)
    axes.set_xticks((0, 1), ("FAKE", "REAL"))
    axes.set_yticks((0, 1), ("FAKE", "REAL"))
    axes.set(title=f"Test, int8: {measured.accuracy:.4f}", xlabel="called", ylabel="is")
