"""Messages that carry batches to workers: JSON of plain types, with relative paths only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta, Struct, convert
from msgspec.structs import asdict

from storage.paths import from_wire, to_wire
from storage.records import MAX_SIDECAR_BYTES, MAX_SIDECARS, BatchImage, Plan, PlanError
from storage.sidecars import sidecars_from_json, sidecars_to_json
from workers.broker.batch_parts import MAX_PART
from workers.broker.field_types import (
    VERSION,
    Attempt,
    Id,
    MessageError,
    Text,
    WirePath,
    message_errors,
)
from workers.pipeline.plan import NewerRules, require_rules

# More images than any producer puts into one batch.
MAX_IMAGES = 100_000


class NewerMessage(Exception):
    """The message is for a later version of scanner, which other machines may run."""


@dataclass(frozen=True, slots=True)
class BatchMessage:
    """A batch and the images in it to judge, with everything that a worker needs to know.

    `part` is 0 for the batch itself, or the number of a part of it (`workers.broker.batch_parts`).
    """

    scan_id: int
    batch_id: int
    attempt: int
    collection: str
    plan: Plan
    images: tuple[BatchImage, ...]
    part: int = 0


_Nanoseconds = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
# Name, size in bytes and time of change in nanoseconds.
_Sidecar = tuple[WirePath, Annotated[int, Meta(ge=0, le=MAX_SIDECAR_BYTES)], _Nanoseconds]


class _Versioned(Struct):
    v: Id


class _BatchBody(_Versioned):
    scan: Id
    batch: Id
    part: Annotated[int, Meta(ge=0, le=MAX_PART)]
    attempt: Attempt
    collection: Text
    plan: dict[str, Any]
    # Id, path and size in bytes of each.
    images: Annotated[list[tuple[Id, WirePath, Id]], Meta(max_length=MAX_IMAGES)]
    # By the id of their image.
    sidecars: Annotated[
        dict[str, Annotated[list[_Sidecar], Meta(max_length=MAX_SIDECARS)]],
        Meta(max_length=MAX_IMAGES),
    ]


def encode_batch(message: BatchMessage) -> dict[str, Any]:
    """Return the message as JSON types."""
    return asdict(
        _BatchBody(
            v=VERSION,
            scan=message.scan_id,
            batch=message.batch_id,
            part=message.part,
            attempt=message.attempt,
            collection=message.collection,
            plan=message.plan.to_json(),
            images=[
                (image.image_id, to_wire(image.path), image.size_bytes) for image in message.images
            ],
            sidecars={
                str(image.image_id): sidecars
                for image in message.images
                if (sidecars := sidecars_to_json(image.sidecars))
            },
        )
    )


def decode_batch(raw: object) -> BatchMessage:
    """Return the batch message in JSON that came off the queue.

    Raises MessageError for an invalid message, NewerMessage for one of a later version.
    """
    with message_errors("batch message"):
        version = convert(raw, _Versioned).v
        if version > VERSION:
            raise NewerMessage(f"message version {version} is newer than {VERSION}")
        if version < VERSION:
            raise MessageError(f"unsupported message version {version}: expected {VERSION}")
        body = convert(raw, _BatchBody)
        return BatchMessage(
            scan_id=body.scan,
            batch_id=body.batch,
            attempt=body.attempt,
            part=body.part,
            collection=body.collection,
            plan=_decode_plan(body.plan),
            images=tuple(
                BatchImage(
                    image_id,
                    from_wire(path),
                    size,
                    sidecars_from_json(body.sidecars.get(str(image_id))),
                )
                for image_id, path, size in body.images
            ),
        )


def _decode_plan(body: dict[str, Any]) -> Plan:
    try:
        # Before the rest of the plan, which newer rules may have changed.
        require_rules(body.get("rules"))
        return Plan.from_json(body)
    except NewerRules as error:
        raise NewerMessage(str(error)[:200]) from error
    except PlanError as error:
        raise MessageError(str(error)[:200]) from error
