"""Messages from workers without a store to the result writer: verdicts and their origin."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct, convert, to_builtins

from storage.writes.received import Received
from storage.writes.results import Host
from workers.broker.field_types import (
    VERSION,
    Attempt,
    Id,
    MessageError,
    Name,
    Seconds,
    message_errors,
    require_printable,
)
from workers.broker.verdict_message import VerdictBody, body_to_verdict, verdict_to_body

# More verdicts than any chunk has: 64 at most.
MAX_VERDICTS = 1000
MAX_FACTS = 50

_Fact = bool | Id | Seconds | Name | None


# In the order of the fields of Host.
_HostBody = tuple[Name, Name, Name, Annotated[dict[Name, _Fact], Meta(max_length=MAX_FACTS)]]


class _ResultBody(Struct):
    v: Id
    scan: Id
    batch: Id
    attempt: Attempt
    host: _HostBody
    worker: Name
    started: Seconds
    ended: Seconds
    verdicts: Annotated[list[VerdictBody], Meta(max_length=MAX_VERDICTS)]


def encode_result(received: Received) -> Any:  # noqa: ANN401 - JSON
    """Return a result as JSON types."""
    host = received.host
    return to_builtins(
        _ResultBody(
            v=VERSION,
            scan=received.scan_id,
            batch=received.batch_id,
            attempt=received.attempt,
            host=(host.host_id, host.label, host.arch, dict(host.info)),
            worker=received.worker,
            started=received.started_at,
            ended=received.ended_at,
            verdicts=[verdict_to_body(verdict) for verdict in received.verdicts],
        )
    )


def decode_result(raw: object) -> Received:
    """Return the result in JSON that came off the queue. Raises MessageError for anything else."""
    with message_errors("result"):
        body = convert(raw, _ResultBody)
        if body.v != VERSION:
            raise MessageError(f"unsupported result version {body.v}: expected {VERSION}")
        *names, info = body.host
        require_printable(body.worker, *names, *info, *info.values())
        return Received(
            scan_id=body.scan,
            batch_id=body.batch,
            attempt=body.attempt,
            host=Host(*body.host),
            worker=body.worker,
            started_at=body.started,
            ended_at=body.ended,
            verdicts=tuple(body_to_verdict(verdict) for verdict in body.verdicts),
        )
