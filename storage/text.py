"""Texts and details as both kinds of store take them, whatever file they quote."""

from __future__ import annotations

import math
import re
from typing import Any

# What Postgres takes neither in a text nor, as an escape, in JSON: a NUL, half a surrogate pair.
_NO_TEXT = re.compile(r"[\0\ud800-\udfff]")


def clean(text: str) -> str:
    """A text that both kinds of store take: what is no character becomes U+FFFD.

    Texts and details quote what stands in a file, which may be anything.
    """
    return _NO_TEXT.sub("\ufffd", text)


def clean_json(value: Any) -> Any:  # noqa: ANN401 - whatever JSON can say
    """The same for every text in a detail; a number that is none, which JSON lacks, is null."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean_json(key): clean_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
