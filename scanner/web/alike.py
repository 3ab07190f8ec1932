"""Copies of an image, and images that look alike, such as those of a burst."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.language import marked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.reads.gallery import Tile

COPY, SIMILAR = marked("the same file"), marked("looks alike")
# Bits of 64 in which the hashes of similar images differ at most.
MAX_DISTANCE = 6


def likeness(one: Tile, other: Tile) -> str:
    """Return COPY for the same bytes, SIMILAR for a similar look, and "" for anything else."""
    if one.digest is not None and one.digest == other.digest:
        return COPY
    if one.look is None or other.look is None:
        return ""
    # As unsigned numbers: a negative one has no end of leading ones.
    distance = ((one.look ^ other.look) & (2**64 - 1)).bit_count()
    return SIMILAR if distance <= MAX_DISTANCE else ""


def grouped(tiles: Sequence[Tile]) -> list[list[Tile]]:
    """Return images in groups whose first one the others are like, in their order."""
    groups: list[list[Tile]] = []
    for tile in tiles:
        for group in groups:
            if likeness(group[0], tile):
                group.append(tile)
                break
        else:
            groups.append([tile])
    return groups
