"""Text and JSON that SQLite and Postgres both accept, whatever file they quote."""

from __future__ import annotations

import math
import re
from typing import Any

# What Postgres accepts neither in text nor escaped in JSON: NUL and surrogates.
_INVALID = re.compile(r"[\0\ud800-\udfff]")


def clean(text: str) -> str:
    """Return the text with characters that a store cannot hold replaced by U+FFFD."""
    return _INVALID.sub("\ufffd", text)


def clean_json(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the value with all its text cleaned, and null for infinite numbers and NaN."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean_json(key): clean_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
