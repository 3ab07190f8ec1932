"""Grouping images into batches, capped by count and by bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")


def _size_bytes(item: object) -> int:
    size: int = item.size_bytes  # type: ignore[attr-defined]
    return size


def batches(
    items: Iterable[T],
    *,
    max_images: int,
    max_bytes: int,
    size: Callable[[T], int] = _size_bytes,
) -> Iterator[tuple[T, ...]]:
    """The items in their order, in groups of at most `max_images` and at most `max_bytes` together.

    Lazy: reads one item beyond the group it gives. An item larger than `max_bytes` is a group of
    its own. `size` gives an item's bytes (default: its `size_bytes`). Raises `ValueError` where
    `max_images` is less than one.
    """
    if max_images < 1:
        raise ValueError(f"a batch holds at least one image, not {max_images}")
    group: list[T] = []
    total_bytes = 0
    for item in items:
        item_bytes = size(item)
        if group and (len(group) == max_images or total_bytes + item_bytes > max_bytes):
            yield tuple(group)
            group, total_bytes = [], 0
        group.append(item)
        total_bytes += item_bytes
    if group:
        yield tuple(group)
