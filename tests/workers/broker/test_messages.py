"""Messages of batches and verdicts: valid ones are exact, all others are refused."""

from __future__ import annotations

import base64
import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert, to_builtins

from scanner.fleet import producer
from storage.records import (
    MAX_SIDECARS,
    BatchImage,
    ErrorKind,
    Finding,
    ImageError,
    Outcome,
    Photograph,
    Plan,
    PlannedDetector,
    Sidecar,
    Thresholds,
    Timings,
    Verdict,
)
from workers.broker import batch_message
from workers.broker.batch_message import (
    MAX_IMAGES,
    BatchMessage,
    NewerMessage,
    sign_batch,
)
from workers.broker.field_types import MessageError, message_errors
from workers.broker.signatures import STORE, Purpose, Signer, batch_ticket
from workers.broker.verdict_message import VerdictBody, body_to_verdict, verdict_to_body

IDS = st.integers(0, 2**63 - 1)
# Text that JSON and both stores take: no half of a surrogate pair, no NUL.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
NAMES = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=20)
SCORES = st.none() | st.floats(0, 1)
PLAN = Plan((PlannedDetector("tiny-net", "1", "ab" * 32, Thresholds(0.5, 0.9)),))
MESSAGE = BatchMessage(7, 12, 1, "photos", PLAN, (BatchImage(5, b"a/b.jpg", 1000),))
VERDICT = Verdict(
    image_id=5,
    outcome=Outcome.AI,
    score=0.98,
    detector="provenance",
    examined=False,
    findings=(Finding("provenance", "generator_tag", 0.98, "a tag", {"where": "png"}),),
    error=None,
    digest=b"\x01" * 32,
    timings=Timings(1, 2, 3),
)
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(2**63), 2**63])
    | st.floats()
    | st.text(st.characters(), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["b64", "name", "rules", "detectors", "x"]), inner)
    ),
    max_leaves=4,
)
NOT_NUMBERS = [True, -1, 2**63, 1.0, float("nan"), "1", None, [], {}]


STORE_ID = "s1"
KEY = bytes(range(32))
PUBLIC = Signer(STORE, KEY).public_key


def encode_batch(message: BatchMessage) -> Any:  # noqa: ANN401 - JSON
    """Return the body of a batch message, which the store signs."""
    signed = sign_batch(message, STORE_ID, KEY).signed
    assert signed is not None
    return json.loads(signed.body)


def decode_batch(body: object) -> BatchMessage:
    """Return the batch message with a body, which the store has signed."""
    signed = Signer(STORE, KEY).sign(Purpose("batch", STORE_ID), json.dumps(body))
    wire = {"v": 5, "part": 0, "only": None, "signed": to_builtins(signed)}
    return batch_message.decode_batch(sent(wire), STORE_ID, PUBLIC)


def encode_verdict(verdict: Verdict) -> Any:  # noqa: ANN401 - JSON
    """Return a verdict as JSON types."""
    return to_builtins(verdict_to_body(verdict))


def decode_verdict(raw: object) -> Verdict:
    """Return the verdict in some JSON, as it is decoded within a result."""
    with message_errors("verdict"):
        return body_to_verdict(convert(raw, VerdictBody))


def sent(body: object) -> Any:  # noqa: ANN401 - JSON
    """Return what is received after this was put on the queue."""
    return json.loads(json.dumps(body))


def places(body: object, *before: str | int) -> list[tuple[str | int, ...]]:
    """Yield the path to each value inside a JSON body, outer ones first."""
    inner: list[tuple[str | int, object]] = []
    if isinstance(body, dict):
        inner = list(body.items())
    elif isinstance(body, list):
        inner = list(enumerate(body))
    return [path for key, value in inner for path in [(*before, key), *places(value, *before, key)]]


def without(body: object, way: tuple[str | int, ...]) -> Any:  # noqa: ANN401 - JSON
    """Return a copy of the body without one value."""
    changed = copy.deepcopy(body)
    at: Any = changed
    for step in way[:-1]:
        at = at[step]
    del at[way[-1]]
    return changed


