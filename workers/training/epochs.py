"""Train a recipe's net: an epoch at a time, each kept on disk, so that a killed run goes on."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import keras

from workers.training import environment, learning_rates
from workers.training.data.batches import (
    Batches,
    Lessons,
    steps_of,
    targets,
    to_learn,
    unchanged,
)
from workers.training.data.split import Parts, parts_of
from workers.training.networks import models
from workers.training.networks.pretrained_weights import pour
from workers.training.recipes.recipe import Plateau
from workers.training.runs import (
    HISTORY,
    WEIGHTS,
    Epoch,
    Run,
    best_net,
    best_of,
    checkpoint,
    claim,
    history_of,
    save,
    write_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from workers.training.recipes.recipe import Phase, Recipe


@dataclass(frozen=True, slots=True)
class Learner:
    """The compiled model that a phase trains, and the base before it where that stays as it is."""

    trained: keras.Model
    base: keras.Model | None

    def whole(self) -> keras.Model:
        """Give the net from pixels to logits."""
        return self.trained if self.base is None else models.joined(self.base, self.trained)


@dataclass(frozen=True, slots=True)
class Course:
    """A recipe on its way: its run, its pictures, and the epochs so far, which grow."""

    recipe: Recipe
    run: Run
    parts: Parts
    history: list[Epoch]

    def epochs_of(self, phase: int) -> list[Epoch]:
        """Give the epochs of a phase so far."""
        return [each for each in self.history if each.phase == phase]

    def over(self, phase: int) -> bool:
        """Whether a phase has come to its end or got no better for long enough."""
        how, done = self.recipe.phases[phase], self.epochs_of(phase)
        later = any(each.phase > phase for each in self.history)
        return later or len(done) >= how.epochs or _stale(done, how.patience)


def train(recipe: Recipe, run: Run, tell: Callable[[str], None]) -> list[Epoch]:
    """Train through the recipe's phases; give the epochs.

    The run's folder then holds `best-NNN.keras` (best validation accuracy), the last epoch's model
    with the optimiser's state, `history.json`, `recipe.json` and `environment.json`. Raises
    RunError when the folder holds another run.
    """
    claim(recipe, run)
    keras.utils.set_random_seed(run.seed)
    course = Course(recipe, run, parts_of(recipe.data, run.data, run.out), history_of(run.out))
    tell(f"{recipe.name}: {len(course.parts.train):,} pictures")
    for number in range(len(recipe.phases)):
        for epoch in _phase(course, number):
            tell(
                f"epoch {epoch.epoch}: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.4f}, "
                f"validation {epoch.validation_accuracy:.4f}, {epoch.seconds:.0f} s"
            )
    return course.history


def _phase(course: Course, number: int) -> Iterator[Epoch]:
    """Train through what is left of one phase; each epoch is on disk when it is given."""
    if course.over(number):
        return
    recipe, run, history = course.recipe, course.run, course.history
    phase = recipe.phases[number]
    learner = _learner(course, number)
    lessons = (
        unchanged(course.parts.train, learner.base)
        if phase.frozen
        else to_learn(course.parts.train, recipe)
    )
    exam = unchanged(course.parts.validation, learner.base)
    while not course.over(number):
        if isinstance(phase.rate, Plateau):
            accuracies = [each.validation_accuracy for each in course.epochs_of(number)]
            learner.trained.optimizer.learning_rate = learning_rates.on_plateau(
                phase.rate, accuracies
            )
        batches = Batches(lessons, phase.batch, (run.seed, len(history) + 1))
        epoch = _epoch(learner.trained, batches, exam, (len(history) + 1, number))
        before = best_of(history) if history else None
        history.append(epoch)
        is_best = best_of(history) is epoch
        if is_best:
            save(learner.whole(), best_net(run.out, epoch.epoch))
        # The history is written last and says which nets count: killed in between, the epoch is
        # run again as it was.
        save(learner.trained, checkpoint(run.out, epoch.epoch))
        write_json(run.out / HISTORY, [asdict(each) for each in history])
        checkpoint(run.out, epoch.epoch - 1).unlink(missing_ok=True)
        if is_best and before is not None:
            best_net(run.out, before.epoch).unlink(missing_ok=True)
        yield epoch


def _learner(course: Course, number: int) -> Learner:
    """Take up a phase where it was left, or begin it with the best net so far."""
    recipe, out, epochs = course.recipe, course.run.out, len(course.history)
    phase = recipe.phases[number]
    if epochs:
        whole = keras.models.load_model(best_net(out, best_of(course.history).epoch), compile=False)
    else:
        whole = _first(recipe, course.run)
    base = whole.get_layer(models.BASE) if phase.frozen else None
    if course.epochs_of(number):
        return Learner(keras.models.load_model(checkpoint(out, epochs)), base)
    trained = whole.get_layer(models.HEAD) if phase.frozen else whole
    _compile(trained, phase, steps_of(len(course.parts.train), phase.batch))
    return Learner(trained, base)


def _first(recipe: Recipe, run: Run) -> keras.Model:
    """Build the net, with pretrained weights where the recipe has some; note which."""
    net, said = models.build(recipe, environment.numbers()), "weights from scratch"
    if recipe.pretrained is not None:
        said = pour(net.get_layer(models.BASE), recipe.pretrained, run.weights or run.data)
    write_json(run.out / WEIGHTS, said)
    return net


def _compile(net: keras.Model, phase: Phase, steps: int) -> None:
    if net.output_shape[-1] == 1:
        loss = keras.losses.BinaryCrossentropy(
            from_logits=True, label_smoothing=phase.label_smoothing
        )
        accuracy = keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    net.compile(
        learning_rates.optimizer(phase, steps),
        loss,
        metrics=[accuracy],
        # XLA's convolutions on a CPU are slower than those of oneDNN.
        jit_compile=False,
    )


def _epoch(net: keras.Model, batches: Batches, exam: Lessons, at: tuple[int, int]) -> Epoch:
    started = time.monotonic()
    rate = float(net.optimizer.learning_rate.numpy())
    fitted = net.fit(batches, shuffle=False, verbose=0).history
    loss, accuracy = net.evaluate(exam.inputs, targets(exam.labels), batch_size=256, verbose=0)
    return Epoch(
        epoch=at[0],
        loss=float(fitted["loss"][0]),
        accuracy=float(fitted["accuracy"][0]),
        validation_loss=float(loss),
        validation_accuracy=float(accuracy),
        learning_rate=rate,
        seconds=time.monotonic() - started,
        phase=at[1],
    )


def _stale(done: Sequence[Epoch], patience: int) -> bool:
    return bool(done) and done[-1].epoch - best_of(done).epoch >= patience
