"""Batches by count and by bytes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.listing.batches import batches
from scanner.listing.walk import Candidate


def _of(sizes: list[int], max_images: int, max_bytes: int) -> list[tuple[int, ...]]:
    return list(batches(sizes, max_images=max_images, max_bytes=max_bytes, size=lambda size: size))


def test_count_closes_a_batch() -> None:
    """A batch has at most so many images."""
    assert [(1, 1), (1, 1), (1,)] == _of([1] * 5, 2, 100)


def test_bytes_close_a_batch() -> None:
    """A batch has at most so many bytes, the limit itself allowed."""
    assert [(4, 6), (5,), (6, 1)] == _of([4, 6, 5, 6, 1], 10, 10)


def test_a_large_image_is_alone() -> None:
    """An image above the limit makes a batch by itself and joins no other."""
    assert [(1,), (99,), (1, 1)] == _of([1, 99, 1, 1], 10, 10)


def test_nothing_makes_no_batch() -> None:
    """No images, no batch."""
    assert [] == _of([], 3, 10)


def test_candidates_have_their_own_size() -> None:
    """Without `size` an image's `size_bytes` counts."""
    first, second = Candidate(b"a", 7, 0), Candidate(b"b", 7, 0)

    assert [(first,), (second,)] == list(batches([first, second], max_images=9, max_bytes=10))


def test_it_is_lazy() -> None:
    """A batch comes before the images after it are asked for."""
    endless = itertools.count(1)
    first = next(batches(endless, max_images=3, max_bytes=1000, size=lambda _: 1))

    assert (1, 2, 3) == first
    assert 5 == next(endless)


def test_a_batch_of_no_images_is_refused() -> None:
    """A count below one can hold nothing."""
    with pytest.raises(ValueError, match="at least one image"):
        _of([1], 0, 1)


@given(st.lists(st.integers(0, 50)), st.integers(1, 5), st.integers(0, 60))
def test_nothing_is_lost_and_caps_hold(sizes: list[int], max_images: int, max_bytes: int) -> None:
    """All images in their order, each batch in its caps, and none that its successor would fit."""
    found = _of(sizes, max_images, max_bytes)

    assert sizes == [size for batch in found for size in batch]
    for batch in found:
        assert 1 <= len(batch) <= max_images
        assert len(batch) == 1 or sum(batch) <= max_bytes
    for batch, after in itertools.pairwise(found):
        assert len(batch) == max_images or sum(batch) + after[0] > max_bytes