def put(body: object, way: tuple[str | int, ...], value: object) -> Any:  # noqa: ANN401 - JSON
    """Return a copy of the body with one value replaced."""
    changed = copy.deepcopy(body)
    at: Any = changed
    for step in way[:-1]:
        at = at[step]
    at[way[-1]] = value
    return changed


BATCH_BODY = sent(encode_batch(MESSAGE))
VERDICT_BODY = sent(encode_verdict(VERDICT))


def test_json_of_a_batch() -> None:
    """The JSON of a batch changes together with the version of messages."""
    body = {
        "scan": 7,
        "batch": 12,
        "attempt": 1,
        "collection": "photos",
        "plan": {
            "rules": 5,
            "detectors": [
                {
                    "name": "tiny-net",
                    "version": "1",
                    "sha256": "ab" * 32,
                    "thresholds": {"unsure": 0.5, "ai": 0.9},
                }
            ],
        },
        "images": {
            "ids": [5, 1, -2],
            "paths": ["a/b.jpg", {"b64": "/w=="}, "c.jpg"],
            "sizes": [1000, 0, 7],
            "times": [None, -7, 10],
        },
        "sidecars": {"6": [["c.xmp", 5, -7], [{"b64": "/y50eHQ="}, 2**20, 2**63 - 1]]},
        "ticket": base64.b64encode(batch_ticket(KEY, 7, 12, 1)).decode(),
    }
    sidecars = (Sidecar(b"c.xmp", 5, -7), Sidecar(b"\xff.txt", 2**20, 2**63 - 1))
    more = BatchImage(6, b"\xff", 0, sidecars, -7), BatchImage(4, b"c.jpg", 7, (), 3)
    message = replace(MESSAGE, images=(*MESSAGE.images, *more))
    decoded = decode_batch(body)

    assert body == sent(encode_batch(message))
    assert message == decoded
    assert [None, -7, 3] == [image.mtime_s for image in decoded.images]


@pytest.mark.parametrize(
    ("images", "sampled"), [(1, [0]), (5, [0, 1, 2, 3, 4]), (12, [0, 3, 6, 9])]
)
def test_samples_of_a_batch(images: int, sampled: list[int]) -> None:
    """A few images of the whole batch are samples, also of a message for a part of it."""
    whole = tuple(BatchImage(number, b"%d" % number, 1) for number in range(images))
    message = sign_batch(replace(MESSAGE, images=whole), STORE_ID, KEY)
    raw = sent(batch_message.encode_batch(replace(message, images=whole[:1], part=3)))
    decoded = batch_message.decode_batch(raw, STORE_ID, PUBLIC)

    assert whole[:1] == decoded.images
    assert sampled == [image.image_id for image in decoded.samples]


@pytest.mark.parametrize(
    "sidecars",
    [
        {"5": [["../secret", 5, 1]]},
        {"5": [["a.xmp", 2**20 + 1, 1]]},
        {"5": [["a.xmp", -1, 1]]},
        {"5": [["a.xmp", 1]]},
        {"5": [["a.xmp", 1, 1]] * (MAX_SIDECARS + 1)},
        {"5": "a.xmp"},
        [],
    ],
)
def test_invalid_sidecars(sidecars: object) -> None:
    """Sidecars are few and small, and stand next to their image."""
    with pytest.raises(MessageError, match="invalid batch message"):
        decode_batch(BATCH_BODY | {"sidecars": sidecars})


def test_a_verdict_says_by_what_its_image_is_found() -> None:
    """Camera, date and hash are sent where they are known; a camera is text on one line."""
    photograph = Photograph(-5.5, "Canon EOS 80D", -(2**63))
    body = sent(encode_verdict(replace(VERDICT, photograph=photograph)))

    assert [-5.5, "Canon EOS 80D", -(2**63)] == body["photograph"]
    assert photograph == decode_verdict(body).photograph
    for wrong in ([0.0, "a\nb", 1], [0.0, "x", 2**63], ["now", "x", 1], [0.0, "x"]):
        with pytest.raises(MessageError):
            decode_verdict(body | {"photograph": wrong})


def test_json_of_a_verdict() -> None:
    """The JSON of a verdict changes only together with the version of messages."""
    body = {
        "image": 5,
        "outcome": "ai",
        "score": 0.98,
        "detector": "provenance",
        "examined": False,
        "findings": [["provenance", "generator_tag", 0.98, "a tag", {"where": "png"}]],
        "error": None,
        "digest": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
        "us": [1, 2, 3],
    }

    assert body == sent(encode_verdict(VERDICT))
    assert VERDICT == decode_verdict(body)


