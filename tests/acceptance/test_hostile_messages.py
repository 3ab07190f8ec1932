"""Hostile messages on the broker can waste a worker's time, and stop no worker."""

from __future__ import annotations

import base64
import json
import os
import time
import uuid
import zlib
from typing import TYPE_CHECKING, Any

import pytest
import redis

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    # What the fixture `fleet_on` makes: see conftest.py.
    Fleet = Any

PLENTY = b"[" + b" " * 300_000_000 + b"]"


def _headers(**changed: object) -> Callable[[dict[str, Any]], None]:
    """Return a change that replaces headers; None removes one."""

    def change(envelope: dict[str, Any]) -> None:
        for name, value in changed.items():
            if value is None:
                del envelope["headers"][name]
            else:
                envelope["headers"][name] = value

    return change


def _body(content: bytes) -> Callable[[dict[str, Any]], None]:
    """Return a change that replaces the compressed body."""

    def change(envelope: dict[str, Any]) -> None:
        envelope["body"] = base64.b64encode(zlib.compress(content)).decode()

    return change


def _envelope(**changed: object) -> Callable[[dict[str, Any]], None]:
    """Return a change that replaces parts of the envelope."""
    return lambda envelope: envelope.update(changed)


# What to do to a message that is a batch, by what comes of it.
HOSTILE = {
    "time limits that are none": _headers(timelimit=["a", "b"]),
    "time limit of the wrong type": _headers(timelimit=[None, "b"]),
    "hard time limit of the wrong type": _headers(timelimit=["a", None]),
    "time limits in lists": _headers(timelimit=[[], [1]]),
    "time limits that are too many": _headers(timelimit=[1, 2, 3]),
    "time limits below nothing": _headers(timelimit=[-1, -1]),
    "no id": _headers(id=None),
    "an id of the wrong type": _headers(id=["a"]),
    "an id that is a number": _headers(id=5),
    "no task": _headers(task=None),
    "a task of the wrong type": _headers(task=["a"]),
    "a task that is not ours": _headers(task="celery.backend_cleanup"),
    "neither our task nor an id": _envelope(headers={"task": "a"}),
    "retries of the wrong type": _headers(retries="many"),
    "a time of the wrong type": _headers(eta=["a"]),
    "a time that is none": _headers(eta="tomorrow"),
    "a time that no clock shows": _headers(eta="9999-12-31T23:59:59-23:59"),
    "an end that no clock shows": _headers(expires="0001-01-01T00:00:00+23:59"),
    "an end that is a number": _headers(expires=-1e300),
    "a name of the wrong type": _headers(shadow={"a": 1}),
    "callers of the wrong type": _headers(parent_id={}, root_id=[], group=5),
    "stamps of the wrong type": _headers(stamps=5, stamped_headers=5),
    "an ignored result of the wrong type": _headers(ignore_result={}),
    "an unknown compression": _headers(compression="a"),
    "a compression of the wrong type": _headers(compression=["a"]),
    "no headers": _envelope(headers=None),
    "another type of content": _envelope(**{"content-type": "application/x-python-serialize"}),
    "a type of content of the wrong type": _envelope(**{"content-type": ["a"]}),
    "an unknown encoding": _envelope(**{"content-encoding": "a"}),
    "an empty body": _body(b""),
    "an empty list": _body(b"[]"),
    "an empty object": _body(b"{}"),
    "a number": _body(b"5"),
    "nothing": _body(b"null"),
    "a list that is too short": _body(b"[[], {}]"),
    "arguments of the wrong types": _body(b"[5, 5, 5]"),
    "no arguments": _body(b"[[], {}, {}]"),
    "arguments that are too many": _body(b'[[1, 2, 3], {"a": 1}, {}]'),
    "what to do next of the wrong type": _body(b'[[1], {}, {"callbacks": 5, "chain": 5}]'),
    "a task to do next": _body(b'[[1], {}, {"chain": [{"task": "a", "args": 5}]}]'),
    "a chord of the wrong type": _body(b'[[1], {}, {"chord": 5, "errbacks": [5]}]'),
    "an old message": _body(b'{"task": "scanner.scan_batch", "id": "a", "args": 5, "kwargs": 5}'),
    "an old message without an id": _body(b'{"args": [], "kwargs": {}}'),
    "brackets without end": _body(b"[" * 1_000_000),
    "not UTF-8": _body(b"\xff\xfe"),
    "plenty of nothing": _body(PLENTY),
}

# Items that are no message, and end before Celery sees them.
NO_MESSAGES = [
    b"",
    b"not JSON",
    b"\xff\xfe",
    b"null",
    b"5",
    b"[]",
    b"{}",
    b"[" * 1_000_000,
    b'{"properties": 5}',
    b'{"properties": 5, "body": "a"}',
    b'{"properties": {}}',
    b'{"properties": {"delivery_tag": ["a"]}, "body": "a"}',
    b'{"properties": {"delivery_tag": {}}}',
    b'{"properties": {"delivery_tag": null}}',
    b'{"properties": {"delivery_tag": true}}',
    b'{"properties": {"delivery_tag": "a", "body_encoding": "base64"}, "body": "a"}',
    b'{"properties": {"delivery_tag": "a", "body_encoding": "rot13"}, "body": "a"}',
    b'{"properties": {"delivery_tag": "a", "delivery_info": 5}, "body": "a"}',
]


@pytest.fixture
def few(photo: Path, tmp_path: Path) -> Path:
    """Make a folder of three photographs, which are one batch."""
    folder = tmp_path / "few"
    folder.mkdir()
    for number in range(3):
        os.link(photo, folder / f"{number}.jpg")
    return folder


def _push(client: redis.Redis, queue: bytes, template: bytes) -> None:
    """Put every hostile message on the queue."""
    for change in HOSTILE.values():
        envelope = json.loads(template)
        envelope["properties"]["delivery_tag"] = str(uuid.uuid4())
        change(envelope)
        client.lpush(queue, json.dumps(envelope))
    client.lpush(queue, *NO_MESSAGES)


def test_hostile_messages(
    fleet_on: Callable[[str], Fleet], clean_redis: str, tmp_path: Path, few: Path
) -> None:
    """A worker drops invalid messages of any shape, and judges the batches that follow."""
    fleet = fleet_on(f"sqlite:///{tmp_path}/store.db")
    first = int(fleet.cli.json("enqueue", few, "--json")["scan"])
    with redis.Redis.from_url(clean_redis) as client:
        (queue,) = client.scan_iter(_type="list")
        template = client.lindex(queue, 0)
        _push(client, queue, template)
        worker = fleet.work()
        end = time.monotonic() + 60
        while client.llen(queue) and worker.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        second = int(fleet.cli.json("enqueue", few, "--rescan", "--json")["scan"])
        for scan_id in (first, second):
            fleet.wait(scan_id, lambda seen: seen.pending == 0 or worker.poll() is not None)

        assert worker.poll() is None
        assert [0, 0] == [fleet.counts(scan_id).pending for scan_id in (first, second)]
        # Nothing was put back for the next worker.
        assert [0, 0] == [
            client.llen(queue),
            client.hlen(queue.removesuffix(b"queue") + b"unacked"),
        ]
