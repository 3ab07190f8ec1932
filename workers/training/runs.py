"""The folder of a training run: what it is a run of, and the epochs so far.

Each file is written beside its place and then moved there, so that a killed run leaves only
complete files.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from storage.errors import ScannerError
from workers.training import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import keras

    from workers.training.recipes.probes import Probe
    from workers.training.recipes.recipe import Recipe

HISTORY, RECIPE = "history.json", "recipe.json"
ENVIRONMENT, WEIGHTS = "environment.json", "weights.json"


class RunError(ScannerError):
    """The folder belongs to another run, or the run has not come far enough."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """Results of one epoch; losses are mean cross-entropies, times are seconds."""

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    seconds: float
    phase: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """Folders and seed of a run; `resume` continues what the folder `out` holds.

    `weights` is the folder of pretrained weights if it is not that of the data, `cache` that of
    embeddings if runs share it.
    """

    data: Path
    out: Path
    seed: int = 1
    resume: bool = False
    weights: Path | None = None
    cache: Path | None = None


def claim(recipe: Recipe | Probe, run: Run) -> None:
    """Make the folder that of this run; RunError where it is another run's."""
    run.out.mkdir(parents=True, exist_ok=True)
    expected = json.loads(json.dumps({"recipe": asdict(recipe), "seed": run.seed}))
    file = run.out / RECIPE
    if file.exists():
        if not run.resume:
            raise RunError(f"{run.out} holds a run already: continue it with --resume")
        if json.loads(file.read_text()) != expected:
            raise RunError(f"{run.out} holds a run of another recipe, length or seed")
    write_json(file, expected)
    write_json(run.out / ENVIRONMENT, environment.describe())


def read_history(out: Path) -> list[Epoch]:
    """Return the finished epochs of a run."""
    file = out / HISTORY
    return [Epoch(**each) for each in json.loads(file.read_text())] if file.exists() else []


def best_epoch(history: Sequence[Epoch]) -> Epoch:
    """Return the epoch with the best validation accuracy, the first of equals."""
    return max(history, key=lambda each: each.validation_accuracy)


def best_model_file(out: Path, epoch: int) -> Path:
    """Return the file of the network after an epoch that was the best so far."""
    return out / f"best-{epoch:03}.keras"


def checkpoint_file(out: Path, epoch: int) -> Path:
    """Return the file of the network after an epoch, with the optimiser's state."""
    return out / f"epoch-{epoch:03}.keras"


def save_model(model: keras.Model, path: Path) -> None:
    """Write a model atomically."""
    _write_atomically(path, model.save)


def write_json(path: Path, record: object) -> None:
    """Write a record atomically."""
    _write_atomically(path, lambda partial: partial.write_text(json.dumps(record, indent=1) + "\n"))


def _write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    partial = path.with_name(f"partial-{path.name}")
    write(partial)
    partial.replace(path)
