"""The parts that messages are made of, each checked for its type and bounds as it is read.

Anyone who can write to the broker can write anything; what is no message of ours is a MessageError.
"""

from __future__ import annotations

import base64
import json
import math
import reprlib
from typing import Any

# Larger than any id that a store gives out.
MAX_ID = 2**63 - 1
# Seconds since the epoch, of the year 36812.
MAX_SECONDS = 2**40
# Of a SHA-256.
DIGEST_BYTES = 32
# Characters of a name: a host's, a worker's.
NAME_CHARACTERS = 200

# What a message of another shape makes Python raise.
TROUBLE = (AttributeError, LookupError, OverflowError, RecursionError, TypeError, ValueError)


class MessageError(ValueError):
    """This is not a message of ours; nothing of it is used."""


def message_error(what: str, error: Exception) -> MessageError:
    """In few words, however much of the message is in the error's own."""
    if isinstance(error, MessageError):
        return error
    return MessageError(f"This is no {what}: {type(error).__name__}: {str(error)[:200]}")


def number(raw: object, largest: int = MAX_ID) -> int:
    """A whole number from 0 on."""
    if isinstance(raw, bool) or not isinstance(raw, int) or not 0 <= raw <= largest:
        raise MessageError(f"{reprlib.repr(raw)} is not a number of ours")
    return raw


def flag(raw: object) -> bool:
    """True or false."""
    if not isinstance(raw, bool):
        raise MessageError(f"{reprlib.repr(raw)} is neither true nor false")
    return raw


def text(raw: object) -> str:
    """Text that every store takes: none takes half of a surrogate pair, Postgres no NUL."""
    if not isinstance(raw, str) or "\0" in raw:
        raise MessageError(f"{reprlib.repr(raw)} is not text")
    raw.encode()
    return raw


def detail(raw: object) -> dict[str, Any]:
    """What programs may want beside a finding."""
    if not isinstance(raw, dict):
        raise MessageError(f"{reprlib.repr(raw)} is no detail of a finding")
    # NaN is no JSON to Postgres.
    json.dumps(raw, allow_nan=False)
    return raw


def digest(raw: object) -> bytes:
    """A SHA-256."""
    found = base64.b64decode(text(raw), validate=True)
    if len(found) != DIGEST_BYTES:
        raise MessageError(f"A digest has {DIGEST_BYTES} bytes, not {len(found)}")
    return found


def score(raw: object) -> float | None:
    """A probability, or none."""
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        raise MessageError(f"{reprlib.repr(raw)} is not a score")
    if not math.isfinite(raw) or not 0 <= raw <= 1:
        raise MessageError(f"{reprlib.repr(raw)} is not a score")
    return float(raw)


def name(raw: object) -> str:
    """A short text on one line, which a terminal can show."""
    found = text(raw)
    if not 0 < len(found) <= NAME_CHARACTERS or not found.isprintable():
        raise MessageError(f"{reprlib.repr(raw)} is not a name")
    return found


def seconds(raw: object) -> float:
    """A time since the epoch."""
    if isinstance(raw, bool) or not isinstance(raw, (int, float)) or not 0 <= raw <= MAX_SECONDS:
        raise MessageError(f"{reprlib.repr(raw)} is not a time")
    return float(raw)
