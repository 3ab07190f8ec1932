"""Copies of an image, and images that look alike, such as those of a burst."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.language import marked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from storage.reads.gallery import Tile
    from storage.records import Verdict

COPY, SIMILAR = marked("the same file"), marked("looks alike")
# Bits of 64 in which the hashes of similar images differ at most.
MAX_DISTANCE = 6


def likeness(one: Verdict | None, other: Verdict | None) -> str:
    """Return COPY for the same bytes, SIMILAR for a similar look, and "" for anything else."""
    if one is None or other is None:
        return ""
    if one.digest is not None and one.digest == other.digest:
        return COPY
    looks = one.photograph.look, other.photograph.look
    if looks[0] is None or looks[1] is None:
        return ""
    # As unsigned numbers: a negative one has no end of leading ones.
    distance = ((looks[0] ^ looks[1]) & (2**64 - 1)).bit_count()
    return SIMILAR if distance <= MAX_DISTANCE else ""


def grouped(tiles: Sequence[Tile], verdicts: Mapping[int, Verdict]) -> list[list[Tile]]:
    """Return tiles in groups whose first one the others are like, in their order."""
    groups: list[list[Tile]] = []
    for tile in tiles:
        judged = verdicts.get(tile.image_id)
        for group in groups:
            if likeness(verdicts.get(group[0].image_id), judged):
                group.append(tile)
                break
        else:
            groups.append([tile])
    return groups
