"""What a net is given, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from workers.training.data.augmentation import augmented

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from workers.training.data.datasets import Labelled
    from workers.training.recipes.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Lessons:
    """Inputs, (n, ...), and their labels, (n,); `change` is what chance does to a batch of them."""

    inputs: NDArray[Any]
    labels: NDArray[np.uint8]
    change: Callable[[NDArray[Any], np.random.Generator], NDArray[Any]] | None = None

    def __len__(self) -> int:
        return len(self.labels)


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Shuffled batches of one epoch; the same seed and epoch give the same batches."""

    def __init__(self, lessons: Lessons, batch: int, seed: tuple[int, int]) -> None:
        super().__init__()
        self._lessons = lessons
        self._batch = batch
        self._seed = seed
        self._order = np.random.default_rng(seed).permutation(len(lessons))

    def __len__(self) -> int:
        return steps_of(len(self._lessons), self._batch)

    def __getitem__(self, index: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
        chosen = self._order[index * self._batch : (index + 1) * self._batch]
        inputs, change = self._lessons.inputs[chosen], self._lessons.change
        if change is not None:
            inputs = change(inputs, np.random.default_rng((*self._seed, index)))
        return inputs, targets(self._lessons.labels[chosen])


def steps_of(inputs: int, batch: int) -> int:
    """Give the batches of an epoch; the odd inputs at its end wait for another one.

    A tiny last batch would upset the statistics of batch normalisation.
    """
    return max(1, inputs // batch)


def targets(labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Give labels, (n,), as a net's loss takes them, (n, 1)."""
    return labels.astype(np.float32)[:, None]


def to_learn(part: Labelled, recipe: Recipe) -> Lessons:
    """Give pictures with the changes that the recipe makes to them while training."""

    def change(images: NDArray[np.uint8], draw: np.random.Generator) -> NDArray[np.uint8]:
        return augmented(images, recipe.augmentation, draw)

    return Lessons(part.images, part.labels, change)


def unchanged(part: Labelled, base: keras.Model | None) -> Lessons:
    """Give pictures as they are, or what a base that stays as it is makes of them."""
    images = part.images
    if base is None:
        return Lessons(images, part.labels)
    made = [
        # Half the bytes: a picture may well have a hundred thousand features.
        base.predict_on_batch(images[at : at + 64]).astype(np.float16)
        for at in range(0, len(images), 64)
    ]
    return Lessons(np.concatenate(made), part.labels)
