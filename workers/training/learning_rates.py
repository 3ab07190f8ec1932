"""Learning rates and optimisers of a recipe."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from workers.training.recipes.recipe import Cosine, Phase, Plateau

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def optimizer(phase: Phase, steps: int) -> keras.optimizers.Optimizer:
    """Return the optimiser of a phase whose epochs have this number of `steps`."""
    rate: CosineSchedule | float
    if isinstance(phase.rate, Cosine):
        rate = CosineSchedule.of(phase.rate, phase.epochs, steps)
    else:
        rate = phase.rate.start
    averaging = {"use_ema": bool(phase.averaged), "ema_momentum": phase.averaged or None}
    if phase.optimizer == "sgd":
        return keras.optimizers.SGD(
            rate, momentum=phase.momentum, weight_decay=phase.weight_decay or None, **averaging
        )
    if phase.optimizer == "adam":
        return keras.optimizers.Adam(rate, **averaging)
    decaying = keras.optimizers.AdamW(rate, weight_decay=phase.weight_decay, **averaging)
    decaying.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return decaying


def on_plateau(plateau: Plateau, accuracies: Sequence[float]) -> float:
    """Return the rate of the next epoch, after epochs with these validation accuracies."""
    rate, best, waited = plateau.start, -math.inf, 0
    for accuracy in accuracies:
        waited = 0 if accuracy > best else waited + 1
        best = max(best, accuracy)
        if waited == plateau.patience:
            rate, waited = max(rate * plateau.factor, plateau.lowest), 0
    return rate


# The registered name is part of saved checkpoints.
@keras.saving.register_keras_serializable("scanner", name="Cosines")
class CosineSchedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Learning rate of a `Cosine` at each step."""

    def __init__(self, schedule: Mapping[str, float], steps: int) -> None:
        """Take a Cosine with its `epochs` as a dictionary, and the `steps` of one epoch."""
        self._schedule = schedule
        self._steps = steps

    @classmethod
    def of(cls, cosine: Cosine, epochs: int, steps: int) -> CosineSchedule:
        """Return the schedule of a number of epochs with `steps` each."""
        schedule = {
            "epochs": epochs,
            "peak": cosine.peak,
            "warmup_epochs": cosine.warmup_epochs,
        }
        return cls(schedule, steps)

    def __call__(self, step: int) -> Any:  # noqa: ANN401 - a tensor
        """Return the rate: a linear warm-up, then a falling cosine."""
        peak, warm = self._schedule["peak"], self._schedule["warmup_epochs"]
        epoch = ops.cast(step, "float32") / self._steps
        rising = peak * (1 / 25 + (1 - 1 / 25) * epoch / max(warm, 1e-9))
        share = (epoch - warm) / max(self._schedule["epochs"] - warm, 1e-9)
        falling = peak / 2 * (1 + ops.cos(math.pi * ops.clip(share, 0.0, 1.0)))
        return ops.where(epoch < warm, rising, falling)

    def get_config(self) -> dict[str, object]:
        """Return what Keras saves in a checkpoint."""
        return {"schedule": dict(self._schedule), "steps": self._steps}
