"""Nets whose speed is measured and nothing else: their weights are random, speed is the same."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from workers.host.benchmark import MODEL, SIDES, Runner, Subject
from workers.training.export.int8 import converter_of, export
from workers.training.networks import models
from workers.training.recipes.builtin import RECIPES

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# Pictures that set the ranges of activations; of random weights nothing is to be preserved.
RANGES = 4
FLOAT_BYTES = 4


def make(folder: Path) -> list[Path]:
    """Write ResNet50 as int8 and the shipped net in floats, at each size, as .tflite files."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for side in SIDES:
        path = folder / f"objects-float-{side}.tflite"
        path.write_bytes(converter_of(_net(side)).convert())
        made.append(path)
    rng = np.random.default_rng(7)
    for side in SIDES:
        path = folder / f"resnet50-{side}.tflite"
        export(resnet50(side), rng.integers(0, 256, (RANGES, side, side, 3), np.uint8), path)
        made.append(path)
    return made


def on_tensorflow() -> list[Subject]:
    """The shipped net, rebuilt, at each size."""
    parameters = _net(SIDES[0]).count_params()
    return [Subject(MODEL, FLOAT_BYTES * parameters, partial(_tensorflow, side)) for side in SIDES]


def resnet50(side: int) -> keras.Model:
    """ResNet50 (He et al. 2016, arXiv:1512.03385) with one logit: 23.6 million parameters."""
    pixels = keras.Input((side, side, 3))
    base = keras.applications.ResNet50(weights=None, include_top=False, pooling="avg")
    return keras.Model(pixels, layers.Dense(1)(base(layers.Rescaling(1 / 255)(pixels))))


def _net(side: int) -> keras.Model:
    recipe = RECIPES[MODEL]
    pixels = replace(recipe.data.pixels, size=side)
    return models.build(replace(recipe, data=replace(recipe.data, pixels=pixels)))


def _tensorflow(side: int) -> Runner:
    # As the others: a core for each process.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    net = tf.function(_net(side), jit_compile=False)

    def run(pixels: NDArray[np.uint8]) -> object:
        return net(tf.constant(pixels[None], tf.float32)).numpy()

    return Runner("TensorFlow float", side, run)
