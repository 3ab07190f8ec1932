"""Dead letters: bounded, and readable whatever is among them; the times of what is missing."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from workers.broker.app import make_namespace
from workers.broker.dead_letters import (
    MAX_LETTERS,
    bury,
    dead_letter,
    drop_letters,
    letters_key,
    read_letters,
)
from workers.broker.field_types import MessageError
from workers.broker.missing import MissingSince, reset_all, stuck_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.broker.namespace import Namespace


@pytest.fixture
def namespace(clean_redis: str) -> Iterator[Namespace]:
    """Return the keys of a store in an empty Redis."""
    namespace = make_namespace(clean_redis, "s1")
    yield namespace
    namespace.client.close()


def test_newest_first(namespace: Namespace) -> None:
    """A letter has its message, its batch and the reason; the newest is the first."""
    bury(namespace, dead_letter("result", "unsigned", "result writer", {"v": 4}))
    bury(namespace, dead_letter("batch", "not mapped", "pi4:1", [1, "é"], (7, 12)))
    new, old = read_letters(namespace)

    assert ("batch", "not mapped", "pi4:1", 7, 12) == (
        new.kind,
        new.reason,
        new.by,
        new.scan_id,
        new.batch_id,
    )
    assert ([1, "é"], {"v": 4}) == (new.message(), old.message())


def test_bounds(namespace: Namespace) -> None:
    """Old letters make room for new ones; a very large message is not kept."""
    for number in range(MAX_LETTERS + 5):
        bury(namespace, dead_letter("batch", str(number), "pi4:1", None))
    large = dead_letter("batch", "x" * 10_000, "y" * 10_000, secrets.token_hex(200_000))

    assert MAX_LETTERS == len(read_letters(namespace))
    assert "204" == read_letters(namespace)[0].reason
    assert (500, 500) == (len(large.reason), len(large.by))
    with pytest.raises(MessageError, match="was not kept"):
        large.message()


def test_junk_among_them(namespace: Namespace) -> None:
    """What is no letter, and a letter whose message cannot be unpacked, keep no other back."""
    good = dead_letter("batch", "good", "pi4:1", 5)
    bury(namespace, good)
    namespace.client.lpush(letters_key(namespace), b"junk", b"{}", b"\xff", b"[" * 100_000)
    bomb = dead_letter("batch", "bomb", "pi4:1", " " * 40_000_000)
    bury(namespace, bomb)

    assert ["bomb", "good"] == [letter.reason for letter in read_letters(namespace)]
    with pytest.raises(MessageError):
        bomb.message()
    drop_letters(namespace, lambda letter: letter.letter_id == good.letter_id)
    assert ["bomb"] == [letter.reason for letter in read_letters(namespace)]


def test_time_until_it_is_given_up(namespace: Namespace) -> None:
    """The time ends after its limit, for each thing, and begins again once it is there."""
    ended, waiting = MissingSince(namespace, -1), MissingSince(namespace, 600)

    assert ended.is_over("collection a")
    assert not waiting.is_over("collection a")
    waiting.reset("collection a", "plan b")
    assert 0 == namespace.client.hlen(stuck_key(namespace))
    namespace.client.hset(stuck_key(namespace), "collection a", 1)
    namespace.client.hset(stuck_key(namespace), "plan b", "junk")
    assert [True, False] == [waiting.is_over("collection a"), waiting.is_over("plan b")]
    reset_all(namespace)
    assert not waiting.is_over("collection a")
