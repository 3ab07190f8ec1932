"""Networks of the recipes as Keras models: raw pixels in, logits out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import layers

from workers.training.networks import backbones
from workers.training.recipes.recipe import Residual
from workers.training.runs import RunError, best_epoch, best_model_file, read_history

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from workers.training.recipes.recipe import Recipe

# The two parts of a network, each a model; they are the names of its layers.
BASE, HEAD = "base", "head"


def build(recipe: Recipe, precision: str = "float32") -> keras.Model:
    """Build the recipe's network: (n, size, size, 3) pixels of 0..255 in, logits out.

    The logits are those of "AI", (n, 1), or of "real" and "AI", (n, 2), as the recipe says.
    `precision` is a dtype policy of Keras; the weights are always 32-bit floats.
    """
    if isinstance(recipe.net, Residual):
        pixels = keras.Input((recipe.size, recipe.size, 3), name="pixels")
        logit = _residual_network(pixels, recipe.net, precision)
        return keras.Model(pixels, logit, name=recipe.name)
    base = backbones.base(recipe.net, recipe.size, precision)
    return join(base, backbones.head(recipe.net, base.output_shape[1:], precision))


def join(base: keras.Model, head: keras.Model) -> keras.Model:
    """Return one model of a base and a head: pixels in, logits out."""
    pixels = keras.Input(base.input_shape[1:], name="pixels")
    return keras.Model(pixels, head(base(pixels)))


def best(recipe: Recipe, run: Path) -> keras.Model:
    """Return the best model of a run with 32-bit floats throughout.

    Raises RunError if the run has finished no epoch.
    """
    history = read_history(run)
    if not history:
        raise RunError(f"{run} has no model yet: no epoch was finished")
    model = build(recipe)
    path = best_model_file(run, best_epoch(history).epoch)
    model.set_weights(keras.models.load_model(path, compile=False).get_weights())
    return model


def single_logit(model: keras.Model) -> keras.Model:
    """Return the model with one logit of "AI", (n, 1)."""
    if model.output_shape[-1] == 1:
        return model
    pixels = keras.Input(model.input_shape[1:], name="pixels")
    both = model(pixels)
    return keras.Model(pixels, both[:, 1:] - both[:, :1])


def renew_statistics(model: keras.Model, batches: Iterable[NDArray[np.uint8]]) -> None:
    """Compute the statistics of batch normalisation again, from batches of training images.

    Those of the last steps belong to other weights where the weights have been averaged, see
    Izmailov et al. 2018, arXiv:1803.05407.
    """
    normalising = list(_normalisations(model))
    momenta = [each.momentum for each in normalising]
    for number, images in enumerate(batches):
        for each in normalising:
            each.momentum = number / (number + 1)
        model(images, training=True)
    for each, momentum in zip(normalising, momenta, strict=True):
        each.momentum = momentum


def _normalisations(model: keras.Model) -> Iterator[layers.BatchNormalization]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _normalisations(layer)
        elif isinstance(layer, layers.BatchNormalization):
            yield layer


def with_mirrored_view(model: keras.Model) -> keras.Model:
    """Return a model whose logit, (n, 1), is the mean of an image's and of its mirror image's."""
    pixels = keras.Input(model.input_shape[1:], name="pixels")
    both = model(keras.ops.concatenate([pixels, keras.ops.flip(pixels, axis=2)], axis=0))
    return keras.Model(pixels, keras.ops.mean(keras.ops.reshape(both, (2, -1, 1)), axis=0))


def logits(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the logit of "AI" of each image, (n,)."""
    output = single_logit(model).predict(images, batch_size=128, verbose=0)
    return np.asarray(output, np.float64)[:, 0]


def _residual_network(
    pixels: keras.KerasTensor, spec: Residual, precision: str
) -> keras.KerasTensor:
    """Build a plain residual network (He et al. 2016, arXiv:1512.03385) with ReLU.

    Batch normalisation folds into the convolutions, and the rest has fast int8 kernels. The first
    stage is narrow and works at full resolution, where the traces of generators are; the others
    work at a half, a quarter and an eighth, where a convolution costs little.
    """
    # Input and output stay at 32 bits: a brain float would merge neighbouring grey levels.
    # A scale without an offset: zero padding stays black, and int8 carries raw pixels exactly.
    x = layers.Rescaling(1 / 255, name="unit", dtype="float32")(pixels)
    x = _conv(x, "float32", spec.widths[0])
    for stage, (width, blocks) in enumerate(zip(spec.widths, spec.blocks, strict=True)):
        for block in range(blocks):
            x = _residual(x, precision, width, stride=2 if stage and not block else 1)
    x = layers.GlobalAveragePooling2D(name="pool", dtype="float32")(x)
    return layers.Dense(1, name="logit", dtype="float32")(x)


def _conv(
    x: keras.KerasTensor, dtype: str, width: int, size: int = 3, stride: int = 1
) -> keras.KerasTensor:
    return layers.ReLU(dtype=dtype)(_linear(x, dtype, width, size, stride))


def _linear(
    x: keras.KerasTensor, dtype: str, width: int, size: int = 3, stride: int = 1
) -> keras.KerasTensor:
    """Apply a convolution and its normalisation, without a ReLU."""
    convolve = layers.Conv2D(
        width,
        size,
        stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        dtype=dtype,
    )
    # A momentum of 0.9: a run has few epochs, and validation follows the weights closely.
    return layers.BatchNormalization(momentum=0.9, dtype=dtype)(convolve(x))


def _residual(x: keras.KerasTensor, dtype: str, width: int, stride: int) -> keras.KerasTensor:
    same = stride == 1 and x.shape[-1] == width
    short = x if same else _linear(x, dtype, width, size=1, stride=stride)
    x = _linear(_conv(x, dtype, width, stride=stride), dtype, width)
    return layers.ReLU(dtype=dtype)(layers.Add(dtype=dtype)([x, short]))
