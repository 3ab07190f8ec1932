"""The allocator of a worker's process: memory of small arrays is kept, that of photographs not."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

if platform.libc_ver()[0] != "glibc":
    pytest.skip("for glibc", allow_module_level=True)

# Prints page faults of 50 times ten arrays of 400 kB, then bytes that are left of 64 MB.
PROGRAM = """
import resource, sys
import numpy as np
from workers.batch.allocator import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

if "keep" in sys.argv:
    keep_freed_memory()
for number in range(60):
    if number == 10:
        before = faults()
    arrays = [np.ones(100_000, np.int32) for _ in range(10)]
    del arrays
print(faults() - before)
before = resident_bytes()
photograph = np.ones(64_000_000, np.uint8)
del photograph
print(resident_bytes() - before)
"""


def _measured(*options: str) -> tuple[int, int]:
    """Return the page faults and the bytes that the program prints."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *options], capture_output=True, check=True, text=True
    )
    faults, left_bytes = map(int, done.stdout.split())
    return faults, left_bytes


def test_small_arrays_use_the_same_memory_again() -> None:
    """Ten arrays of 400 kB are a thousand pages, which are not fetched anew each time."""
    faults, _ = _measured("keep")
    by_default, _ = _measured()

    assert faults < by_default / 10


def test_memory_of_a_photograph_is_given_back() -> None:
    """Four processes on a small board do not keep what the largest image took."""
    _, left_bytes = _measured("keep")

    assert left_bytes < 8_000_000
