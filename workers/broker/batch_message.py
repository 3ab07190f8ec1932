"""Messages that carry batches to workers: JSON of plain types, with relative paths only.

The body is signed by who has the store. Around it, unsigned, is only which part of the batch the
message is: a worker returns the rest of a batch, or a part of it, with the body as it was signed,
so that it can leave images out, and neither add nor change any.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct, convert, json, to_builtins

from storage.paths import from_wire, to_wire
from storage.records import (
    MAX_SIDECAR_BYTES,
    MAX_SIDECARS,
    RULES_VERSION,
    BatchImage,
    Plan,
    PlanError,
)
from storage.sidecars import sidecars_from_json, sidecars_to_json
from workers.broker.batch_parts import MAX_PART, BatchPart
from workers.broker.field_types import (
    VERSION,
    Attempt,
    Digest,
    Id,
    MessageError,
    Text,
    WirePath,
    message_errors,
)
from workers.broker.signatures import STORE, Purpose, SignedBody, Signer, batch_ticket, verify
from workers.pipeline.plan import NewerRules, require_rules

if TYPE_CHECKING:
    from collections.abc import Iterable

# More images than any producer puts into one batch.
MAX_IMAGES = 100_000
# Images of a batch by which a worker finds out whether it sees the times that were listed.
_SAMPLES = 5


class NewerMessage(Exception):
    """The message is for a later version of scanner, which other machines may run.

    `needs` names what this machine lacks, see UNDERSTOOD. The ids of scan and batch are 0 where the
    signature could not be checked.
    """

    def __init__(self, text: str, needs: str, batch: tuple[int, int] = (0, 0)) -> None:
        super().__init__(text)
        self.needs = needs
        self.batch = batch


# What a NewerMessage may need, in the versions that this machine has.
UNDERSTOOD = (f"version {VERSION}", f"rules {RULES_VERSION}")


@dataclass(frozen=True, slots=True)
class BatchMessage:
    """A batch and the images in it to judge, with everything that a worker needs to know.

    `part` is 0 for the batch itself, or the number of a part of it (`workers.broker.batch_parts`).
    `signed` is the whole batch as it was signed, with so many images `listed`, a few of which are
    `samples`, and `ticket` what results have to quote.
    """

    scan_id: int
    batch_id: int
    attempt: int
    collection: str
    plan: Plan
    images: tuple[BatchImage, ...]
    part: int = 0
    ticket: bytes = field(default=b"", repr=False, compare=False)
    listed: int = field(default=0, compare=False)
    samples: tuple[BatchImage, ...] = field(default=(), repr=False, compare=False)
    signed: SignedBody | None = field(default=None, repr=False, compare=False)


_WholeSeconds = Annotated[int, Meta(ge=-(2**40), le=2**40)]
_Step = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Nanoseconds = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
# Name, size in bytes and time of change in nanoseconds.
_Sidecar = tuple[WirePath, Annotated[int, Meta(ge=0, le=MAX_SIDECAR_BYTES)], _Nanoseconds]


class _Versioned(Struct):
    v: Id


class _Images(Struct):
    """Images by columns, which take half the memory of rows once they are compressed.

    Ids and times are the first one, then the steps from each to the next.
    """

    ids: Annotated[list[_Step], Meta(max_length=MAX_IMAGES)]
    paths: Annotated[list[WirePath], Meta(max_length=MAX_IMAGES)]
    # In bytes.
    sizes: Annotated[list[Id], Meta(max_length=MAX_IMAGES)]
    # When the files were written, in whole seconds; None where that is not known.
    times: Annotated[list[_Step | None], Meta(max_length=MAX_IMAGES)]


class _BatchBody(Struct):
    scan: Id
    batch: Id
    attempt: Attempt
    collection: Text
    plan: dict[str, Any]
    images: _Images
    # By the id of their image.
    sidecars: Annotated[
        dict[str, Annotated[list[_Sidecar], Meta(max_length=MAX_SIDECARS)]],
        Meta(max_length=MAX_IMAGES),
    ]
    ticket: Digest


class _Batch(Struct):
    scan: Id
    batch: Id


class _Wire(_Versioned):
    signed: SignedBody
    part: Annotated[int, Meta(ge=0, le=MAX_PART)]
    # The ids of the images to judge; None for all.
    only: Annotated[list[Id], Meta(max_length=MAX_IMAGES)] | None = None


def sign_batch(message: BatchMessage, store_id: str, private_key: bytes) -> BatchMessage:
    """Return the message signed with the store's private key, as it is to be published."""
    ids = (message.scan_id, message.batch_id, message.attempt)
    ticket = batch_ticket(private_key, *ids)
    body = _BatchBody(
        *ids,
        collection=message.collection,
        plan=message.plan.to_json(),
        images=_Images(
            ids=_steps([image.image_id for image in message.images]),
            paths=[to_wire(image.path) for image in message.images],
            sizes=[image.size_bytes for image in message.images],
            times=_steps([image.mtime_s for image in message.images]),
        ),
        sidecars={
            str(image.image_id): sidecars
            for image in message.images
            if (sidecars := sidecars_to_json(image.sidecars))
        },
        ticket=ticket,
    )
    signed = Signer(STORE, private_key).sign(Purpose("batch", store_id), json.encode(body).decode())
    return replace(message, ticket=ticket, listed=len(message.images), signed=signed)


