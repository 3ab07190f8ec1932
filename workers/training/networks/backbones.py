"""VGG16 and MobileNetV2 with the heads of the student report, as a base and a head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
from keras import layers

from workers.training.recipes.recipe import Vgg16

if TYPE_CHECKING:
    from workers.training.recipes.recipe import MobileNetV2

# Mean and standard deviation of ImageNet's channels, for which MobileNetV2 was trained.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Expansion, width, blocks and first stride of each stage (Sandler et al. 2018, arXiv:1801.04381).
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def base(spec: Vgg16 | MobileNetV2, size: int, dtype: str) -> keras.Model:
    """Build the convolutions: (n, size, size, 3) pixels of 0..255 in, features out."""
    pixels = keras.Input((size, size, 3), name="pixels")
    is_vgg = isinstance(spec, Vgg16)
    features = _vgg16(pixels, dtype) if is_vgg else _mobilenet(pixels, dtype)
    return keras.Model(pixels, features, name="base")


def head(spec: Vgg16 | MobileNetV2, shape: tuple[int, ...], dtype: str) -> keras.Model:
    """Build the dense layers: features of this shape in, one or two logits out."""
    features = keras.Input(shape, name="features")
    x = layers.Flatten(dtype=dtype)(features)
    for width in spec.dense:
        x = layers.Dense(width, activation="relu", dtype=dtype)(x)
        if width in spec.normalised:
            x = layers.BatchNormalization(dtype=dtype)(x)
    return keras.Model(features, layers.Dense(spec.outputs, dtype="float32")(x), name="head")


def _vgg16(x: keras.KerasTensor, dtype: str) -> keras.KerasTensor:
    """Build 13 convolutions (Simonyan and Zisserman 2015, arXiv:1409.1556), with flax' names."""
    x = layers.Rescaling(1 / 255, dtype="float32")(x)
    number = 0
    for width, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(convolutions):
            x = layers.Conv2D(
                width, 3, padding="same", activation="relu", name=f"Conv_{number}", dtype=dtype
            )(x)
            number += 1
        x = layers.MaxPooling2D(dtype=dtype)(x)
    return x


def _mobilenet(x: keras.KerasTensor, dtype: str) -> keras.KerasTensor:
    """Build MobileNetV2 with names and padding of torchvision, whose weights are loaded."""
    scale = [1 / (255 * deviation) for deviation in DEVIATION]
    offset = [-mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)]
    x = layers.Rescaling(scale, offset, dtype="float32")(x)
    x = _convolved(x, "features.0.0", "features.0.1", 32, size=3, stride=2, dtype=dtype)
    x = layers.ReLU(6, dtype=dtype)(x)
    number = 1
    for expansion, width, blocks, first in STAGES:
        for block in range(blocks):
            name = f"features.{number}.conv"
            x = _inverted(x, name, (expansion, width, 1 if block else first), dtype)
            number += 1
    x = _convolved(x, "features.18.0", "features.18.1", 1280, size=1, stride=1, dtype=dtype)
    return layers.ReLU(6, dtype=dtype)(x)


def _inverted(
    x: keras.KerasTensor, name: str, shape: tuple[int, int, int], dtype: str
) -> keras.KerasTensor:
    """Apply an inverted residual: widen, filter each channel, narrow without an activation."""
    expansion, width, stride = shape
    short, wide, n = x, x.shape[-1] * expansion, 0
    if expansion != 1:
        x = _convolved(x, f"{name}.0.0", f"{name}.0.1", wide, size=1, stride=1, dtype=dtype)
        x, n = layers.ReLU(6, dtype=dtype)(x), 1
    x = layers.ZeroPadding2D(1, dtype=dtype)(x)
    x = layers.DepthwiseConv2D(3, stride, use_bias=False, name=f"{name}.{n}.0", dtype=dtype)(x)
    x = layers.BatchNormalization(epsilon=1e-5, name=f"{name}.{n}.1", dtype=dtype)(x)
    x = layers.ReLU(6, dtype=dtype)(x)
    x = _convolved(x, f"{name}.{n + 1}", f"{name}.{n + 2}", width, size=1, stride=1, dtype=dtype)
    return layers.Add(dtype=dtype)([short, x]) if x.shape == short.shape else x


def _convolved(  # noqa: PLR0913 - two names, as torchvision has them
    x: keras.KerasTensor,
    convolution: str,
    normalised: str,
    width: int,
    *,
    size: int,
    stride: int,
    dtype: str,
) -> keras.KerasTensor:
    if size > 1:
        # Keras pads a stride of 2 asymmetrically, torch symmetrically.
        x = layers.ZeroPadding2D(size // 2, dtype=dtype)(x)
    x = layers.Conv2D(width, size, stride, use_bias=False, name=convolution, dtype=dtype)(x)
    return layers.BatchNormalization(epsilon=1e-5, name=normalised, dtype=dtype)(x)
