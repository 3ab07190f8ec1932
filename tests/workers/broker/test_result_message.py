"""Messages for the result writer: valid ones are exact, all others are refused."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from msgspec import to_builtins

from storage.records import ErrorKind, Finding, ImageError, Outcome, Timings, Verdict
from storage.writes.received import Received
from storage.writes.results import Host
from workers.broker import result_message
from workers.broker.field_types import MessageError
from workers.broker.signatures import Purpose, Signer, batch_ticket

HOST = Host("a" * 32, "pi4", "aarch64", {"cores": 4, "python": "3.13.5", "load": 0.5, "gpu": None})
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
RESULT = Received(7, 12, 1, HOST, "pi4:77", 1_800_000_000.25, 1_800_000_002.5, (VERDICT,))


STORE_ID = "s1"
STORE_KEY = bytes(range(32))
MACHINE = Signer(HOST.host_id, b"m" * 32)
TICKET = batch_ticket(STORE_KEY, 7, 12, 1)


def key_of(machine_id: str) -> bytes:
    """Return the public key of the one machine that joined."""
    if machine_id != HOST.host_id:
        raise MessageError("a machine that has not joined")
    return MACHINE.public_key


def decode(wire: object) -> Received:
    """Return the result on the queue."""
    ticket_of = partial(batch_ticket, STORE_KEY)
    return result_message.decode_result(wire, STORE_ID, key_of, ticket_of)


def wire_of(body: object, signer: Signer = MACHINE) -> Any:  # noqa: ANN401 - JSON
    """Return what is on the queue for a body that a machine has signed."""
    signed = signer.sign(Purpose("result", STORE_ID), json.dumps(body))
    return json.loads(json.dumps({"v": 5, "signed": to_builtins(signed)}))


def sent(received: Received) -> Any:  # noqa: ANN401 - JSON
    """Return the body of a result."""
    wire = result_message.encode_result(received, TICKET, STORE_ID, MACHINE)
    return json.loads(wire["signed"]["body"])


def decode_result(body: object) -> Received:
    """Return the result with a body, which its machine has signed."""
    return decode(wire_of(body))


def test_round_trip() -> None:
    """A result is received as it was sent."""
    assert RESULT == decode_result(sent(RESULT))


ERROR = ImageError(ErrorKind.TRUNCATED, "this PNG file is incomplete")


@pytest.mark.parametrize(
    ("outcome", "error", "accepted"),
    [
        (Outcome.AI, ERROR, True),
        (Outcome.ERROR, ERROR, True),
        (Outcome.UNSURE, ERROR, False),
        (Outcome.NO_EVIDENCE, ERROR, False),
        (Outcome.ERROR, None, False),
    ],
)
def test_an_error_is_a_verdict_or_beside_ai(
    outcome: Outcome,
    error: ImageError | None,
    accepted: bool,  # noqa: FBT001
) -> None:
    """Only `ai` can have an error beside it, and `error` has one."""
    result = replace(RESULT, verdicts=(replace(VERDICT, outcome=outcome, error=error),))
    if accepted:
        assert result == decode_result(sent(result))
        return
    with pytest.raises(MessageError, match="expected `error`"):
        decode_result(sent(result))


def test_error_becomes_one_line() -> None:
    """The text of an error, a library's or a forged one, is escaped and cut, and never refused."""
    error = ImageError(ErrorKind.TRUNCATED, "line\n\x1b[2J" + "x" * 5000)
    received = decode_result(
        sent(replace(RESULT, verdicts=(replace(VERDICT, outcome=Outcome.ERROR, error=error),)))
    )
    text = received.verdicts[0].error.text

    assert text.startswith("line\\n\\x1b[2Jxx")
    assert 2000 == len(text)


