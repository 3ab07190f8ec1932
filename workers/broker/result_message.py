"""What a worker without a store sends to the recorder: verdicts on a chunk, and who gave them."""

from __future__ import annotations

from typing import Any

from storage.writes.received import Received
from storage.writes.results import ROUTED, STRONG, Host
from workers.broker import wire
from workers.broker.messages import MAX_ATTEMPT, VERSION, verdict_from_json, verdict_to_json
from workers.broker.wire import MessageError

# A chunk has 64 images at most; a message of more is none of ours.
MAX_VERDICTS = 1000
# Findings on one image: their numbers have to fit their column (`storage.database.schema`).
MAX_FINDINGS = 1000
# Facts about a host, all of them short.
MAX_FACTS = 50


def encode_result(received: Received) -> dict[str, Any]:
    """As JSON-able types."""
    host = received.host
    return {
        "v": VERSION,
        "scan": received.scan_id,
        "batch": received.batch_id,
        "attempt": received.attempt,
        "stage": received.stage,
        "host": [host.host_id, host.label, host.arch, dict(host.info)],
        "worker": received.worker,
        "started": received.started_at,
        "ended": received.ended_at,
        "verdicts": [verdict_to_json(verdict) for verdict in received.verdicts],
    }


def decode_result(raw: object) -> Received:
    """A result from what came off the queue; MessageError says what is wrong with it."""
    try:
        if not isinstance(raw, dict) or wire.number(raw["v"]) != VERSION:
            raise MessageError(f"This is no result of version {VERSION}")
        verdicts = raw["verdicts"]
        if not isinstance(verdicts, list) or len(verdicts) > MAX_VERDICTS:
            raise MessageError(f"A result is a list of at most {MAX_VERDICTS} verdicts")
        if any(len(verdict["findings"]) > MAX_FINDINGS for verdict in verdicts):
            raise MessageError(f"An image has at most {MAX_FINDINGS} findings")
        return Received(
            scan_id=wire.number(raw["scan"]),
            batch_id=wire.number(raw["batch"]),
            attempt=wire.number(raw["attempt"], MAX_ATTEMPT),
            stage=_stage(raw["stage"]),
            host=_host(*raw["host"]),
            worker=wire.name(raw["worker"]),
            started_at=wire.seconds(raw["started"]),
            ended_at=wire.seconds(raw["ended"]),
            verdicts=tuple(verdict_from_json(verdict) for verdict in verdicts),
        )
    except wire.TROUBLE as error:
        raise wire.message_error("result", error) from error


def _host(host_id: object, label: object, arch: object, info: object) -> Host:
    if not isinstance(info, dict) or len(info) > MAX_FACTS:
        raise MessageError(f"A host is known by at most {MAX_FACTS} facts")
    return Host(
        wire.name(host_id),
        wire.name(label),
        wire.name(arch),
        {wire.name(key): _fact(value) for key, value in info.items()},
    )


def _stage(raw: object) -> int:
    stage = wire.number(raw)
    if stage not in {ROUTED, STRONG}:
        raise MessageError("A verdict is of the first or of the second look")
    return stage


def _fact(value: object) -> object:
    """A number or a short text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return wire.number(value)
    if isinstance(value, float):
        return wire.seconds(value)
    return wire.name(value)
