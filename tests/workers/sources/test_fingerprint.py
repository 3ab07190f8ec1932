"""Whether a place has the collection that a worker was told it has."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING

import pytest

from workers.broker.app import make_redis
from workers.broker.collection_fingerprints import (
    collections_with_fingerprint,
    fingerprint_of,
    store_fingerprint,
)
from workers.broker.namespace import Namespace
from workers.sources.fingerprint import KnownFile, WrongCollection, verify_fingerprint
from workers.sources.local import LocalSource
from workers.sources.registry import SourceRegistry
from workers.sources.source import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workers.sources.location import SourceLocation


@pytest.fixture
def namespace(clean_redis: str) -> Iterator[Namespace]:
    """An empty Redis."""
    client = make_redis(clean_redis)
    yield Namespace(client, "s1")
    client.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of five files."""
    made = tmp_path / "photos"
    made.mkdir()
    for number in range(5):
        (made / f"{number}.jpg").write_bytes(b"%d" % number)
    return made


SAMPLE = [
    KnownFile(b"%d.jpg" % number, 1, hashlib.sha256(b"%d" % number).digest()) for number in range(5)
]


def test_left_and_found(namespace: Namespace) -> None:
    """A sample comes back as it was left, whatever the files are called."""
    strange = KnownFile(b"\xff.jpg", 3, b"\x01" * 32)
    store_fingerprint(namespace, "photos", [strange])

    assert (strange,) == fingerprint_of(namespace, "photos")
    assert () == fingerprint_of(namespace, "other")
    assert ["photos"] == collections_with_fingerprint(namespace)


@pytest.mark.parametrize("raw", ["", "5", "{", "[[1]]", '[["a", -1, "x"]]', '[[["a"], 1, "x"]]'])
def test_no_sample(namespace: Namespace, raw: str) -> None:
    """What is no sample proves nothing, and ends nothing."""
    namespace.client.hset(namespace.key("samples"), "photos", raw)

    assert () == fingerprint_of(namespace, "photos")


def test_the_right_place(folder: Path) -> None:
    """The files are there; two that were changed since do not make it another place."""
    (folder / "0.jpg").write_bytes(b"changed")
    (folder / "1.jpg").unlink()
    with LocalSource(folder) as root:
        verify_fingerprint(root, SAMPLE)
        verify_fingerprint(root, [])


def test_another_place(folder: Path) -> None:
    """Files of the same names and sizes are not the same files."""
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(b"x")
    with LocalSource(folder) as root, pytest.raises(WrongCollection, match="3 of 5 files"):
        verify_fingerprint(root, SAMPLE)


def test_before_anything_is_taken(namespace: Namespace, folder: Path) -> None:
    """A worker that was sent to another folder reads nothing there as if it were the collection."""
    store_fingerprint(namespace, "photos", SAMPLE)
    other = folder.with_name("other")
    other.mkdir()
    (other / "0.jpg").write_bytes(b"x")
    places: dict[str, SourceLocation] = {"photos": other}
    roots = SourceRegistry(places, lambda _name: other, partial(fingerprint_of, namespace), 1000)
    with pytest.raises(SourceUnavailable, match="other is not photos: 5 of 5 files"):
        roots.get("photos")
    # Whoever mounts the right one there need not start the worker again.
    other.rename(folder.with_name("away"))
    folder.rename(other)

    assert b"4" == roots.get("photos").fetch(b"4.jpg").data
    roots.forget("photos")


def test_proved_once(namespace: Namespace, folder: Path) -> None:
    """The sample is read once, and again when another disk is in the place."""
    store_fingerprint(namespace, "photos", SAMPLE)
    roots = SourceRegistry(
        {"photos": folder}, lambda _name: folder, partial(fingerprint_of, namespace), 1000
    )
    roots.get("photos")
    roots.forget("photos")
    for file in folder.iterdir():
        file.write_bytes(b"changed")
    roots.get("photos")
    roots.forget("photos")
    folder.rename(folder.with_name("away"))
    folder.mkdir()
    (folder / "x").touch()
    with pytest.raises(SourceUnavailable, match="is not photos"):
        roots.get("photos")
