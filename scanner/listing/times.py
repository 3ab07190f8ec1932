"""Times of change as the store can hold them."""

from __future__ import annotations

# The store holds nanoseconds as 64 bits, which end in 2262; a file may claim a later time.
_MAX_NS = 2**63 - 1


def clamp_mtime(mtime_ns: int) -> int:
    """Return the modification time nearest to the given one that a store can hold."""
    if -_MAX_NS <= mtime_ns <= _MAX_NS:
        return mtime_ns
    return _MAX_NS if mtime_ns > 0 else -_MAX_NS
