"""Train a recipe's net: an epoch at a time, each kept on disk, so that a killed run goes on."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from workers.training import environment, nets
from workers.training.augment import augmented
from workers.training.data import Labelled, parts_of
from workers.training.recipes import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from workers.training.recipes import Recipe

BEST, HISTORY, RECIPE = "best.keras", "history.json", "recipe.json"


class RunError(Exception):
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


@dataclass(frozen=True, slots=True)
class Run:
    """Where a run lives and how it goes: `resume` goes on with what the folder holds."""

    data: Path
    out: Path
    seed: int = 1
    resume: bool = False


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Shuffled, augmented batches of one epoch; the same seed and epoch give the same batches."""

    def __init__(self, part: Labelled, recipe: Recipe, seed: tuple[int, int]) -> None:
        super().__init__()
        self._part = part
        self._batch = recipe.schedule.batch
        self._augmentation = recipe.augmentation
        self._seed = seed
        self._order = np.random.default_rng(seed).permutation(len(part))

    def __len__(self) -> int:
        # The odd pictures at the end wait for another epoch: a tiny last batch upsets the
        # statistics of batch normalisation.
        return max(1, len(self._part) // self._batch)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        chosen = self._order[index * self._batch : (index + 1) * self._batch]
        draw = np.random.default_rng((*self._seed, index))
        images = augmented(self._part.images[chosen], self._augmentation, draw)
        return images, self._part.labels[chosen].astype(np.float32)[:, None]


def train(recipe: Recipe, run: Run, tell: Callable[[str], None]) -> list[Epoch]:
    """Train until the schedule's end or until validation gets no better; give the epochs.

    The run's folder then holds `best.keras` (best validation accuracy), the last epoch's net with
    the optimiser's state, `history.json`, `recipe.json` and `environment.json`. Raises RunError
    when the folder holds another run.
    """
    _claim(recipe, run)
    keras.utils.set_random_seed(run.seed)
    parts = parts_of(recipe, run.data, run.out)
    history = _history(run.out)
    steps = len(Batches(parts.train, recipe, (run.seed, 0)))
    net = _net(recipe, _checkpoint(run.out, len(history)), steps)
    tell(f"{recipe.name}: {net.count_params():,} parameters, {len(parts.train):,} pictures")
    while len(history) < recipe.schedule.epochs and not _stale(history, recipe.schedule.patience):
        epoch = _one_epoch(net, parts.train, parts.validation, recipe, (run.seed, len(history) + 1))
        if all(epoch.validation_accuracy > before.validation_accuracy for before in history):
            _save(net, run.out / BEST)
        history.append(epoch)
        # The history is written last and says which checkpoint is whole: killed in between, the
        # epoch is run again as it was.
        _save(net, _checkpoint(run.out, epoch.epoch))
        _write_json(run.out / HISTORY, [asdict(each) for each in history])
        _checkpoint(run.out, epoch.epoch - 1).unlink(missing_ok=True)
        tell(
            f"epoch {epoch.epoch}: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.4f}, "
            f"validation {epoch.validation_accuracy:.4f}, {epoch.seconds:.0f} s"
        )
    return history


def _one_epoch(
    net: keras.Model, part: Labelled, held_out: Labelled, recipe: Recipe, seed: tuple[int, int]
) -> Epoch:
    started = time.monotonic()
    rate = float(net.optimizer.learning_rate.numpy())
    fitted = net.fit(Batches(part, recipe, seed), shuffle=False, verbose=0).history
    loss, accuracy = net.evaluate(
        held_out.images, held_out.labels.astype(np.float32)[:, None], batch_size=256, verbose=0
    )
    return Epoch(
        epoch=seed[1],
        loss=float(fitted["loss"][0]),
        accuracy=float(fitted["accuracy"][0]),
        validation_loss=float(loss),
        validation_accuracy=float(accuracy),
        learning_rate=rate,
        seconds=time.monotonic() - started,
    )


def _net(recipe: Recipe, checkpoint: Path, steps: int) -> keras.Model:
    how = recipe.schedule
    if checkpoint.exists():
        return keras.models.load_model(checkpoint)
    net = nets.build(recipe, recipe.precision)
    optimizer = keras.optimizers.AdamW(Cosines(how, steps), weight_decay=how.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    net.compile(
        optimizer,
        keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=how.label_smoothing),
        metrics=[keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)],
        # XLA's convolutions on a CPU are slower than those of oneDNN.
        jit_compile=False,
    )
    return net


@keras.saving.register_keras_serializable("scanner")
class Cosines(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The learning rate of a Schedule at a step: see there."""

    def __init__(self, schedule: Schedule | dict[str, float], steps: int) -> None:
        """`steps` are those of one epoch."""
        self._how = schedule if isinstance(schedule, Schedule) else Schedule(**schedule)  # type: ignore[arg-type]
        self._steps = steps

    def __call__(self, step: int) -> Any:  # noqa: ANN401 - a tensor
        """Give the rate; linear first, then down a cosine, then perhaps down a second one."""
        how = self._how
        epoch = ops.cast(step, "float32") / self._steps
        warm, first = how.warmup_epochs, how.epochs - how.more
        rising = how.peak * (1 / 25 + (1 - 1 / 25) * epoch / max(warm, 1e-9))
        falling = _cosine(how.peak, (epoch - warm) / max(first - warm, 1e-9))
        again = _cosine(how.again, (epoch - first) / max(how.more, 1))
        down = ops.where(epoch < first, falling, again) if how.more else falling
        return ops.where(epoch < warm, rising, down)

    def get_config(self) -> dict[str, object]:
        """What Keras saves with a net that is trained by it."""
        return {"schedule": asdict(self._how), "steps": self._steps}


def _cosine(peak: float, share: Any) -> Any:  # noqa: ANN401 - tensors
    return peak / 2 * (1 + ops.cos(math.pi * ops.clip(share, 0.0, 1.0)))


def _checkpoint(out: Path, epoch: int) -> Path:
    return out / f"epoch-{epoch:03}.keras"


def _claim(recipe: Recipe, run: Run) -> None:
    """Make the folder this run's own, or see that it is."""
    run.out.mkdir(parents=True, exist_ok=True)
    wanted = json.loads(json.dumps({"recipe": asdict(recipe), "seed": run.seed}))
    kept = run.out / RECIPE
    if kept.exists():
        if not run.resume:
            raise RunError(f"{run.out} holds a run already; go on with it by --resume")
        if json.loads(kept.read_text()) != wanted:
            raise RunError(f"{run.out} holds a run of another recipe, length or seed")
    _write_json(kept, wanted)
    _write_json(run.out / "environment.json", environment.describe())


def _history(out: Path) -> list[Epoch]:
    kept = out / HISTORY
    return [Epoch(**each) for each in json.loads(kept.read_text())] if kept.exists() else []


def _stale(history: list[Epoch], patience: int) -> bool:
    if not history:
        return False
    best = max(history, key=lambda each: each.validation_accuracy)
    return len(history) - best.epoch >= patience


def _save(net: keras.Model, path: Path) -> None:
    partial = path.with_name(f"partial-{path.name}")
    net.save(partial)
    partial.replace(path)


def _write_json(path: Path, what: object) -> None:
    partial = path.with_name(f"partial-{path.name}")
    partial.write_text(json.dumps(what, indent=1) + "\n")
    partial.replace(path)
