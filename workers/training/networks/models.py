"""The nets, as Keras models that take raw pixels and give logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import layers

from workers.training.networks import backbones
from workers.training.recipes.recipe import Residual
from workers.training.runs import RunError, best_net, best_of, history_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from workers.training.recipes.recipe import Recipe

# The layers of a net that is joined from two, each a model of its own.
BASE, HEAD = "base", "head"


def build(recipe: Recipe, precision: str = "float32") -> keras.Model:
    """Build the recipe's net: (n, size, size, 3) pixels of 0..255 in, (n, 1) logits out.

    Those for "AI", or in (n, 2) one for "real" and one for "AI", as the recipe's net has it.
    `precision` is what Keras calls a dtype policy; the weights are 32-bit floats under any.
    """
    net = recipe.net
    if isinstance(net, Residual):
        pixels = keras.Input((recipe.size, recipe.size, 3), name="pixels")
        return keras.Model(pixels, _residual_net(pixels, net, precision), name=recipe.name)
    base = backbones.base(net, recipe.size, precision)
    return joined(base, backbones.head(net, base.output_shape[1:], precision))


def joined(base: keras.Model, head: keras.Model) -> keras.Model:
    """Put a head on a base: pixels in, logits out."""
    pixels = keras.Input(base.input_shape[1:], name="pixels")
    return keras.Model(pixels, head(base(pixels)))


def best(recipe: Recipe, run: Path) -> keras.Model:
    """Give the best net of a run, in 32 bits throughout, whatever it was trained in.

    RunError where the run has none yet.
    """
    history = history_of(run)
    if not history:
        raise RunError(f"{run} has no net yet: not one epoch came to its end")
    net = build(recipe)
    path = best_net(run, best_of(history).epoch)
    net.set_weights(keras.models.load_model(path, compile=False).get_weights())
    return net


def single(net: keras.Model) -> keras.Model:
    """Give the net with one logit for "AI", as `export` and `logits` mean it."""
    if net.output_shape[-1] == 1:
        return net
    pixels = keras.Input(net.input_shape[1:], name="pixels")
    both = net(pixels)
    return keras.Model(pixels, both[:, 1:] - both[:, :1])


def logits(net: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Give the logit for "AI" of each picture, (n,)."""
    return np.asarray(single(net).predict(images, batch_size=128, verbose=0), np.float64)[:, 0]


def _residual_net(pixels: keras.KerasTensor, net: Residual, precision: str) -> keras.KerasTensor:
    """A residual net of the plainest kind (He et al. 2016, arXiv:1512.03385) with ReLU.

    Its batch normalisation folds into the convolutions and everything that is left has a fast int8
    kernel. The first stage is narrow and sees full resolution, where the traces of a generator
    are; the others work at a half, a quarter and an eighth, where a convolution costs little.
    """
    # The ends stay at 32 bits: a brain float would make neighbouring grey levels one.
    # A scale without an offset: zero padding stays black, and int8 carries raw pixels exactly.
    x = layers.Rescaling(1 / 255, name="unit", dtype="float32")(pixels)
    x = _conv(x, "float32", net.widths[0])
    for stage, (width, blocks) in enumerate(zip(net.widths, net.blocks, strict=True)):
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
    """A convolution and its normalisation, without the ReLU that follows elsewhere."""
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
