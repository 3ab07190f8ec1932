"""Images to review, in order: a selection by score, or a random sample as drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from scanner.web import address
from storage.reads.gallery import page, page_before
from storage.reads.order import Position, position_of
from storage.reads.selection import Reviewed, Selection
from storage.reads.verdicts import verdict_row
from storage.writes.samples import sample_images

if TYPE_CHECKING:
    from storage.database.store import Store
    from storage.writes.samples import SampleOutcome
    from storage.writes.scans import Scan


class Queue(Protocol):
    """Images to review, one after the other."""

    def query(self, image_id: int | None) -> str:
        """Return the query of an image's page."""

    def first_open(self) -> int | None:
        """Return the first image without an answer."""

    def next_open(self, image_id: int) -> int | None:
        """Return the next image without an answer after an image."""

    def neighbours(self, image_id: int) -> tuple[int | None, int | None]:
        """Return the images before and after an image."""


@dataclass(frozen=True, slots=True)
class SelectionQueue:
    """A selection, the highest score first."""

    store: Store
    scan: Scan
    selection: Selection

    def query(self, image_id: int | None) -> str:
        """Return the query of an image's page."""
        return address.query(self.selection, image=image_id)

    def first_open(self) -> int | None:
        """Return the first image without an answer."""
        return self._next(self._open(), None)

    def next_open(self, image_id: int) -> int | None:
        """Return the next image without an answer after an image."""
        return self._next(self._open(), self._place(image_id))

    def neighbours(self, image_id: int) -> tuple[int | None, int | None]:
        """Return the images before and after an image."""
        place = self._place(image_id)
        if place is None:
            return None, None
        before = page_before(self.store, self.scan, self.selection, 1, place)
        following = self._next(self.selection, place)
        return (before[0].image_id if before else None), following

    def _open(self) -> Selection:
        # A selection by review is shown as it is.
        wanted = self.selection.reviewed or Reviewed.NO
        return replace(self.selection, reviewed=wanted)

    def _next(self, selection: Selection, place: Position | None) -> int | None:
        tiles = page(self.store, self.scan, selection, 1, place)
        return tiles[0].image_id if tiles else None

    def _place(self, image_id: int) -> Position | None:
        row = verdict_row(self.store, self.scan.scan_id, image_id)
        if row is None or row.verdict is None:
            return None
        return position_of(row.verdict.outcome, row.verdict.score, image_id)


class SampleQueue:
    """A sample in the order of drawing, so that its first images are a sample too."""

    def __init__(self, store: Store, sample: SampleOutcome) -> None:
        self._store = store
        self._sample = sample

    @cached_property
    def _images(self) -> list[tuple[int, bool]]:
        """Return each image, and whether it has an answer."""
        images = sample_images(self._store, self._sample)
        return [(image_id, answer is not None) for image_id, answer in images]

    def query(self, image_id: int | None) -> str:
        """Return the query of an image's page."""
        return "sample=1" if image_id is None else f"sample=1&image={image_id}"

    def first_open(self) -> int | None:
        """Return the first image without an answer."""
        return next((image for image, answered in self._images if not answered), None)

    def next_open(self, image_id: int) -> int | None:
        """Return the next image without an answer after an image."""
        following = self._images[self._place(image_id) + 1 :]
        return next((image for image, answered in following if not answered), None)

    def neighbours(self, image_id: int) -> tuple[int | None, int | None]:
        """Return the images before and after an image."""
        place = self._place(image_id)
        before = self._images[place - 1][0] if place > 0 else None
        following = self._images[place + 1][0] if 0 <= place < len(self._images) - 1 else None
        return before, following

    def _place(self, image_id: int) -> int:
        """Return an image's index in the sample, -1 where it is not in it."""
        images = (image for image, _ in self._images)
        return next((place for place, image in enumerate(images) if image == image_id), -1)