def test_json_of_a_result() -> None:
    """The JSON of a result changes only together with the version of messages."""
    facts = {"cores": 4, "python": "3.13.5", "load": 0.5, "gpu": None}

    assert {
        "scan": 7,
        "batch": 12,
        "attempt": 1,
        "ticket": base64.b64encode(TICKET).decode(),
        "host": ["a" * 32, "pi4", "aarch64", facts],
        "worker": "pi4:77",
        "started": 1_800_000_000.25,
        "ended": 1_800_000_002.5,
    } == {name: value for name, value in sent(RESULT).items() if name != "verdicts"}


HOSTILE: dict[str, dict[str, Any]] = {
    "a batch that is text": {"batch": "12"},
    "an attempt out of bounds": {"attempt": 2**15},
    "no host": {"host": None},
    "a host without a name": {"host": ["a", "", "x", {}]},
    "a host whose name clears the screen": {"host": ["a", "\x1b[2J", "x", {}]},
    "a host with a very long name": {"host": ["a", "n" * 300, "x", {}]},
    "too many facts": {"host": ["a", "n", "x", {str(n): n for n in range(99)}]},
    "a nested fact": {"host": ["a", "n", "x", {"a": [[[[]]]]}]},
    "a fact that is NaN": {"host": ["a", "n", "x", {"a": float("nan")}]},
    "a worker name of two lines": {"worker": "a\nb"},
    "a negative start": {"started": -1.0},
    "an end out of bounds": {"ended": 1e300},
    "a time that is true": {"started": True},
    "verdicts that are a number": {"verdicts": 5},
    "a verdict that is null": {"verdicts": [None]},
    "too many verdicts": {"verdicts": [{}] * 1001},
    **{
        f"a verdict with {name}": {"verdicts": [sent(RESULT)["verdicts"][0] | changed]}
        for name, changed in {
            "a detector of three million characters": {"detector": "n" * 3_000_000},
            "a detector that clears the screen": {"detector": "\x1b[2J"},
            "a finding of a detector of two lines": {"findings": [["a\nb", "k", 0.5, "t", {}]]},
            "a finding of a very long kind": {"findings": [["a", "k" * 300, 0.5, "t", {}]]},
        }.items()
    },
    "too many findings": {
        "verdicts": [sent(RESULT)["verdicts"][0] | {"findings": [["a"] * 5] * 1001}]
    },
}


@pytest.mark.parametrize("changed", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile(changed: dict[str, Any]) -> None:
    """A result with a field out of bounds is refused before it is used."""
    with pytest.raises(MessageError):
        decode_result(sent(RESULT) | changed)


@pytest.mark.parametrize("raw", [None, 5, [], {}, "rm -rf /"])
def test_other_json(raw: object) -> None:
    """Other JSON is refused."""
    with pytest.raises(MessageError):
        decode_result(raw)
    with pytest.raises(MessageError):
        decode(raw)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"attempt": 2}, "was not given"),
        ({"batch": 13}, "was not given"),
        ({"scan": 8}, "was not given"),
        ({"ticket": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}, "was not given"),
        ({"host": ["b" * 32, "pi4", "aarch64", {}]}, "of another one"),
    ],
    ids=["attempt", "batch", "scan", "ticket", "host"],
)
def test_result_of_others(changed: dict[str, Any], reason: str) -> None:
    """A machine sends results under its own name, of batches that it was given."""
    with pytest.raises(MessageError, match=reason):
        decode_result(sent(RESULT) | changed)


def test_signatures() -> None:
    """A result is refused from a machine that has not joined, altered, or signed by another."""
    body = sent(RESULT)
    altered = wire_of(body)
    altered["signed"]["body"] = json.dumps(body | {"worker": "pi4:78"})

    with pytest.raises(MessageError, match="has not joined"):
        decode(wire_of(body, Signer("c" * 32, b"c" * 32)))
    for forged in (altered, wire_of(body, Signer(HOST.host_id, b"c" * 32))):
        with pytest.raises(MessageError, match="the signature of the result is wrong"):
            decode(forged)
    for other in ({"v": 4}, {"v": 6}, {"signed": None}):
        with pytest.raises(MessageError):
            decode(wire_of(body) | other)
