"""How to have an extra, said wherever one of its packages is missing.

Here since everything may import from here.
"""

from __future__ import annotations


def with_extra(name: str) -> str:
    """What to do, to stand in a sentence."""
    return f"install scanner with the extra `{name}` (in its clone: pip install '.[{name}]')"
