"""The disk of tests/faults/test_power.py, which loses what was not flushed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from write_cache import SECTOR, WriteCache

if TYPE_CHECKING:
    from pathlib import Path

OLD, NEW, NEWER = (bytes([number]) * SECTOR for number in (1, 2, 3))


def test_cut(tmp_path: Path) -> None:
    """What was flushed stays; of later sectors some do, as they were at any time since."""
    file = tmp_path / "medium"
    file.write_bytes(bytes(200 * SECTOR))
    cache = WriteCache(file)
    cache.write(0, OLD * 200)
    cache.flush()
    cache.write(100 * SECTOR, NEW * 100)
    cache.write(150 * SECTOR, NEWER * 50)

    assert NEW + NEWER == cache.read(149 * SECTOR, 2 * SECTOR)
    kept, written = cache.cut(random.Random(1))
    data = file.read_bytes()
    sectors = [data[start : start + SECTOR] for start in range(0, len(data), SECTOR)]
    assert 100 == written
    assert 100 == sectors[:100].count(OLD)
    assert kept == 100 - sectors[100:].count(OLD)
    assert {OLD, NEW} == set(sectors[100:150])
    assert {OLD, NEW, NEWER} == set(sectors[150:])
    with pytest.raises(OSError, match="no power"):
        cache.read(0, SECTOR)
