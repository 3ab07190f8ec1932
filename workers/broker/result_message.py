"""Messages from workers without a store to the result writer: verdicts and their origin.

Each is signed with its machine's key, and quotes the ticket of the batch that the machine received.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct, convert, json, to_builtins

from storage.writes.received import Received
from storage.writes.results import Host
from workers.broker.field_types import (
    VERSION,
    Attempt,
    Digest,
    Id,
    MessageError,
    Name,
    Seconds,
    message_errors,
    require_printable,
)
from workers.broker.signatures import Purpose, SignedBody, Signer, verify
from workers.broker.verdict_message import VerdictBody, body_to_verdict, verdict_to_body

if TYPE_CHECKING:
    from collections.abc import Callable

# More verdicts than any chunk has: 64 at most.
MAX_VERDICTS = 1000
MAX_FACTS = 50

_Fact = bool | Id | Seconds | Name | None


# In the order of the fields of Host.
_HostBody = tuple[Name, Name, Name, Annotated[dict[Name, _Fact], Meta(max_length=MAX_FACTS)]]


class _ResultBody(Struct):
    scan: Id
    batch: Id
    attempt: Attempt
    ticket: Digest
    host: _HostBody
    worker: Name
    started: Seconds
    ended: Seconds
    verdicts: Annotated[list[VerdictBody], Meta(max_length=MAX_VERDICTS)]


class _Wire(Struct):
    v: Id
    signed: SignedBody


def encode_result(received: Received, ticket: bytes, store_id: str, signer: Signer) -> Any:  # noqa: ANN401 - JSON
    """Return a result as JSON types, signed by the machine that has it."""
    host = received.host
    body = _ResultBody(
        scan=received.scan_id,
        batch=received.batch_id,
        attempt=received.attempt,
        ticket=ticket,
        host=(host.host_id, host.label, host.arch, dict(host.info)),
        worker=received.worker,
        started=received.started_at,
        ended=received.ended_at,
        verdicts=[verdict_to_body(verdict) for verdict in received.verdicts],
    )
    signed = signer.sign(Purpose("result", store_id), json.encode(body).decode())
    return to_builtins(_Wire(VERSION, signed))


def decode_result(
    raw: object,
    store_id: str,
    key_of: Callable[[str], bytes],
    ticket_of: Callable[[int, int, int], bytes],
) -> Received:
    """Return the result in JSON that came off the queue, from a machine that has the batch.

    `key_of` returns the public key of a machine that may send results, and raises MessageError for
    any other; `ticket_of` returns the ticket of a scan, a batch and an attempt. Raises MessageError
    for anything but a result that was signed by the machine that it names.
    """
    with message_errors("result"):
        wire = convert(raw, _Wire)
        if wire.v != VERSION:
            raise MessageError(f"unsupported result version {wire.v}: expected {VERSION}")
        signed = wire.signed
        verify(Purpose("result", store_id), signed, key_of(signed.by))
        body = json.decode(signed.body, type=_ResultBody)
        if body.host[0] != signed.by:
            raise MessageError("a machine sent the result of another one")
        if not hmac.compare_digest(body.ticket, ticket_of(body.scan, body.batch, body.attempt)):
            raise MessageError("the result of a batch that its machine was not given")
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
