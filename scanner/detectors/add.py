"""Adding a custom model to the detectors; Keras models are converted."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from scanner.detectors.plan import sound_models
from storage.errors import ScannerError
from storage.optional_packages import with_extra
from workers.detectors import installed
from workers.detectors.adding import add, index_of_ai, require_new

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.detectors.adding import ModelDescription
    from workers.detectors.card import Card

READY = (".tflite", ".onnx")
CONVERTED = (".keras", ".h5")


def add_model(file: Path, description: ModelDescription) -> Card:
    """Add a model file, or a SavedModel folder, and return its card. Raise ScannerError."""
    require_unused(description.name)
    index_of_ai(description.classes)
    if file.is_dir() or file.suffix in CONVERTED:
        with _converted(file, description) as (model, converted):
            return add(model, converted)
    if file.suffix not in READY:
        raise ScannerError(
            f"unknown model format: {description.source} (expected .tflite, .onnx, .keras, .h5 or "
            "a SavedModel folder)"
        )
    return add(file, description)


def require_unused(name: str) -> None:
    """Raise ScannerError for a name that a detector has already, or none can have."""
    with sound_models():
        require_new(name, list(installed.installed()))


@contextmanager
def _converted(
    file: Path, description: ModelDescription
) -> Iterator[tuple[Path, ModelDescription]]:
    """Convert a model to .tflite and check that it gives the same scores on samples."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, f"{description.name}.tflite")
        try:
            from workers.training.export.conversion import convert_apart  # noqa: PLC0415 - late

            saved_by = convert_apart(file, description, model)
        except ModuleNotFoundError as error:
            raise ScannerError(
                f"converting this model needs packages that are not installed ({error.name}): "
                + with_extra("train")
            ) from error
        yield (
            model,
            replace(description, source=f"{description.source}, saved by {saved_by}, converted"),
        )
