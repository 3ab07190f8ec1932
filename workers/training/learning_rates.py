"""Learning rates and optimisers, made from what a recipe says of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from workers.training.recipes.recipe import Cosine, Phase, Plateau

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def optimizer(phase: Phase, steps: int) -> keras.optimizers.Optimizer:
    """Make the optimiser of a phase whose epochs have so many `steps`."""
    how = phase.rate
    rate = Cosines.of(how, phase.epochs, steps) if isinstance(how, Cosine) else how.start
    if phase.optimizer == "sgd":
        return keras.optimizers.SGD(
            rate, momentum=phase.momentum, weight_decay=phase.weight_decay or None
        )
    if phase.optimizer == "adam":
        return keras.optimizers.Adam(rate)
    decaying = keras.optimizers.AdamW(rate, weight_decay=phase.weight_decay)
    decaying.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return decaying


def on_plateau(how: Plateau, accuracies: Sequence[float]) -> float:
    """Give the rate of the next epoch, after epochs with these validation accuracies."""
    rate, best, waited = how.start, -math.inf, 0
    for accuracy in accuracies:
        waited = 0 if accuracy > best else waited + 1
        best = max(best, accuracy)
        if waited == how.patience:
            rate, waited = max(rate * how.factor, how.lowest), 0
    return rate


@keras.saving.register_keras_serializable("scanner")
class Cosines(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The learning rate of a Cosine at a step: see there."""

    def __init__(self, schedule: Mapping[str, float], steps: int) -> None:
        """`steps` are those of one epoch; `schedule` is a Cosine with `epochs` in a dictionary."""
        self._how = schedule
        self._steps = steps

    @classmethod
    def of(cls, how: Cosine, epochs: int, steps: int) -> Cosines:
        """Make the rate of so many epochs of `steps` each."""
        schedule = {
            "epochs": epochs,
            "peak": how.peak,
            "warmup_epochs": how.warmup_epochs,
        }
        return cls(schedule, steps)

    def __call__(self, step: int) -> Any:  # noqa: ANN401 - a tensor
        """Give the rate; linear first, then down a cosine."""
        peak, warm = self._how["peak"], self._how["warmup_epochs"]
        epoch = ops.cast(step, "float32") / self._steps
        rising = peak * (1 / 25 + (1 - 1 / 25) * epoch / max(warm, 1e-9))
        share = (epoch - warm) / max(self._how["epochs"] - warm, 1e-9)
        falling = peak / 2 * (1 + ops.cos(math.pi * ops.clip(share, 0.0, 1.0)))
        return ops.where(epoch < warm, rising, falling)

    def get_config(self) -> dict[str, object]:
        """What Keras saves with a net that is trained by it."""
        return {"schedule": dict(self._how), "steps": self._steps}
