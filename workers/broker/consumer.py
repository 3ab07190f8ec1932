"""A Celery consumer that survives hostile messages: it puts aside what scanner never publishes.

Celery assumes that nobody else writes to its queue. A message whose headers or body have another
shape than it expects ends its worker, goes back to the queue, and ends the next worker too. A batch
that is dropped by mistake is not lost: the store knows every batch and it is published again.
"""

from __future__ import annotations

import logging
import time
import warnings
import zlib
from collections import deque
from typing import TYPE_CHECKING, Any, NoReturn

from celery.exceptions import CPendingDeprecationWarning
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown
from kombu import compression
from kombu.transport import redis as redis_transport
from kombu.transport.redis import get_redis_error_classes
from kombu.utils.json import loads as load_json
from msgspec import Struct, convert
from redis import DataError, RedisError

from storage.paths import shown
from workers.broker.app import RECORD_BATCH, SCAN_BATCH
from workers.broker.dead_letters import bury, dead_letter
from workers.broker.field_types import MAX_BYTES, Empty, MessageError, message_errors
from workers.broker.unacknowledged import GuardedQoS

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu.message import Message

    from workers.broker.namespace import Namespace

log = logging.getLogger(__name__)

# Until the next attempt after an error of the broker.
RECONNECT_SECONDS = 2.0
# For which the queue has to answer before it is said to be back: a full one fails again at once.
STEADY_SECONDS = 3.0
# Of a message that becomes a dead letter.
MAX_SHOWN = 1_000

_GZIP = "application/x-gzip"


class _Headers(Struct):
    """The headers that Celery reads, with the values that scanner's messages have.

    Time limits, for one, are only read once the batch is being done, where invalid ones would end
    the worker; and messages must not start further tasks.
    """

    task: str
    id: str
    eta: str | None = None
    expires: None = None
    group: None = None
    ignore_result: bool | None = None
    parent_id: str | None = None
    retries: int | None = None
    root_id: str | None = None
    shadow: None = None
    stamped_headers: Empty = None
    stamps: Empty = None
    timelimit: tuple[None, None] | None = None


# Arguments, keyword arguments, and what Celery is to start next: nothing.
_Body = tuple[tuple[Any], Empty, dict[str, Empty]]


class GuardedConsumer(Consumer):  # type: ignore[misc]  # Celery has no types
    """Celery's consumer, which puts aside the messages that would end it."""

    task = SCAN_BATCH
    kind = "batch"
    # When the queue was said to be away; None while it answers.
    _away_since: float | None = None
    # The timer of the words that it is back.
    _back: Any = None

    def connect(self) -> Any:  # noqa: ANN401 - kombu's
        """Connect, and say that the queue is back once it has answered for a while."""
        connection = super().connect()
        if self._away_since is not None:
            self._back = self.timer.call_after(STEADY_SECONDS, self._say_back)
        return connection

    def ensure_connected(self, conn: Any) -> Any:  # noqa: ANN401 - kombu's
        """Try until the queue answers, with one line in the log, not one for each attempt."""
        retries = self.app.conf.broker_connection_max_retries
        return conn.ensure_connection(self._say_away, retries, callback=maybe_shutdown)

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Wait before the next attempt: a Redis whose memory is full answers at once."""
        self._say_away(exc)
        time.sleep(RECONNECT_SECONDS)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Wait before the next attempt: a full Redis loses each message that it gives."""
        self._say_away(exc)
        # Not by a filter: Celery sets its own, for this warning too, when its worker starts.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CPendingDeprecationWarning)
            super().on_connection_error_after_connected(exc)
        time.sleep(RECONNECT_SECONDS)

    def _say_away(self, error: Exception, _next_s: float = 0.0) -> None:
        """Log that the queue is away, unless that is known."""
        if self._back is not None:
            self._back.cancel()
            self._back = None
        if self._away_since is None:
            self._away_since = time.monotonic()
            reason = shown(str(error).encode()).rstrip(".")
            log.warning("the queue does not answer, waiting until it does: %s", reason)

    def _say_back(self) -> None:
        since, self._away_since, self._back = self._away_since, None, None
        if since is not None:
            log.warning("the queue answers again, after %.0f s", time.monotonic() - since)

    def create_task_handler(self, *args: object, **options: object) -> Callable[[Message], None]:
        """Return Celery's handler of messages, behind a check of each message."""
        handle: Callable[[Message], None] = super().create_task_handler(*args, **options)

        def guarded(message: Message) -> None:
            try:
                check_envelope(message, self.task)
                handle(message)
            except (RedisError, OSError):
                # Celery reconnects to the broker.
                raise
            except Exception as error:  # noqa: BLE001 - hostile messages cause any kind of error
                reason = str(error) if isinstance(error, MessageError) else type(error).__name__
                self._bury(message, reason)
                if not message.acknowledged:
                    message.reject_log_error(log, self.connection_errors)  # type: ignore[no-untyped-call]

        return guarded

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """Drop a message that cannot be unpacked; Celery would log much of its body."""
        self._bury(message, f"cannot be unpacked ({type(exc).__name__})")
        message.ack()  # type: ignore[no-untyped-call]

    def _bury(self, message: Message, reason: str) -> None:
        """Keep the beginning of a message that is none of scanner's as a dead letter."""
        _keep(self.app.letters, self.kind, reason, message.body)


