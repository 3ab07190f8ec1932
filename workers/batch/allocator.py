"""Settings of the C library's allocator for a process that judges images.

Tiny images are judged with arrays of some hundred kilobytes, many at a time. By default glibc gives
such memory back to the system whenever they are freed, and the next batch waits while the system
fills it with zeros again: 3 to 5 % of the time of a tiny image.
"""

from __future__ import annotations

import ctypes

# From malloc.h: the free memory at the end of the heap that is kept, and the size of blocks that
# are mapped by themselves, and so given back when they are freed, as the pixels of a photograph.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES, LARGE_BYTES = 32 * 2**20, 4 * 2**20


def keep_freed_memory() -> None:
    """Keep a little of what is freed for the next arrays; do nothing where that is not glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
