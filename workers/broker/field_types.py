"""Field types of messages, with the bounds that msgspec checks when a message arrives.

Anyone who can write to the broker can write anything, so every message is declared as a struct of
these types and converted into it before use.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Iterator

# Version of all messages; those of another version are refused, not guessed at.
VERSION = 5

# The largest size of a message, packed or not; a batch or a result has less than a megabyte.
MAX_BYTES = 16 * 2**20

Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
# The bounds of the next two are those of their columns (`storage.database.schema`).
Attempt = Annotated[int, Meta(ge=0, le=2**15 - 1)]
Microseconds = Annotated[int, Meta(ge=0, le=2**31 - 1)]
# Seconds since the epoch, up to the year 36812.
Seconds = Annotated[float, Meta(ge=0, le=2**40)]
Probability = Annotated[float, Meta(ge=0, le=1)]
# Postgres stores no NUL, and no database half of a surrogate pair.
Text = Annotated[str, Meta(pattern=r"\A[^\0\ud800-\udfff]*\Z")]
# A host, a worker, a version: also passed to `require_printable`.
Name = Annotated[str, Meta(min_length=1, max_length=200)]
# A SHA-256, as base64 in JSON.
Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
# A relative path as `storage.paths.to_wire` writes it; `from_wire` checks the rest.
WirePath = str | dict[str, str]
# A container or a setting that Celery offers and that is not used here.
Empty = (
    Annotated[list[Any], Meta(max_length=0)] | Annotated[dict[str, Any], Meta(max_length=0)] | None
)


class MessageError(ValueError):
    """The message is invalid; nothing of it is used."""


@contextmanager
def message_errors(what: str) -> Iterator[None]:
    """Turn each error that an invalid message causes into a MessageError of limited length."""
    try:
        yield
    except MessageError:
        raise
    except (RecursionError, ValueError) as error:
        raise MessageError(f"invalid {what}: {str(error)[:200]}") from error


def require_printable(*values: object) -> None:
    """Raise ValueError for a text that would not show as one line in a terminal."""
    if not all(value.isprintable() for value in values if isinstance(value, str)):
        raise ValueError("expected printable text on one line")
