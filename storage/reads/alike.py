"""Images of a selection among which copies and bursts of others are: found by indexes alone.

Of an image with a date of taking, those that were taken in the same five minutes of the clock; of
any other, those whose files have the same size.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from storage.database.schema import entry, verdict
from storage.reads.gallery import in_order, matching_tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.database.store import Store
    from storage.reads.gallery import Tile
    from storage.reads.selection import Selection
    from storage.writes.scans import Scan

SPAN_SECONDS = 300
# Images of a span, or of a size, that are compared: the first ones.
MOST = 200
_Key = tuple[str, int]


def neighbourhoods(
    store: Store, scan: Scan, selection: Selection, tiles: Sequence[Tile]
) -> list[list[Tile]]:
    """Return, for each of these images, a list with it: all that may be like each other.

    Each list is in the order of the selection, and the same whichever of its images is asked for.
    """
    keys = dict.fromkeys(map(_key, tiles))
    candidates = sa.union_all(*(sa.select(_of(scan, key).subquery()) for key in keys))
    near = matching_tiles(store, scan, selection, candidates) if keys else []
    wanted = [tile for tile in near if _key(tile) in keys]
    missing = {tile.image_id for tile in tiles} - {tile.image_id for tile in wanted}
    alone = [[tile] for tile in tiles if tile.image_id in missing]
    grouped = groupby(sorted(wanted, key=_key), key=_key)
    return alone + [in_order(selection, list(group)) for _, group in grouped]


def _key(tile: Tile) -> _Key:
    if tile.taken_at is None:
        return "size", tile.size_bytes
    return "taken", int(tile.taken_at // SPAN_SECONDS)


def _of(scan: Scan, key: _Key) -> sa.Select[Any]:
    """Select the images of a span, or of a size, by an index."""
    name, value = key
    if name == "size":
        ids = sa.select(entry.c.image_id).where(
            entry.c.scan_id == scan.scan_id, entry.c.size_bytes == value
        )
        return ids.order_by(entry.c.image_id).limit(MOST)
    begin, end = value * SPAN_SECONDS, (value + 1) * SPAN_SECONDS
    ids = sa.select(verdict.c.image_id).where(
        verdict.c.scan_id == scan.scan_id,
        verdict.c.taken_at >= begin,
        verdict.c.taken_at < end,
    )
    return ids.order_by(verdict.c.taken_at, verdict.c.image_id).limit(MOST)
