"""What is reviewed, in which order: a selection by score, or a random sample as it was drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from scanner.web import address
from storage.reads.gallery import Place, Reviewed, Selection, page, page_before, place_of
from storage.reads.queries import verdict_row
from storage.writes.samples import sample_images

if TYPE_CHECKING:
    from storage.database.store import Store
    from storage.writes.samples import SampleOutcome
    from storage.writes.scans import Scan


class Queue(Protocol):
    """Images to look at, one after the other."""

    def query(self, image_id: int | None) -> str:
        """The query of the address of an image's page."""

    def first_open(self) -> int | None:
        """The first image that nobody has answered."""

    def next_open(self, image_id: int) -> int | None:
        """The next image, after one, that nobody has answered."""

    def neighbours(self, image_id: int) -> tuple[int | None, int | None]:
        """The image before one and the one behind it."""


@dataclass(frozen=True, slots=True)
class SelectionQueue:
    """A selection, the highest score first."""

    store: Store
    scan: Scan
    selection: Selection

    def query(self, image_id: int | None) -> str:
        """The query of the address of an image's page."""
        return address.query(self.selection, image=image_id)

    def first_open(self) -> int | None:
        """The first image that nobody has answered."""
        return self._next(self._open(), None)

    def next_open(self, image_id: int) -> int | None:
        """The next image, after one, that nobody has answered."""
        return self._next(self._open(), self._place(image_id))

    def neighbours(self, image_id: int) -> tuple[int | None, int | None]:
        """The image before one and the one behind it."""
        place = self._place(image_id)
        if place is None:
            return None, None
        before = page_before(self.store, self.scan, self.selection, 1, place)
        following = self._next(self.selection, place)
        return (before[0].image_id if before else None), following

    def _open(self) -> Selection:
        # A selection of reviewed images is gone through as it is.
        wanted = self.selection.reviewed or Reviewed.NO
        return replace(self.selection, reviewed=wanted)

    def _next(self, selection: Selection, place: Place | None) -> int | None:
        found = page(self.store, self.scan, selection, 1, place)
        return found[0].image_id if found else None

    def _place(self, image_id: int) -> Place | None:
        row = verdict_row(self.store, self.scan.scan_id, image_id)
        if row is None or row.verdict is None:
            return None
        return place_of(row.verdict.outcome, row.verdict.score, image_id)


class SampleQueue:
    """A sample, in the order in which it was drawn: its first images are a sample too."""

    def __init__(self, store: Store, sample: SampleOutcome) -> None:
        self._store = store
        self._sample = sample

    @cached_property
    def _images(self) -> list[tuple[int, bool]]:
        """Each image, and whether it is answered."""
        images = sample_images(self._store, self._sample)
        return [(image_id, said is not None) for image_id, said in images]

    def query(self, image_id: int | None) -> str:
        """The query of the address of an image's page."""
        return "sample=1" if image_id is None else f"sample=1&image={image_id}"

    def first_open(self) -> int | None:
        """The first image that nobody has answered."""
        return next((one for one, answered in self._images if not answered), None)

    def next_open(self, image_id: int) -> int | None:
        """The next image, after one, that nobody has answered."""
        behind = self._images[self._at(image_id) + 1 :]
        return next((one for one, answered in behind if not answered), None)

    def neighbours(self, image_id: int) -> tuple[int | None, int | None]:
        """The image before one and the one behind it."""
        at = self._at(image_id)
        before = self._images[at - 1][0] if at > 0 else None
        following = self._images[at + 1][0] if 0 <= at < len(self._images) - 1 else None
        return before, following

    def _at(self, image_id: int) -> int:
        """An image's place in the sample, -1 where it is not in it."""
        return next((at for at, (one, _) in enumerate(self._images) if one == image_id), -1)