@given(
    st.builds(
        BatchMessage,
        scan_id=IDS,
        batch_id=IDS,
        attempt=st.integers(0, 32767),
        collection=TEXTS,
        plan=st.just(PLAN),
        images=st.lists(st.builds(BatchImage, IDS, st.binary(max_size=30), IDS), max_size=4).map(
            tuple
        ),
    )
)
def test_batch_round_trip(message: BatchMessage) -> None:
    """A batch is received as it was sent, whatever bytes its paths are."""
    assert message == decode_batch(sent(encode_batch(message)))


def without_needless_error(verdict: Verdict) -> Verdict:
    """Return the verdict without an error unless its outcome is one."""
    return verdict if verdict.outcome is Outcome.ERROR else replace(verdict, error=None)


@given(
    st.builds(
        Verdict,
        image_id=IDS,
        outcome=st.sampled_from(Outcome),
        score=SCORES,
        detector=st.none() | NAMES,
        examined=st.booleans(),
        findings=st.lists(
            st.builds(Finding, NAMES, NAMES, SCORES, TEXTS, st.dictionaries(TEXTS, TEXTS)),
            max_size=3,
        ).map(tuple),
        error=st.builds(ImageError, st.sampled_from(ErrorKind), NAMES),
        digest=st.none() | st.binary(min_size=32, max_size=32),
        timings=st.builds(Timings, *[st.integers(0, 2**31 - 1)] * 3),
    ).map(without_needless_error)
)
def test_verdict_round_trip(verdict: Verdict) -> None:
    """A verdict is received as it was sent."""
    assert verdict == decode_verdict(sent(encode_verdict(verdict)))


@pytest.mark.parametrize(
    "changed",
    [{"outcome": "error"}, {"outcome": "unsure", "error": ["damaged", "broken"]}],
    ids=["no reason", "a reason"],
)
def test_an_error_and_its_reason(changed: dict[str, Any]) -> None:
    """An error without a reason is refused, and so is a reason beside `unsure`."""
    with pytest.raises(MessageError):
        decode_verdict(encode_verdict(VERDICT) | changed)


def test_texts_are_cleaned() -> None:
    """Texts from a file are received as the store would have cleaned them."""
    finding = Finding("provenance", "generator_tag", 0.9, "a\0b", {"k\ud800": float("nan")})
    (received,) = decode_verdict(
        sent(encode_verdict(replace(VERDICT, findings=(finding,))))
    ).findings

    assert ("a\ufffdb", {"k\ufffd": None}) == (received.text, received.detail)


@given(JUNK)
def test_junk_is_no_message(junk: object) -> None:
    """Any other JSON is a MessageError, or of a newer version."""
    with pytest.raises((MessageError, NewerMessage)):
        decode_batch(junk)
    with pytest.raises((MessageError, NewerMessage)):
        batch_message.decode_batch(junk, STORE_ID, PUBLIC)
    with pytest.raises(MessageError):
        decode_verdict(junk)


@given(st.sampled_from(places(BATCH_BODY)), JUNK)
def test_junk_inside_a_batch(way: tuple[str | int, ...], junk: object) -> None:
    """A batch with junk in one place is refused, or can be sent again unchanged."""
    try:
        message = decode_batch(put(BATCH_BODY, way, junk))
    except (MessageError, NewerMessage) as error:
        text = str(error)
    else:
        text = ""
        assert message == decode_batch(sent(encode_batch(message)))

    assert len(text) < 500


@given(st.sampled_from(places(VERDICT_BODY)), JUNK)
def test_junk_inside_a_verdict(way: tuple[str | int, ...], junk: object) -> None:
    """A verdict with junk in one place is refused, or can be sent again unchanged."""
    try:
        verdict = decode_verdict(put(VERDICT_BODY, way, junk))
    except MessageError as error:
        text = str(error)
    else:
        text = ""
        assert verdict == decode_verdict(sent(encode_verdict(verdict)))

    assert len(text) < 500


