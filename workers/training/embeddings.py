"""Embeddings of labelled images, as a scan makes them, kept in files.

Each image is decoded once, for itself and all of its changed copies.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workers.images.rgb import to_rgb
from workers.pipeline.inputs import selector_for
from workers.training.data.corruptions import corrupted
from workers.training.data.datasets import DataError
from workers.training.data.labelled_images import decoded_file, decoded_from

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from workers.detectors.custom_model import EmbeddingModel
    from workers.images.decode import Decoded
    from workers.training.data.datasets import LabelledFile
    from workers.training.data.labelled_images import LabelledImages
    from workers.training.recipes.probes import Probe

# Images between two lines of progress.
PROGRESS_EVERY = 500


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Embeddings of images, (images, copies, views, numbers), the first copy unchanged.

    `labels`, (images,), are 1 for AI, `sources` and `owners`, (images,), are names.
    """

    values: NDArray[np.float16]
    labels: NDArray[np.uint8]
    sources: NDArray[np.str_]
    owners: NDArray[np.str_]


class Embedder:
    """Makes the embeddings of a probe, in a folder `cache` that later runs may share."""

    def __init__(self, probe: Probe, model: EmbeddingModel, cache: Path, seed: int) -> None:
        self._probe, self._model, self._seed = probe, model, seed
        self._selector = selector_for(model.card)
        made_by = repr((model.card.model, model.card.input, probe.view, probe.changes, seed))
        self._folder = cache / hashlib.sha256(made_by.encode()).hexdigest()[:16]
        self._folder.mkdir(parents=True, exist_ok=True)

    def embeddings(self, images: LabelledImages, report: Callable[[str], None]) -> Embeddings:
        """Return the embeddings of the images that have any; DataError where none has."""
        rows: list[tuple[NDArray[np.float16], int, str, str]] = []
        damaged = 0
        for number, file in enumerate(images.files, start=1):
            try:
                values = self._of_file(file)
            except DataError:
                # One of thousands of images that others have published.
                damaged += 1
                continue
            if len(values):
                origins = images.origins
                rows.append((values, file.label, origins.source(file), origins.owner(file)))
            if number % PROGRESS_EVERY == 0:
                report(f"embeddings of {number:,} of {len(images):,} images")
        if not rows:
            raise DataError(f"no training image has an input for {self._probe.name}")
        report(f"{len(rows):,} images have an input for {self._probe.name}, {damaged} are damaged")
        return Embeddings(
            values=np.stack([row[0] for row in rows]),
            labels=np.array([row[1] for row in rows], np.uint8),
            sources=np.array([row[2] for row in rows]),
            owners=np.array([row[3] for row in rows]),
        )

    def _of_file(self, file: LabelledFile) -> NDArray[np.float16]:
        """Return the embeddings of an image and of its copies; empty without an input."""
        body = file.read()
        digest = hashlib.sha256(body).hexdigest()
        cache = self._folder / f"{digest[:24]}-{self._probe.copies}.npy"
        if not cache.exists():
            random = np.random.default_rng((self._seed, int(digest[:8], 16)))
            copies = np.array(self._of_copies(decoded_file(file), random), np.float16)
            partial = cache.with_suffix(".partial.npy")
            np.save(partial, copies)
            partial.replace(cache)
        return np.load(cache)  # type: ignore[no-any-return]

    def _of_copies(
        self, decoded: Decoded, random: np.random.Generator
    ) -> list[NDArray[np.float64]]:
        unchanged = self._of(decoded)
        if unchanged is None or decoded.native is None:
            return []
        image, copies = to_rgb(decoded.native), [unchanged]
        for _ in range(self._probe.copies):
            changed = corrupted(image, self._probe.changes, random)
            embedding = self._of(decoded_from(changed, decoded.orientation))
            # A face may be lost by a change.
            copies.append(unchanged if embedding is None else embedding)
        return copies

    def _of(self, decoded: Decoded) -> NDArray[np.float64] | None:
        """Return the embedding of an image, of its largest face for a detector of faces, or None.

        One of each image: no image may be in two folds.
        """
        inputs = self._selector.select(decoded).of(self._probe.name)
        return self._model.embedding(inputs[0].views) if inputs else None
