"""What is read from a .keras or .h5 file before Keras opens it: the configuration, and what links.

Such a file holds all of its numbers itself; HDF5 could also take them from other files.
"""

from __future__ import annotations

import json
import zipfile
from typing import IO, TYPE_CHECKING, Any

import h5py

from workers.training.export.keras_config import (
    ConversionError,
    conversion_errors,
    require_known,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A configuration is text; a larger one is an attack on the memory.
MAX_CONFIG_BYTES = 64 * 2**20
MAX_WEIGHTS_BYTES = 2 * 2**30
_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_MEMBERS = {
    _CONFIG: MAX_CONFIG_BYTES,
    _METADATA: MAX_CONFIG_BYTES,
    _WEIGHTS: MAX_WEIGHTS_BYTES,
}


def known_version(source: Path) -> str:
    """Return the version of the Keras that wrote a model of known layers.

    Raises ConversionError for any other file. Needs neither Keras nor TensorFlow.
    """
    with conversion_errors(source.name):
        config, version = read_config(source)
        require_known(config, source.name)
    return version


def read_config(source: Path) -> tuple[Any, str]:
    """Return a model's configuration and the version of the Keras that wrote it.

    Raises ConversionError for a file that is not a whole model, or takes data from other files.
    """
    try:
        return _of_h5(source) if source.suffix == ".h5" else _of_zip(source)
    except (AttributeError, RecursionError, ValueError) as error:
        raise ConversionError(f"{source.name} has no valid configuration: {error}") from error


def _of_h5(source: Path) -> tuple[Any, str]:
    with _opened(source, source.name) as file:
        config = file.attrs.get("model_config")
        version = file.attrs.get("keras_version", "")
    if config is None:
        raise ConversionError(
            f"{source.name} has only weights: save the whole model with model.save()"
        )
    return json.loads(_text(config)), _text(version)


def _of_zip(source: Path) -> tuple[Any, str]:
    try:
        with zipfile.ZipFile(source) as archive:
            for member in archive.infolist():
                if member.file_size > _MEMBERS.get(member.filename, 0):
                    raise ConversionError(
                        f"{source.name} contains {member.filename!r:.60}, which is "
                        + ("too large" if member.filename in _MEMBERS else "no part of a model")
                    )
            config, metadata = archive.read(_CONFIG), archive.read(_METADATA)
            with archive.open(_WEIGHTS) as weights, _opened(weights, source.name):
                pass
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError) as error:
        raise ConversionError(f"{source.name} is not a .keras file: {error}") from error
    about = json.loads(metadata)
    return json.loads(config), str(about.get("keras_version", "") if about else "")


def _opened(file: Path | IO[bytes], name: str) -> h5py.File:
    """Open a file whose numbers are all in itself; ConversionError for any other."""
    try:
        opened = h5py.File(file)
        for problem in _outside(opened):
            opened.close()
            raise ConversionError(f"{name} takes {problem} from another file, which is not read")
    except OSError as error:
        raise ConversionError(f"{name} is not an HDF5 file: {error}") from error
    return opened


def _outside(file: h5py.File) -> Iterator[str]:
    """Yield what a file would take from others: linked groups, raw numbers, virtual arrays."""
    waiting, seen = [file["/"]], set()
    while waiting:
        group = waiting.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                yield f"{name!r:.60}"
            if not isinstance(link, h5py.HardLink):
                # A soft link leads to another place of this file, which is visited as well.
                continue
            item = group[name]
            place = h5py.h5o.get_info(item.id).addr
            if isinstance(item, h5py.Group) and place not in seen:
                seen.add(place)
                waiting.append(item)
            elif isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
                yield f"{name!r:.60}"


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