@pytest.mark.parametrize("way", places(BATCH_BODY), ids=str)
def test_batch_with_a_missing_field(way: tuple[str | int, ...]) -> None:
    """All fields of a batch are required; it may have fewer detectors."""
    body = without(BATCH_BODY, way)
    if way == ("plan", "detectors", 0):
        assert () == decode_batch(body).plan.detectors
        return

    with pytest.raises(MessageError):
        decode_batch(body)


@pytest.mark.parametrize("name", ["scan", "batch", "attempt"])
@pytest.mark.parametrize("value", NOT_NUMBERS, ids=repr)
def test_numbers_of_a_batch(name: str, value: object) -> None:
    """Ids and attempts are integers that the store can hold, not booleans."""
    with pytest.raises(MessageError):
        decode_batch(put(BATCH_BODY, (name,), value))


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (("attempt",), 2**15),
        (("collection",), 5),
        (("collection",), "half \ud800"),
        (("collection",), "nul \0"),
        (("images",), [[5, "a.jpg", 1]]),
        (("images",), "abc"),
        (("images", "ids"), []),
        (("images", "ids"), [5, 1]),
        (("images", "ids", 0), -1),
        (("images", "ids", 0), None),
        (("images", "paths", 0), "half \ud800"),
        (("images", "paths", 0), {"b64": "YQ=="}),  # "a" is UTF-8: one form on the wire
        (("images", "paths", 0), {"b64": "?"}),
        (("images", "sizes", 0), -1),
        (("images", "times", 0), 2**40 + 1),
        (("images", "times", 0), 1.5),
        (("plan",), None),
        (("plan", "rules"), 0),
        (("plan", "detectors"), 5),
        (("plan", "detectors", 0, "name"), 5),
        (("plan", "detectors", 0, "thresholds"), 0.5),
        (("plan", "detectors", 0, "thresholds", "ai"), float("nan")),
        (("plan", "detectors", 0, "thresholds", "ai"), float("inf")),
        (("plan", "detectors", 0, "thresholds", "ai"), 10**400),
        (("plan", "detectors", 0, "thresholds", "ai"), "0.5"),
        (("plan", "detectors", 0, "thresholds", "ai"), 1.5),
        (("plan", "detectors", 0, "thresholds", "ai"), True),
    ],
    ids=repr,
)
def test_refused_batches(way: tuple[str | int, ...], value: object) -> None:
    """A batch of another version, shape or range is refused."""
    with pytest.raises(MessageError):
        decode_batch(put(BATCH_BODY, way, value))


def wire(message: BatchMessage) -> Any:  # noqa: ANN401 - JSON
    """Return what is on the queue for a message."""
    signed = sign_batch(message, STORE_ID, KEY)
    return sent(batch_message.encode_batch(signed))


@pytest.mark.parametrize(
    "changed",
    [
        {"v": 3},
        {"v": True},
        {"signed": None},
        {"part": -1},
        {"only": ["5"]},
    ],
    ids=repr,
)
def test_refused_envelopes(changed: dict[str, Any]) -> None:
    """What is around the signed body is checked, too."""
    with pytest.raises(MessageError):
        batch_message.decode_batch(wire(MESSAGE) | changed, STORE_ID, PUBLIC)


@pytest.mark.parametrize(
    ("changed", "store_id"),
    [
        ({"body": "{}"}, STORE_ID),
        ({"by": "a" * 32}, STORE_ID),
        ({"signature": "A" * 86 + "=="}, STORE_ID),
        ({}, "another store"),
    ],
    ids=["another body", "another signer", "another signature", "another store"],
)
def test_wrong_signature(changed: dict[str, Any], store_id: str) -> None:
    """A batch is refused if anything was changed that its signature covers."""
    body = wire(MESSAGE)
    body["signed"] |= changed
    with pytest.raises(MessageError, match="the signature of the batch is wrong"):
        batch_message.decode_batch(body, store_id, PUBLIC)


