"""Pages of the gallery: of images, or of groups of copies and bursts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scanner.web.alike import grouped
from storage.reads import gallery
from storage.reads.alike import neighbourhoods

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.database.store import Store
    from storage.reads.gallery import Tile
    from storage.reads.order import Position
    from storage.reads.selection import Selection
    from storage.writes.scans import Scan

# Images that are read at a time for a page of groups, and how often: most may be in groups that
# stand elsewhere.
_STEP_TILES, _STEPS = 120, 10


@dataclass(frozen=True, slots=True)
class Page:
    """A page of groups of images, and the positions between it and the pages beside it.

    `start` is None where no page is before it, `end` where none follows.
    """

    groups: Sequence[Sequence[Tile]]
    start: Position | None
    end: Position | None


@dataclass(frozen=True, slots=True)
class Pager:
    """Reads pages of a selection, of `limit` groups at most."""

    store: Store
    scan: Scan
    selection: Selection
    limit: int

    def page(self, after: Position | None, before: Position | None) -> Page:
        """Return what follows a position, or what ends before one."""
        read = self._groups if self.selection.is_grouped else self._images
        return read(after, before)

    def _images(self, after: Position | None, before: Position | None) -> Page:
        # One more than is shown tells whether another page follows.
        tiles = self._tiles(after, before, self.limit + 1)
        has_more = len(tiles) > self.limit
        shown = tiles[: self.limit] if before is None else tiles[-self.limit :]
        has_before, has_after = (
            (after is not None, has_more) if before is None else (has_more, True)
        )
        return Page(
            [[tile] for tile in shown],
            shown[0].position if shown and has_before else None,
            shown[-1].position if shown and has_after else None,
        )

    def _groups(self, after: Position | None, before: Position | None) -> Page:
        """Return groups with the copies and bursts of the whole selection.

        A group stands where its first image does. Images that look alike for another reason are put
        together with those of their page.
        """
        is_back = before is not None
        groups: list[list[Tile]] = []
        place, is_end = before if is_back else after, False
        for _ in range(_STEPS):
            tiles = self._tiles(None if is_back else place, place if is_back else None, _STEP_TILES)
            more = self._beginning_with(tiles)
            groups = more + groups if is_back else groups + more
            is_end = len(tiles) < _STEP_TILES
            if tiles:
                place = tiles[0 if is_back else -1].position
            if is_end or len(groups) > self.limit:
                break
        if len(groups) > self.limit:
            groups = groups[-self.limit :] if is_back else groups[: self.limit]
            place, is_end = groups[0 if is_back else -1][0].position, False
        beyond = None if is_end else place
        if is_back:
            return Page(_together(groups), beyond, groups[-1][0].position if groups else place)
        start = groups[0][0].position if groups else place
        return Page(_together(groups), None if after is None else start, beyond)

    def _tiles(self, after: Position | None, before: Position | None, limit: int) -> list[Tile]:
        if before is not None:
            return gallery.page_before(self.store, self.scan, self.selection, limit, before)
        return gallery.page(self.store, self.scan, self.selection, limit, after)

    def _beginning_with(self, tiles: Sequence[Tile]) -> list[list[Tile]]:
        """Return the groups that begin with one of these images."""
        groups = {
            group[0].image_id: group
            for near in neighbourhoods(self.store, self.scan, self.selection, tiles)
            for group in grouped(near)
        }
        return [groups[tile.image_id] for tile in tiles if tile.image_id in groups]


def _together(groups: Sequence[list[Tile]]) -> list[list[Tile]]:
    """Return groups with those in one whose first images are alike."""
    by_first = {group[0].image_id: group for group in groups}
    return [
        [tile for first in alike for tile in by_first[first.image_id]]
        for alike in grouped([group[0] for group in groups])
    ]
