"""Text and JSON that SQLite and Postgres both accept, whatever file they quote; mistyped names."""

from __future__ import annotations

import math
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

# What Postgres accepts neither in text nor escaped in JSON: NUL and surrogates.
_INVALID = re.compile(r"[\0\ud800-\udfff]")
_DIGITS = re.compile(r"\d")


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


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that an unknown one most likely means; None if none is near.

    Names that differ in digits only are different names, not mistyped ones.
    """
    letters = _DIGITS.sub("", name)
    others = [other for other in known if _DIGITS.sub("", other) != letters]
    return next(iter(get_close_matches(name, others, n=1, cutoff=0.75)), None)