def test_signed_by_a_machine() -> None:
    """The key of a machine signs no batches, nor results that are taken for batches."""
    machine = Signer("a" * 32, b"m" * 32)
    body = sign_batch(MESSAGE, STORE_ID, KEY).signed
    assert body is not None
    forged = [
        machine.sign(Purpose("batch", STORE_ID), body.body),
        Signer(STORE, machine.private_key).sign(Purpose("batch", STORE_ID), body.body),
        Signer(STORE, KEY).sign(Purpose("result", STORE_ID), body.body),
    ]
    for signed in forged:
        with pytest.raises(MessageError, match="the signature of the batch is wrong"):
            batch_message.decode_batch(
                wire(MESSAGE) | {"signed": sent(to_builtins(signed))}, STORE_ID, PUBLIC
            )


def test_part_of_a_batch() -> None:
    """A worker may return a part of a batch as it was signed, and can add no image to it."""
    images = tuple(BatchImage(number, b"%d.jpg" % number, 1) for number in range(4))
    whole = batch_message.decode_batch(wire(replace(MESSAGE, images=images)), STORE_ID, PUBLIC)
    more = (*images[2:], BatchImage(9, b"secret.jpg", 1))
    part = sent(batch_message.encode_batch(replace(whole, images=more, part=77)))
    received = batch_message.decode_batch(part, STORE_ID, PUBLIC)

    assert (images, 0) == (whole.images, whole.part)
    assert (images[2:], 77) == (received.images, received.part)
    assert whole.ticket == received.ticket


def test_too_many_images() -> None:
    """A batch with the maximum number of images is accepted, one with more is refused."""
    most, more = (
        {name: column * number for name, column in BATCH_BODY["images"].items()}
        for number in (MAX_IMAGES, MAX_IMAGES + 1)
    )

    assert MAX_IMAGES == len(decode_batch(BATCH_BODY | {"images": most}).images)
    with pytest.raises(MessageError):
        decode_batch(BATCH_BODY | {"images": more})


def test_ids_and_times_stay_in_their_bounds() -> None:
    """Steps that add up to more than a number of the store are refused."""
    two = {"ids": [2**63 - 1, 1], "paths": ["a", "b"], "sizes": [1, 1], "times": [None, None]}
    with pytest.raises(MessageError):
        decode_batch(BATCH_BODY | {"images": two})
    late = two | {"ids": [1, 1], "times": [2**40, 1]}
    with pytest.raises(MessageError):
        decode_batch(BATCH_BODY | {"images": late})


def test_producers_stay_below_the_bound() -> None:
    """The largest batch of a producer is accepted."""
    assert MAX_IMAGES >= producer.MAX_IMAGES


def test_large_junk_makes_a_short_error() -> None:
    """The error's message is for a log and stays short, however long the content."""
    for body in ([1] * 10**5, BATCH_BODY | {"scan": "x" * 10**5}, {"x" * 10**5: 1}):
        with pytest.raises(MessageError) as caught:
            decode_batch(body)
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (("image",), True),
        (("image",), 2**63),
        (("outcome",), "authentic"),
        (("outcome",), []),
        (("score",), float("nan")),
        (("score",), 1.01),
        (("score",), True),
        (("score",), 10**400),
        (("score",), "0.5"),
        (("detector",), 5),
        (("detector",), "half \udfff"),
        (("examined",), 1),
        (("examined",), "no"),
        (("findings",), None),
        (("findings",), [["provenance"]]),
        (("findings", 0, 2), float("inf")),
        (("findings", 0, 3), "nul \0"),
        (("findings", 0, 4), [["where", "png"]]),
        (("findings", 0, 4), {"x": float("nan")}),
        (("findings", 0, 4), {"x": [{"y": "nul \0"}]}),
        (("findings",), [["a", "b", None, "c", {}]] * 1001),
        (("error",), []),
        (("error",), ["crashed"]),
        (("error",), ["bored", "it"]),
        (("error",), 5),
        (("error",), ["crashed", {}]),
        (("digest",), "AAAA"),
        (("digest",), "not base64"),
        (("digest",), 5),
        (("us",), [1, 2, 3, 4]),
        (("us",), [-1, 2, 3]),
        (("us",), [2**31, 2, 3]),
    ],
    ids=repr,
)
def test_refused_verdicts(way: tuple[str | int, ...], value: object) -> None:
    """A verdict of another shape or range is refused."""
    with pytest.raises(MessageError):
        decode_verdict(put(VERDICT_BODY, way, value))
