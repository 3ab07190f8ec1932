"""Messages that were taken and not acknowledged: kombu's bookkeeping, on which anyone can write.

kombu returns those of a dead worker to their queue after a while. Whatever it cannot read ends its
look for all others, every ten seconds; so that is moved aside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kombu.transport import redis as redis_transport
from kombu.transport import virtual
from msgspec import Struct, json

from workers.broker.field_types import MAX_BYTES, MessageError, message_errors
from workers.broker.namespace import QUEUE, RESULTS

if TYPE_CHECKING:
    import redis


class _Properties(Struct):
    delivery_info: dict[str, Any]


class _Message(Struct):
    """The parts of a message that kombu reads to return it to its queue."""

    headers: dict[str, Any]
    properties: _Properties


class GuardedQoS(redis_transport.QoS):
    """kombu's bookkeeping, which puts aside entries that are not messages of scanner's queues."""

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message."""
        try:
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]
        except self.channel.connection_errors:
            self._forget(delivery_tag)
            raise

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's
        """Drop a message, or return it to its queue."""
        try:
            super().reject(delivery_tag, requeue)  # type: ignore[no-untyped-call]
        except self.channel.connection_errors:
            self._forget(delivery_tag)
            raise

    def _forget(self, delivery_tag: str) -> None:
        """Count a message as done with although Redis could not be told.

        Otherwise it would count as one that is at work, for which no further one is taken, and the
        worker would not read from its connection and so not notice that it was lost.
        """
        virtual.QoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]

    def restore_by_tag(
        self,
        tag: bytes | str,
        client: redis.Redis | None = None,
        leftmost: bool = False,  # noqa: FBT001, FBT002 - kombu passes it
    ) -> None:
        """Return a message to its queue, by its number."""
        with self.channel.conn_or_acquire(client) as opened:
            raw = opened.hget(self.unacked_key, tag)
            try:
                _check(raw)
            except MessageError as error:
                self.channel.keep(str(error), raw)
                self._remove_from_indices(tag).execute()  # type: ignore[no-untyped-call]
            else:
                super().restore_by_tag(tag, opened, leftmost)  # type: ignore[no-untyped-call]


def _check(raw: bytes | None) -> None:
    """Raise MessageError for what kombu could not return to a queue; None was acknowledged."""
    if raw is None:
        return
    if len(raw) > MAX_BYTES:
        raise MessageError(f"larger than {MAX_BYTES // 2**20} MiB")
    with message_errors("unacknowledged message"):
        _, exchange, routing_key = json.decode(raw, type=tuple[_Message, str, str])
    if exchange or routing_key not in (QUEUE, RESULTS):
        raise MessageError("it belongs to another queue")