class ResultConsumer(GuardedConsumer):
    """A guarded consumer for the queue of results."""

    task = RECORD_BATCH
    kind = "result"


def _keep(letters: Namespace, kind: str, reason: str, raw: object) -> None:
    """Keep the beginning of something as a dead letter."""
    beginning = shown(raw[:MAX_SHOWN]) if isinstance(raw, bytes) else str(raw)[:MAX_SHOWN]
    bury(letters, dead_letter(kind, reason, "consumer", beginning))


def check_envelope(message: Message, task: str) -> None:
    """Raise MessageError or another error for headers that `workers.broker.publish` never sends."""
    with message_errors("message"):
        headers = convert(message.headers, _Headers)
        if headers.task != task:
            raise MessageError(f"unexpected task {headers.task[:100]!r}: expected {task}")
        convert(message.payload, _Body)


# The errors of kombu for queue items that are not messages: not UTF-8, not JSON, or another shape.
_ITEM_ERRORS = (AttributeError, DataError, LookupError, RecursionError, TypeError, ValueError)


# The beginning of the latest queue item, for the case that it is not a message.
_latest_item: deque[str] = deque(maxlen=1)


class GuardedChannel(redis_transport.Channel):
    """kombu's channel, which puts aside queue items that are not messages and would end the worker.

    They become dead letters of this process' store and kind, see `guard_this_process`.
    """

    QoS = GuardedQoS
    letters: Namespace
    kind: str

    def keep(self, reason: str, raw: bytes | str) -> None:
        """Keep the beginning of something that is off its queue as a dead letter."""
        _keep(self.letters, self.kind, f"not a message ({reason})", raw)

    def _brpop_read(self, **options: object) -> bool:
        try:
            read: bool = super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except _ITEM_ERRORS as error:
            reason = str(error) if isinstance(error, MessageError) else type(error).__name__
            self.keep(reason, "".join(_latest_item))
            return True
        return read


class GuardedSentinelChannel(GuardedChannel, redis_transport.SentinelChannel):
    """The same for a broker behind Sentinels."""


def _load_item(item: str) -> Any:  # noqa: ANN401 - JSON
    """Return what a queue item holds; of one that is too large, nothing is made."""
    _latest_item.append(item[:MAX_SHOWN])
    if len(item) > MAX_BYTES:
        raise MessageError(f"larger than {MAX_BYTES // 2**20} MiB")
    return load_json(item)  # type: ignore[no-untyped-call]


def guard_this_process(letters: Namespace, kind: str) -> None:
    """Protect this process against queue items and compressed bodies that would end it.

    What is not a message becomes a dead letter of that kind, `batch` or `result`.
    """
    GuardedChannel.letters, GuardedChannel.kind = letters, kind
    _limit_unpacking()
    # What kombu makes of JSON takes five times its size.
    redis_transport.loads = _load_item  # type: ignore[assignment,attr-defined]
    transport = redis_transport.Transport
    transport.Channel = GuardedChannel
    redis_transport.SentinelTransport.Channel = GuardedSentinelChannel
    # An error that Redis answers with is waited for like one of the connection: its memory or disk
    # may be full, a key may have another type. Celery would end.
    errors = get_redis_error_classes()  # type: ignore[no-untyped-call]
    transport.connection_errors = (*errors.connection_errors, RedisError)


def _limit_unpacking() -> None:
    """Accept gzip only, up to a fixed size: a bomb of 300 kB would otherwise take 300 MB."""
    registry: Any = compression  # it has no types
    for name in registry.encoders():
        pack, _ = registry.get_encoder(name)
        registry.register(pack, _unpack if name == _GZIP else _refuse, name)


def _unpack(packed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    content = inflater.decompress(packed, MAX_BYTES)
    if not inflater.eof:
        raise MessageError(f"truncated, or larger than {MAX_BYTES // 2**20} MiB")
    return content


def _refuse(_packed: bytes) -> NoReturn:
    raise MessageError("unexpected compression: expected gzip")
