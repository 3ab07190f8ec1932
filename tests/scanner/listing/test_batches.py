"""Group images into batches by count and by bytes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.listing.batches import group_into_batches
from scanner.listing.walk import Candidate


def _batches(sizes: list[int], max_images: int, max_bytes: int) -> list[tuple[int, ...]]:
    """Return the sizes of the images of each batch."""
    images = [Candidate(b"", size, 0) for size in sizes]
    batches = group_into_batches(images, max_images=max_images, max_bytes=max_bytes)
    return [tuple(image.size_bytes for image in batch) for batch in batches]


def test_count_closes_a_batch() -> None:
    """A batch has at most so many images."""
    assert [(1, 1), (1, 1), (1,)] == _batches([1] * 5, 2, 100)


def test_bytes_close_a_batch() -> None:
    """A batch has at most so many bytes, the limit itself allowed."""
    assert [(4, 6), (5,), (6, 1)] == _batches([4, 6, 5, 6, 1], 10, 10)


def test_large_image_is_a_batch_of_its_own() -> None:
    """An image above the limit is alone in its batch."""
    assert [(1,), (99,), (1, 1)] == _batches([1, 99, 1, 1], 10, 10)


def test_no_images_make_no_batch() -> None:
    """Without images there is no batch."""
    assert [] == _batches([], 3, 10)


def test_batches_hold_the_images_themselves() -> None:
    """A batch is a tuple of the images."""
    first, second = Candidate(b"a", 7, 0), Candidate(b"b", 7, 0)

    assert [(first,), (second,)] == list(
        group_into_batches([first, second], max_images=9, max_bytes=10)
    )


def test_grouping_is_lazy() -> None:
    """A batch is yielded before the images after it are read, but for one."""
    images = (Candidate(b"", 1, number) for number in itertools.count(1))
    first = next(group_into_batches(images, max_images=3, max_bytes=1000))

    assert [1, 2, 3] == [image.mtime_ns for image in first]
    assert 5 == next(images).mtime_ns


def test_count_below_one_is_refused() -> None:
    """A batch without images is an error."""
    with pytest.raises(ValueError, match="at least 1"):
        _batches([1], 0, 1)


@given(st.lists(st.integers(0, 50)), st.integers(1, 5), st.integers(0, 60))
def test_batches_are_complete_and_within_limits(
    sizes: list[int], max_images: int, max_bytes: int
) -> None:
    """Batches hold all images in order, are within the limits, and as large as those allow."""
    batches = _batches(sizes, max_images, max_bytes)

    assert sizes == [size for batch in batches for size in batch]
    for batch in batches:
        assert 1 <= len(batch) <= max_images
        assert len(batch) == 1 or sum(batch) <= max_bytes
    for batch, after in itertools.pairwise(batches):
        assert len(batch) == max_images or sum(batch) + after[0] > max_bytes
