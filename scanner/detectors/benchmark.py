"""What `scanner bench` measures: models, and the images that they score."""

from __future__ import annotations

import io
import tempfile
from contextlib import redirect_stdout
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from scanner.listing.sample_images import draw
from scanner.listing.walk import Walk, WalkOptions
from storage.errors import ScannerError
from storage.optional_packages import with_extra
from workers.host.benchmark import built_in_subjects, subject_of_file
from workers.sources.local import LocalSource
from workers.sources.source import FetchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from workers.host.benchmark import Subject

MAX_IMAGES = 500


def benchmark_subjects(models: Iterable[Path], make: Path | None) -> Iterator[Subject]:
    """Yield the built-in model, by LiteRT and by TensorFlow if installed, and the named models.

    With `make`, first write models to that folder and yield them, too; ScannerError without
    TensorFlow.
    """
    yield from built_in_subjects()
    try:
        from workers.training import environment  # noqa: PLC0415 - the extra `train`

        environment.prepare()
        # TensorFlow reads what `prepare` sets when it is imported.
        from workers.training.networks import benchmark_models  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if make is not None:
            raise ScannerError(
                f"--make needs TensorFlow, which is not installed ({error.name}): make the models "
                f"on a machine that has it and name them here, or {with_extra('train')}"
            ) from error
    else:
        if make is not None:
            # Keras prints what it converts, and the command's JSON goes to stdout.
            with redirect_stdout(io.StringIO()):
                files = benchmark_models.make(make)
            yield from map(subject_of_file, files)
        yield from benchmark_models.on_tensorflow()
    yield from map(subject_of_file, models)


def benchmark_images(folder: Path | None) -> list[bytes]:
    """Return the first images of a folder, at most MAX_IMAGES, or else the sample images."""
    if folder is None:
        with tempfile.TemporaryDirectory() as samples:
            draw(Path(samples))
            return benchmark_images(Path(samples))
    images = []
    with LocalSource(folder) as source:
        for listed in islice(Walk(folder, WalkOptions()), MAX_IMAGES):
            try:
                images.append(source.fetch(listed.path).data)
            except FetchError:
                continue
    return images
