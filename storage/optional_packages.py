"""How to install an optional dependency; in this package since all others may import it."""

from __future__ import annotations


def with_extra(name: str) -> str:
    """Return what to do about a missing extra, as part of a sentence."""
    return f"install scanner with the extra `{name}` (in its clone: pip install '.[{name}]')"
