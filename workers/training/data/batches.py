"""Batches of training samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from workers.training.data.augmentation import augment

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from workers.training.data.datasets import LabelledArrays
    from workers.training.recipes.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Samples:
    """Inputs, (n, ...), and labels, (n,); `augment` changes each batch of inputs at random."""

    inputs: NDArray[Any]
    labels: NDArray[np.uint8]
    augment: Callable[[NDArray[Any], np.random.Generator], NDArray[Any]] | None = None

    def __len__(self) -> int:
        return len(self.labels)


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Shuffled batches of one epoch; the same seed and epoch give the same batches."""

    def __init__(self, samples: Samples, batch: int, seed: tuple[int, int]) -> None:
        super().__init__()
        self._samples = samples
        self._batch = batch
        self._seed = seed
        self._order = np.random.default_rng(seed).permutation(len(samples))

    def __len__(self) -> int:
        return batches_per_epoch(len(self._samples), self._batch)

    def __getitem__(self, index: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
        chosen = self._order[index * self._batch : (index + 1) * self._batch]
        inputs = self._samples.inputs[chosen]
        if self._samples.augment is not None:
            inputs = self._samples.augment(inputs, np.random.default_rng((*self._seed, index)))
        return inputs, targets(self._samples.labels[chosen])


def batches_per_epoch(inputs: int, batch: int) -> int:
    """Return the number of whole batches; a smaller last batch is left out.

    A tiny last batch would upset the statistics of batch normalisation.
    """
    return max(1, inputs // batch)


def targets(labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return labels, (n,), in the form that losses take, (n, 1)."""
    return labels.astype(np.float32)[:, None]


def augmented_samples(images: LabelledArrays, recipe: Recipe) -> Samples:
    """Return images that the recipe's augmentation changes in each epoch."""

    def change(inputs: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
        return augment(inputs, recipe.augmentation, random)

    return Samples(images.images, images.labels, change)


def fixed_samples(images: LabelledArrays, base: keras.Model | None) -> Samples:
    """Return images as they are, or their features if a frozen base is given."""
    if base is None:
        return Samples(images.images, images.labels)
    features = [
        # Half the bytes: an image may have a hundred thousand features.
        base.predict_on_batch(images.images[start : start + 64]).astype(np.float16)
        for start in range(0, len(images), 64)
    ]
    return Samples(np.concatenate(features), images.labels)
