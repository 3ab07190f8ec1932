"""The nets, as Keras models that take raw pixels and give one logit for "AI"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
from keras import layers

if TYPE_CHECKING:
    from workers.training.recipes import Recipe


def build(recipe: Recipe, precision: str = "float32") -> keras.Model:
    """Build the recipe's net: (n, size, size, 3) pixels of 0..255 in, (n, 1) logits out.

    A residual net of the plainest kind (He et al. 2016, arXiv:1512.03385) with ReLU: its batch
    normalisation folds into the convolutions and everything that is left has a fast int8 kernel.
    The first stage is narrow and sees full resolution, where the traces of a generator are; the
    others work at a half, a quarter and an eighth, where a convolution costs little.

    `precision` is what Keras calls a dtype policy; the weights are 32-bit floats under any.
    """
    pixels = keras.Input((recipe.size, recipe.size, 3), name="pixels")
    # The ends stay at 32 bits: a brain float would make neighbouring grey levels one.
    # A scale without an offset: zero padding stays black, and int8 carries raw pixels exactly.
    x = layers.Rescaling(1 / 255, name="unit", dtype="float32")(pixels)
    x = _conv(x, "float32", recipe.widths[0])
    for stage, (width, blocks) in enumerate(zip(recipe.widths, recipe.blocks, strict=True)):
        for block in range(blocks):
            x = _residual(x, precision, width, stride=2 if stage and not block else 1)
    x = layers.GlobalAveragePooling2D(name="pool", dtype="float32")(x)
    return keras.Model(pixels, layers.Dense(1, name="logit", dtype="float32")(x), name=recipe.name)


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