def encode_batch(message: BatchMessage) -> Any:  # noqa: ANN401 - JSON
    """Return a signed message as JSON types. Raises ValueError for one that is not signed."""
    if message.signed is None:
        raise ValueError("expected a message that sign_batch or decode_batch returned")
    is_whole = len(message.images) == message.listed
    only = None if is_whole else [image.image_id for image in message.images]
    return to_builtins(_Wire(VERSION, message.signed, message.part, only))


def decode_batch(raw: object, store_id: str, public_key: bytes) -> BatchMessage:
    """Return the batch message in JSON that came off the queue, signed with the store's key.

    Raises MessageError for an invalid or unsigned message, NewerMessage for one of a later version.
    """
    with message_errors("batch message"):
        version = convert(raw, _Versioned).v
        if version > VERSION:
            text = f"message version {version} is newer than {VERSION}: upgrade the older machines"
            ids = _ids_of_newer(raw, store_id, public_key)
            raise NewerMessage(text, f"version {version}", ids)
        if version < VERSION:
            raise MessageError(f"unsupported message version {version}: expected {VERSION}")
        wire = convert(raw, _Wire)
        verify(Purpose("batch", store_id), wire.signed, public_key)
        body = json.decode(wire.signed.body, type=_BatchBody)
        only = None if wire.only is None else frozenset(wire.only)
        images = _images(body)
        return BatchMessage(
            scan_id=body.scan,
            batch_id=body.batch,
            attempt=body.attempt,
            part=wire.part,
            collection=body.collection,
            plan=_decode_plan(body),
            images=tuple(image for image in images if only is None or image.image_id in only),
            ticket=body.ticket,
            listed=len(images),
            samples=images[:: max(1, -(-len(images) // _SAMPLES))],
            signed=wire.signed,
        )


def _steps(values: Iterable[int | None]) -> list[Any]:
    """Return the first value, then the steps from each to the next; None stays."""
    steps = []
    last = 0
    for value in values:
        steps.append(None if value is None else value - last)
        last = last if value is None else value
    return steps


def _values(steps: Iterable[int | None], expected: Any) -> list[Any]:  # noqa: ANN401 - a type
    """Undo `_steps`. Raise ValueError where the values are not of the type for msgspec."""
    values = []
    last = 0
    for step in steps:
        last += step or 0
        values.append(None if step is None else last)
    return list(convert(values, expected))


def _images(body: _BatchBody) -> tuple[BatchImage, ...]:
    """Return all images of a batch. Raise ValueError for an invalid path, id or time."""
    images = body.images
    ids = _values(images.ids, list[Id])
    times = _values(images.times, list[_WholeSeconds | None])
    return tuple(
        BatchImage(
            image_id,
            from_wire(path),
            size,
            sidecars_from_json(body.sidecars.get(str(image_id))),
            time,
        )
        for image_id, path, size, time in zip(ids, images.paths, images.sizes, times, strict=True)
    )


def part_of(raw: object) -> BatchPart:
    """Return which part of which batch a message is, without a check of its signature.

    Raises MessageError.
    """
    with message_errors("batch message"):
        wire = convert(raw, _Wire)
        return BatchPart(json.decode(wire.signed.body, type=_Batch).batch, wire.part)


def _ids_of_newer(raw: object, store_id: str, public_key: bytes) -> tuple[int, int]:
    """Return the ids of a newer message if it is signed as those of this version, or zeros."""
    try:
        with message_errors("batch message"):
            signed = convert(raw, _Wire).signed
            verify(Purpose("batch", store_id), signed, public_key)
            body = json.decode(signed.body, type=_Batch)
    except MessageError:
        return 0, 0
    return body.scan, body.batch


def _decode_plan(body: _BatchBody) -> Plan:
    rules = body.plan.get("rules")
    try:
        # Before the rest of the plan, which newer rules may have changed.
        require_rules(rules)
        return Plan.from_json(body.plan)
    except NewerRules as error:
        raise NewerMessage(str(error)[:200], f"rules {rules}", (body.scan, body.batch)) from error
    except PlanError as error:
        raise MessageError(str(error)[:200]) from error
