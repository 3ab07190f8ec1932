"""A run's folder: whose it is, how far it has come, and what it holds.

Everything is written beside its place first and then moved there, so that a killed run leaves
whole files only.
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
    """The run's folder holds something else than this run."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch came to; losses are mean cross-entropies, times are seconds."""

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
    """Where a run lives and how it goes: `resume` goes on with what the folder holds.

    `weights` is the folder of pretrained weights, where it is not that of the data.
    """

    data: Path
    out: Path
    seed: int = 1
    resume: bool = False
    weights: Path | None = None


def claim(recipe: Recipe | Probe, run: Run) -> None:
    """Make the folder this run's own, or see that it is; RunError where it is another's."""
    run.out.mkdir(parents=True, exist_ok=True)
    wanted = json.loads(json.dumps({"recipe": asdict(recipe), "seed": run.seed}))
    kept = run.out / RECIPE
    if kept.exists():
        if not run.resume:
            raise RunError(f"{run.out} holds a run already; go on with it by --resume")
        if json.loads(kept.read_text()) != wanted:
            raise RunError(f"{run.out} holds a run of another recipe, length or seed")
    write_json(kept, wanted)
    write_json(run.out / ENVIRONMENT, environment.describe())


def history_of(out: Path) -> list[Epoch]:
    """Give the epochs that a run has finished."""
    kept = out / HISTORY
    return [Epoch(**each) for each in json.loads(kept.read_text())] if kept.exists() else []


def best_of(history: Sequence[Epoch]) -> Epoch:
    """Give the epoch with the best validation accuracy, the first of equals."""
    return max(history, key=lambda each: each.validation_accuracy)


def best_net(out: Path, epoch: int) -> Path:
    """Where the net is kept as it was after an epoch that was the best so far."""
    return out / f"best-{epoch:03}.keras"


def checkpoint(out: Path, epoch: int) -> Path:
    """Where the net is kept as it was after an epoch, with its optimiser's state."""
    return out / f"epoch-{epoch:03}.keras"


def save(net: keras.Model, path: Path) -> None:
    """Write a net, whole or not at all."""
    _moved_into(path, net.save)


def write_json(path: Path, what: object) -> None:
    """Write a record, whole or not at all."""
    _moved_into(path, lambda partial: partial.write_text(json.dumps(what, indent=1) + "\n"))


def _moved_into(path: Path, write: Callable[[Path], Any]) -> None:
    partial = path.with_name(f"partial-{path.name}")
    write(partial)
    partial.replace(path)
