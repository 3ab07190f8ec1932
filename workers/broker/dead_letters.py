"""Dead letters: messages that nobody may or can act on, kept with the reason for people to see.

They are a list in Redis, the newest first, of a bounded number and size, next to the queues that
they come from: workers without the store can write it, and the store holds all that matters anyway.
"""

from __future__ import annotations

import binascii
import logging
import secrets
import time
import zlib
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

import redis
from msgspec import Struct, json

from storage.text import clean
from workers.broker.field_types import Id, MessageError, Text, message_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.broker.namespace import Namespace

log = logging.getLogger(__name__)

# The newest ones that are kept; together at most 13 MB.
MAX_LETTERS = 200
# Of a compressed message; larger ones are kept without it, and cannot be sent again. A batch of 500
# images has about 10 kB.
MAX_MESSAGE_BYTES = 64 * 1024
# Unpacked, when a letter is read.
_MAX_UNPACKED_BYTES = 16 * 2**20
_MAX_REASON = 500


class DeadLetter(Struct, frozen=True, omit_defaults=True):
    """A message that was put aside, at a time in seconds since the epoch, and why.

    `kind` is `batch` or `result`, `by` who put it aside. `batch_id` is set where it was a batch of
    the store that nobody could do; `packed` is the message, compressed, if it may be sent again.
    """

    letter_id: Text
    at: float
    kind: Text
    reason: Text
    by: Text
    scan_id: Id = 0
    batch_id: Id = 0
    packed: Text = ""

    def message(self) -> object:
        """Return the message as it was on the queue. Raises MessageError where it was not kept."""
        if not self.packed:
            raise MessageError("the message was not kept")
        try:
            inflater = zlib.decompressobj()
            content = inflater.decompress(b64decode(self.packed), _MAX_UNPACKED_BYTES)
            with message_errors("dead letter"):
                return json.decode(content)
        except (zlib.error, binascii.Error) as error:
            raise MessageError("the message is damaged") from error


def dead_letter(
    kind: str, reason: str, by: str, message: object, batch: tuple[int, int] = (0, 0)
) -> DeadLetter:
    """Return a letter for a message of JSON types; `batch` is the scan's and the batch's id."""
    packed = ""
    try:
        content = zlib.compress(json.encode(message))
    except (TypeError, ValueError, RecursionError):
        content = b""
    if len(content) <= MAX_MESSAGE_BYTES:
        packed = b64encode(content).decode()
    return DeadLetter(
        secrets.token_hex(4),
        time.time(),
        kind,
        clean(reason)[:_MAX_REASON],
        clean(by)[:_MAX_REASON],
        *batch,
        packed,
    )


def bury(namespace: Namespace, letter: DeadLetter) -> None:
    """Keep a letter; without a broker it is only logged."""
    log.error("%s put aside (dead letter %s): %s", letter.kind, letter.letter_id, letter.reason)
    key = letters_key(namespace)
    try:
        with namespace.client.pipeline() as pipe:
            pipe.lpush(key, json.encode(letter))
            pipe.ltrim(key, 0, MAX_LETTERS - 1)
            pipe.execute()
    except redis.RedisError as error:
        log.warning("the dead letter could not be kept: %s", error)


def read_letters(namespace: Namespace) -> list[DeadLetter]:
    """Return all letters, the newest first; invalid ones are left out. Raises redis.RedisError."""
    return [letter for _, letter in _entries(namespace)]


def drop_letters(namespace: Namespace, is_dropped: Callable[[DeadLetter], bool]) -> None:
    """Remove some of the letters. Raises redis.RedisError."""
    for raw, letter in _entries(namespace):
        if is_dropped(letter):
            namespace.client.lrem(letters_key(namespace), 1, raw)


def letters_key(namespace: Namespace) -> str:
    """Return the key of the list."""
    return namespace.key("dead")


def _entries(namespace: Namespace) -> list[tuple[Any, DeadLetter]]:
    entries = []
    for raw in namespace.client.lrange(letters_key(namespace), 0, MAX_LETTERS - 1):
        try:
            with message_errors("dead letter"):
                entries.append((raw, json.decode(raw, type=DeadLetter)))
        except MessageError as error:
            log.warning("ignoring a dead letter: %s", error)
    return entries
