"""Group images into batches, limited by count and by bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class _Sized(Protocol):
    @property
    def size_bytes(self) -> int: ...


Item = TypeVar("Item", bound=_Sized)


def group_into_batches(
    items: Iterable[Item], *, max_images: int, max_bytes: int
) -> Iterator[tuple[Item, ...]]:
    """Yield the items in order, in batches of at most `max_images` and `max_bytes` each.

    Read at most one item beyond the batch that is yielded. An item larger than `max_bytes` is a
    batch of its own. Raise ValueError if `max_images` is less than one.
    """
    if max_images < 1:
        raise ValueError(f"invalid max_images {max_images}: expected at least 1")
    batch: list[Item] = []
    total_bytes = 0
    for item in items:
        if batch and (len(batch) == max_images or total_bytes + item.size_bytes > max_bytes):
            yield tuple(batch)
            batch, total_bytes = [], 0
        batch.append(item)
        total_bytes += item.size_bytes
    if batch:
        yield tuple(batch)
