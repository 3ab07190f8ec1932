"""Sorting in bounded memory."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.listing.external_sort import in_order

_names = st.binary(min_size=1).filter(lambda name: b"/" not in name)


@given(st.lists(_names), st.integers(min_value=1, max_value=9))
def test_it_sorts(names: list[bytes], run_length: int) -> None:
    """Whatever the names and however many runs, they come out as `sorted` has them."""
    assert sorted(names) == list(in_order(names, run_length))


def test_names_longer_than_a_block_survive() -> None:
    """A run is read in blocks, and a name may lie across several."""
    names = [bytes([97 + i % 26]) * (i * 977 % 9000 + 1) for i in range(300)]

    assert sorted(names) == list(in_order(names, 50))


def _peak_bytes(count: int) -> int:
    scramble = random.Random(1)
    names = (b"IMG_%012d.jpg\0f" % scramble.randrange(10**12) for _ in range(count))
    tracemalloc.start()
    try:
        previous, seen = b"", 0
        for name in in_order(names, 2_000):
            assert previous <= name
            previous, seen = name, seen + 1
        assert count == seen
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("count", [200_000])
def test_memory_does_not_grow_with_the_folder(count: int) -> None:
    """Ten times the names in one folder take at most the few kB more that each run's block is."""
    runs = count // 2_000

    assert _peak_bytes(count) < _peak_bytes(count // 10) + runs * 25_000
