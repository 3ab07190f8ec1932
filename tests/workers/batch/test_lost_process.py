"""The batch of a process that was killed: given up by its main process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from storage.records import BatchImage, Plan
from workers.batch.lost_process import abandon_batch
from workers.broker.app import make_namespace
from workers.broker.batch_message import BatchMessage, encode_batch, sign_batch
from workers.broker.batch_parts import BatchPart
from workers.broker.leases import ImageTimer, Lease, Orphan, orphaned_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.broker.namespace import Namespace

MESSAGE = sign_batch(
    BatchMessage(7, 12, 1, "photos", Plan(()), (BatchImage(5, b"a.jpg", 10),), part=3),
    "s1",
    bytes(range(32)),
)
PART = BatchPart(12, 3)


@pytest.fixture
def namespace(clean_redis: str) -> Iterator[Namespace]:
    """Return a store's namespace in an empty Redis."""
    opened = make_namespace(clean_redis, "s1")
    yield opened
    opened.client.close()


def test_its_batch_is_an_orphan(namespace: Namespace) -> None:
    """The part that a killed process had is an orphan, before its lease expires."""
    with Lease(namespace, PART, "pi4:17", ImageTimer(60.0), print) as held:
        held.acquire()
        abandon_batch(namespace, [encode_batch(MESSAGE)], "pi4:17")

        assert [Orphan(PART)] == orphaned_parts(namespace)


def test_the_batch_of_another_process(namespace: Namespace) -> None:
    """A part that another process has by now stays its own."""
    with Lease(namespace, PART, "pi5:4", ImageTimer(60.0), print) as held:
        held.acquire()
        abandon_batch(namespace, [encode_batch(MESSAGE)], "pi4:17")

        assert [] == orphaned_parts(namespace)
        held.release()


@pytest.mark.parametrize("raw", [None, {"v": 1}, {"v": 99}, "junk"])
def test_invalid_message(namespace: Namespace, raw: object) -> None:
    """The message that the killed process had may have been invalid."""
    abandon_batch(namespace, [raw], "pi4:17")

    assert [] == orphaned_parts(namespace)


def test_without_the_broker(caplog: pytest.LogCaptureFixture) -> None:
    """A broker that is away is logged: the lease expires anyway."""
    away = make_namespace("redis://127.0.0.1:1/0", "s1")
    abandon_batch(away, [encode_batch(MESSAGE)], "pi4:17")

    assert "will expire" in caplog.text
