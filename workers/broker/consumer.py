"""What a worker does with messages that are none of ours: it drops them before they do harm.

Celery takes for granted that nobody else writes to its queue. A message whose headers or body are
not of the shape that it expects ends its worker; the message goes back, and the next worker ends
too. The store knows every batch: should a batch be among what is dropped, it is published again.
"""

from __future__ import annotations

import logging
import zlib
from types import NoneType
from typing import TYPE_CHECKING, Any, NoReturn

from celery.worker.consumer import Consumer
from kombu import compression
from kombu.transport import redis as redis_transport
from redis import DataError, RedisError

from workers.broker.app import RECORD_BATCH, SCAN_BATCH
from workers.broker.wire import MessageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu.message import Message

log = logging.getLogger(__name__)

# What a message may come to when it is unpacked; a batch or a result has less than a megabyte.
MOST_BYTES = 16 * 2**20

_PACKED = "application/x-gzip"

# What the other headers may be; those that Celery has for what is not done here are left empty.
_KINDS = {
    "eta": (str, NoneType),
    "ignore_result": (bool, NoneType),
    "parent_id": (str, NoneType),
    "retries": (int, NoneType),
    "root_id": (str, NoneType),
}
_UNUSED = ("expires", "group", "shadow", "stamped_headers", "stamps")


class GuardedConsumer(Consumer):  # type: ignore[misc]  # Celery has no types
    """Celery's consumer, which no message ends."""

    expects = SCAN_BATCH

    def create_task_handler(self, *args: object, **options: object) -> Callable[[Message], None]:
        """Celery's way of taking a message, behind a look at whether it is one of ours."""
        take: Callable[[Message], None] = super().create_task_handler(*args, **options)

        def guarded(message: Message) -> None:
            try:
                require_ours(message, self.expects)
                take(message)
            except (RedisError, OSError):
                # The broker's own trouble is Celery's, which connects anew.
                raise
            except Exception as error:  # noqa: BLE001 - the shapes it may have are without number
                reason = str(error) if isinstance(error, MessageError) else type(error).__name__
                log.error("a message was dropped: %s", reason)  # noqa: TRY400
                if not message.acknowledged:
                    message.reject_log_error(log, self.connection_errors)  # type: ignore[no-untyped-call]

        return guarded

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """Drop what cannot be unpacked, in one line; Celery's own shows much of its body."""
        log.error("a message was dropped: it cannot be unpacked (%s)", type(exc).__name__)
        message.ack()  # type: ignore[no-untyped-call]


class ResultConsumer(GuardedConsumer):
    """The same for the queue of results."""

    expects = RECORD_BATCH


def require_ours(message: Message, task: str) -> None:
    """Refuse, with some error or other, what differs from what `workers.broker.publish` publishes.

    Time limits, for one, are only looked at when the batch is under way, where an odd one would
    end the worker; and what is to be done next is not for others to say.
    """
    headers = message.headers
    if headers["task"] != task or not isinstance(headers["id"], str):
        raise MessageError("it is neither a batch nor a result, or on the wrong queue")
    if headers.get("timelimit") not in (None, [None, None]):
        raise MessageError("it has limits on its time, which none of ours has")
    if any(headers.get(name) for name in _UNUSED):
        raise MessageError("it asks for what none of ours asks for")
    if not all(isinstance(headers.get(name), kinds) for name, kinds in _KINDS.items()):
        raise MessageError("a header is not of its type")
    args, kwargs, embed = message.payload
    if len(args) != 1 or kwargs or any(embed.values()):
        raise MessageError("it has more in it than ours have")


# What kombu makes of an item that is no message: not UTF-8, no JSON, or JSON of another shape.
_NO_MESSAGE = (AttributeError, DataError, LookupError, RecursionError, TypeError, ValueError)


class GuardedChannel(redis_transport.Channel):
    """kombu's channel, which drops what is no message at all; its own would end the worker."""

    def _brpop_read(self, **options: object) -> bool:
        try:
            read: bool = super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except _NO_MESSAGE as error:
            # It is off the queue already.
            log.error("an item was dropped: it is no message (%s)", type(error).__name__)  # noqa: TRY400
            return True
        return read


def guard_this_process() -> None:
    """Have whatever comes off a queue in this process unpacked with care, and no item end it."""
    _bound_unpacking()
    redis_transport.Transport.Channel = GuardedChannel


def _bound_unpacking() -> None:
    """Have messages unpacked to a bounded size in this process, from the one way they are packed.

    A bomb of 300 kB would otherwise take 300 MB.
    """
    registry: Any = compression  # it has no types
    for name in registry.encoders():
        pack, _ = registry.get_encoder(name)
        registry.register(pack, _unpack if name == _PACKED else _refuse, name)


def _unpack(packed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    content = inflater.decompress(packed, MOST_BYTES)
    if not inflater.eof:
        raise MessageError("it is cut off, or larger than any batch")
    return content


def _refuse(_packed: bytes) -> NoReturn:
    raise MessageError("it is packed in another way than batches are")
