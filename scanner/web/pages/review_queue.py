"""Images to review, in order: a selection by score, or a random sample as drawn."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from scanner.web import address
from storage.reads.gallery import ids_after, ids_before
from storage.reads.order import Position, position_of
from storage.reads.selection import Reviewed, Selection
from storage.reads.verdicts import verdict_row
from storage.writes.samples import sample_images

if TYPE_CHECKING:
    from storage.database.store import Store
    from storage.writes.samples import SampleOutcome
    from storage.writes.scans import Scan


class Queue(Protocol):
    """Images to review, one after the other.

    Open are those without an answer; those that others have on the screen come last.
    """

    def query(self, image_id: int | None) -> str:
        """Return the query of an image's page."""

    def first_open(self) -> int | None:
        """Return the first open image."""

    def next_open(self, image_id: int) -> int | None:
        """Return the next open image after an image that nobody else has on the screen."""

    def neighbours(self, image_id: int) -> tuple[int | None, int | None]:
        """Return the images before and after an image."""


@dataclass(frozen=True, slots=True)
class SelectionQueue:
    """A selection, the highest score first; `taken` are on the screens of others."""

    store: Store
    scan: Scan
    selection: Selection
    taken: frozenset[int]
    _places: dict[int, Position | None] = field(default_factory=dict)

    def query(self, image_id: int | None) -> str:
        """Return the query of an image's page."""
        return address.query(self.selection, image=image_id)

    def first_open(self) -> int | None:
        """Return the first open image."""
        first = self._next(self._open(), None, self.taken)
        return self._next(self._open(), None) if first is None else first

    def next_open(self, image_id: int) -> int | None:
        """Return the next open image after an image that nobody else has on the screen."""
        return self._next(self._open(), self._place(image_id), self.taken)

    def neighbours(self, image_id: int) -> tuple[int | None, int | None]:
        """Return the images before and after an image."""
        place = self._place(image_id)
        if place is None:
            return None, None
        before = ids_before(self.store, self.scan, self.selection, 1, place)
        return next(iter(before), None), self._next(self.selection, place)

    def _open(self) -> Selection:
        # A selection by review is shown as it is.
        wanted = self.selection.reviewed or Reviewed.NO
        return replace(self.selection, reviewed=wanted)

    def _next(
        self,
        selection: Selection,
        place: Position | None,
        taken: frozenset[int] = frozenset(),
    ) -> int | None:
        images = ids_after(self.store, self.scan, selection, 1 + len(taken), place)
        return next((image for image in images if image not in taken), None)

    def _place(self, image_id: int) -> Position | None:
        if image_id not in self._places:
            row = verdict_row(self.store, self.scan.scan_id, image_id)
            judged = None if row is None else row.verdict
            self._places[image_id] = (
                None if judged is None else position_of(judged.outcome, judged.score, image_id)
            )
        return self._places[image_id]


class SampleQueue:
    """A sample in the order of drawing, so that its first images are a sample too."""

    def __init__(self, store: Store, sample: SampleOutcome, taken: frozenset[int]) -> None:
        """Take the images that are on the screens of others."""
        self._store = store
        self._sample = sample
        self._taken = taken

    @cached_property
    def _images(self) -> list[tuple[int, bool]]:
        """Return each image, and whether it has an answer."""
        images = sample_images(self._store, self._sample)
        return [(image_id, answer is not None) for image_id, answer in images]

    def query(self, image_id: int | None) -> str:
        """Return the query of an image's page."""
        return "sample=1" if image_id is None else f"sample=1&image={image_id}"

    def first_open(self) -> int | None:
        """Return the first open image."""
        opened = [image for image, answered in self._images if not answered]
        return next(
            (image for image in opened if image not in self._taken), next(iter(opened), None)
        )

    def next_open(self, image_id: int) -> int | None:
        """Return the next open image after an image that nobody else has on the screen."""
        following = self._images[self._place(image_id) + 1 :]
        opened = (image for image, answered in following if not answered)
        return next((image for image in opened if image not in self._taken), None)

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
