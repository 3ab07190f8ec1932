"""Conversion of somebody else's model in a process of its own, which is confined.

It reads the model and writes the result into an empty folder, and nothing else.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, convert

from storage.errors import ScannerError
from storage.text import clean
from workers.confinement.process import confine
from workers.limited_process import (
    LimitedProcess,
    ParentConnection,
    ProcessFailed,
    ProcessTimedOut,
    limit_cpu,
    limit_memory,
)
from workers.training.export.keras_config import ConversionError

if TYPE_CHECKING:
    from workers.detectors.adding import ModelDescription

# Address space; TensorFlow reserves far more than it uses.
MAX_MEMORY_BYTES = 24 * 2**30
# The largest model that a flatbuffer can hold is 2 GiB.
MAX_FILE_BYTES = 2 * 2**30
SECONDS = 900.0
# The private folder of Keras' own settings, and where libraries put temporary files.
_HOME_VARIABLES = ("HOME", "KERAS_HOME", "TMPDIR")


class _Task(Struct):
    source: bytes
    to: bytes
    description: dict[str, Any]


class _Answer(Struct, omit_defaults=True):
    """What the model was made by, or why there is no result: a sentence, or a missing package."""

    made_by: str = ""
    error: str = ""
    missing: str = ""


def convert_apart(source: Path, description: ModelDescription, to: Path) -> str:
    """Convert a model to the file `to`, alone in its folder; return what it was made by.

    Raises ConversionError, and ModuleNotFoundError without the extra `train`.
    """
    plain = asdict(replace(description, head=None, calibration=None))
    task = _Task(os.fsencode(source.absolute()), os.fsencode(to), plain)
    try:
        with LimitedProcess("workers.training.export.conversion") as process:
            answer = process.request(task, _Answer, SECONDS)
    except ProcessTimedOut as error:
        raise ConversionError(
            f"{source.name} takes more than {SECONDS:.0f} s to convert"
        ) from error
    except ProcessFailed as error:
        raise ConversionError(
            f"{source.name} killed the process that converted it: it is damaged, or too large"
        ) from error
    if answer.missing:
        raise ModuleNotFoundError(name=answer.missing)
    if answer.error:
        raise ConversionError(answer.error)
    return answer.made_by


def main() -> None:
    """Run the child: convert the model of one request."""
    parent = ParentConnection()
    task = parent.receive(_Task)
    if task is None:
        return
    source, to = Path(os.fsdecode(task.source)), Path(os.fsdecode(task.to))
    limit_memory(MAX_MEMORY_BYTES, MAX_FILE_BYTES)
    limit_cpu(SECONDS * (os.cpu_count() or 1))
    os.environ |= dict.fromkeys(_HOME_VARIABLES, str(to.parent))
    tempfile.tempdir = None
    confine([source], [to.parent])
    try:
        answer = _Answer(made_by=_converted(source, task.description, to))
    except ModuleNotFoundError as error:
        answer = _Answer(missing=error.name or "tensorflow")
    except ScannerError as error:
        answer = _Answer(error=clean(str(error)))
    except MemoryError:
        answer = _Answer(error=f"{source.name} does not fit into memory")
    except OSError as error:
        answer = _Answer(error=f"{source.name} cannot be read: {error.strerror}")
    parent.answer(answer)


def _converted(source: Path, description: dict[str, Any], to: Path) -> str:
    from workers.training import environment  # noqa: PLC0415 - once the process is confined
    from workers.training.export.keras_files import known_version  # noqa: PLC0415

    if source.is_file():
        known_version(source)  # refuses it before TensorFlow is imported, which takes seconds
    environment.prepare()
    # TensorFlow reads what `prepare` sets when it is imported.
    from workers.detectors.adding import ModelDescription  # noqa: PLC0415
    from workers.training.export import keras_converter  # noqa: PLC0415

    return keras_converter.convert_and_compare(source, convert(description, ModelDescription), to)


if __name__ == "__main__":
    main()
