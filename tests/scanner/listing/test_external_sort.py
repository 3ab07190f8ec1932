"""Sort names in bounded memory."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.listing.external_sort import sort_names

_names = st.binary(min_size=1).filter(lambda name: b"/" not in name)


@given(st.lists(_names), st.integers(min_value=1, max_value=9))
def test_names_come_out_sorted(names: list[bytes], run_length: int) -> None:
    """Any names come out as `sorted` orders them, whatever the number of runs."""
    assert sorted(names) == list(sort_names(names, run_length))


def test_names_longer_than_a_block() -> None:
    """A name may extend over several blocks."""
    names = [bytes([97 + i % 26]) * (i * 977 % 9000 + 1) for i in range(300)]

    assert sorted(names) == list(sort_names(names, 50))


def _peak_bytes(count: int) -> int:
    scramble = random.Random(1)
    names = (b"IMG_%012d.jpg\0f" % scramble.randrange(10**12) for _ in range(count))
    tracemalloc.start()
    try:
        previous, total = b"", 0
        for name in sort_names(names, 2_000):
            assert previous <= name
            previous, total = name, total + 1
        assert count == total
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("count", [200_000])
def test_memory_does_not_grow_with_the_folder(count: int) -> None:
    """Ten times the names take only the memory of one more block for each run."""
    runs = count // 2_000

    assert _peak_bytes(count) < _peak_bytes(count // 10) + runs * 25_000
