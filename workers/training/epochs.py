"""Training of a network, epoch by epoch; each is saved, so that a killed run can resume."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import keras

from workers.training import environment, learning_rates
from workers.training.data.batches import (
    Batches,
    Samples,
    augmented_samples,
    batches_per_epoch,
    fixed_samples,
    targets,
)
from workers.training.data.split import read_split
from workers.training.networks import models
from workers.training.networks.pretrained_weights import load_weights
from workers.training.recipes.recipe import Plateau
from workers.training.runs import (
    HISTORY,
    WEIGHTS,
    Epoch,
    Run,
    best_epoch,
    best_model_file,
    checkpoint_file,
    claim,
    read_history,
    save_model,
    write_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from workers.training.data.datasets import LabelledArrays
    from workers.training.recipes.recipe import Phase, Recipe

# Batches that give the statistics of batch normalisation after the weights were averaged.
STATISTICS_BATCHES = 60


@dataclass(frozen=True, slots=True)
class PhaseModel:
    """The compiled model that a phase trains, and the frozen base before it, if any."""

    trained: keras.Model
    base: keras.Model | None

    def whole(self) -> keras.Model:
        """Return the network from pixels to logits."""
        return self.trained if self.base is None else models.join(self.base, self.trained)


@dataclass(frozen=True, slots=True)
class TrainingState:
    """A recipe's run, its images, and the epochs so far, which grow."""

    recipe: Recipe
    run: Run
    images: LabelledArrays
    validation: LabelledArrays
    history: list[Epoch]

    def epochs_of(self, phase: int) -> list[Epoch]:
        """Return the finished epochs of a phase."""
        return [each for each in self.history if each.phase == phase]

    def is_over(self, phase: int) -> bool:
        """Return whether a phase has all its epochs or has stopped improving."""
        settings, epochs = self.recipe.phases[phase], self.epochs_of(phase)
        later = any(each.phase > phase for each in self.history)
        return later or len(epochs) >= settings.epochs or _is_stale(epochs, settings.patience)


def train(recipe: Recipe, run: Run, report: Callable[[str], None]) -> list[Epoch]:
    """Train through the recipe's phases and return the epochs.

    The run's folder then holds `best-NNN.keras` (best validation accuracy), the last epoch's model
    with the optimiser's state, `history.json`, `recipe.json` and `environment.json`. Raises
    RunError when the folder holds another run.
    """
    claim(recipe, run)
    keras.utils.set_random_seed(run.seed)
    parts = read_split(recipe.data, run.data, run.out)
    state = TrainingState(
        recipe, run, parts.all_training(), parts.validation, read_history(run.out)
    )
    report(f"{recipe.name}: {len(state.images):,} images")
    for phase in range(len(recipe.phases)):
        for epoch in _train_phase(state, phase):
            report(
                f"epoch {epoch.epoch}: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.4f}, "
                f"validation {epoch.validation_accuracy:.4f}, {epoch.seconds:.0f} s"
            )
    return state.history


def _train_phase(state: TrainingState, number: int) -> Iterator[Epoch]:
    """Train the remaining epochs of one phase; yield each after it was saved."""
    if state.is_over(number):
        return
    run, history = state.run, state.history
    phase = state.recipe.phases[number]
    model = _phase_model(state, number)
    samples = (
        fixed_samples(state.images, model.base)
        if phase.frozen
        else augmented_samples(state.images, state.recipe)
    )
    validation = fixed_samples(state.validation, model.base)
    while not state.is_over(number):
        if isinstance(phase.rate, Plateau):
            accuracies = [each.validation_accuracy for each in state.epochs_of(number)]
            rate = learning_rates.on_plateau(phase.rate, accuracies)
            model.trained.optimizer.learning_rate = rate
        batches = Batches(samples, phase.batch, (run.seed, len(history) + 1))
        epoch = _train_epoch(model.trained, batches, validation, (len(history) + 1, number))
        history.append(epoch)
        _save_epoch(state, model)
        yield epoch


def _save_epoch(state: TrainingState, model: PhaseModel) -> None:
    """Save the last epoch of the history, and remove files that it replaces."""
    run, history, epoch = state.run, state.history, state.history[-1]
    is_best = best_epoch(history) is epoch
    if is_best:
        save_model(model.whole(), best_model_file(run.out, epoch.epoch))
    # The history is written last and decides which models count: if the run is killed before, the
    # epoch is trained again.
    save_model(model.trained, checkpoint_file(run.out, epoch.epoch))
    write_json(run.out / HISTORY, [asdict(each) for each in history])
    checkpoint_file(run.out, epoch.epoch - 1).unlink(missing_ok=True)
    if is_best and len(history) > 1:
        previous = best_epoch(history[:-1])
        best_model_file(run.out, previous.epoch).unlink(missing_ok=True)


def _phase_model(state: TrainingState, number: int) -> PhaseModel:
    """Load the model of a phase that was interrupted, or begin with the best network so far."""
    out, epochs = state.run.out, len(state.history)
    phase = state.recipe.phases[number]
    if epochs:
        file = best_model_file(out, best_epoch(state.history).epoch)
        whole = keras.models.load_model(file, compile=False)
    else:
        whole = _initial_network(state.recipe, state.run)
    base = whole.get_layer(models.BASE) if phase.frozen else None
    if state.epochs_of(number):
        return PhaseModel(keras.models.load_model(checkpoint_file(out, epochs)), base)
    trained = whole.get_layer(models.HEAD) if phase.frozen else whole
    _compile(trained, phase, batches_per_epoch(len(state.images), phase.batch))
    return PhaseModel(trained, base)


def _initial_network(recipe: Recipe, run: Run) -> keras.Model:
    """Build the network, with pretrained weights if the recipe has some; record which."""
    network, origin = models.build(recipe, environment.precision()), "weights from scratch"
    if recipe.pretrained is not None:
        base = network.get_layer(models.BASE)
        origin = load_weights(base, recipe.pretrained, run.weights or run.data)
    write_json(run.out / WEIGHTS, origin)
    return network


def _compile(model: keras.Model, phase: Phase, steps: int) -> None:
    if model.output_shape[-1] == 1:
        loss = keras.losses.BinaryCrossentropy(
            from_logits=True, label_smoothing=phase.label_smoothing
        )
        accuracy = keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    model.compile(
        learning_rates.optimizer(phase, steps),
        loss,
        metrics=[accuracy],
        # XLA's convolutions on a CPU are slower than those of oneDNN.
        jit_compile=False,
    )


def _train_epoch(
    model: keras.Model, batches: Batches, validation: Samples, number: tuple[int, int]
) -> Epoch:
    """Train one epoch; `number` is that of the epoch and of its phase."""
    started = time.monotonic()
    rate = float(model.optimizer.learning_rate.numpy())
    fitted = model.fit(batches, shuffle=False, verbose=0).history
    if model.optimizer.use_ema:
        count = min(len(batches), STATISTICS_BATCHES)
        models.renew_statistics(model, (batches[index][0] for index in range(count)))
    loss, accuracy = model.evaluate(
        validation.inputs, targets(validation.labels), batch_size=256, verbose=0
    )
    return Epoch(
        epoch=number[0],
        loss=float(fitted["loss"][0]),
        accuracy=float(fitted["accuracy"][0]),
        validation_loss=float(loss),
        validation_accuracy=float(accuracy),
        learning_rate=rate,
        seconds=time.monotonic() - started,
        phase=number[1],
    )


def _is_stale(epochs: Sequence[Epoch], patience: int) -> bool:
    return bool(epochs) and epochs[-1].epoch - best_epoch(epochs).epoch >= patience
