"""Fingerprints: a worker checks that a source has the collection."""

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
    """Yield the namespace of a store in an empty Redis."""
    client = make_redis(clean_redis)
    yield Namespace(client, "s1")
    client.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of five files."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(5):
        (photos / f"{number}.jpg").write_bytes(b"%d" % number)
    return photos


SAMPLE = [
    KnownFile(b"%d.jpg" % number, 1, hashlib.sha256(b"%d" % number).digest()) for number in range(5)
]


def test_round_trip(namespace: Namespace) -> None:
    """A fingerprint comes back as it was stored, whatever the names of the files."""
    strange = KnownFile(b"\xff.jpg", 3, b"\x01" * 32)
    store_fingerprint(namespace, "photos", [strange])

    assert (strange,) == fingerprint_of(namespace, "photos")
    assert () == fingerprint_of(namespace, "other")
    assert ["photos"] == collections_with_fingerprint(namespace)


@pytest.mark.parametrize("raw", ["", "5", "{", "[[1]]", '[["a", -1, "x"]]', '[[["a"], 1, "x"]]'])
def test_invalid_fingerprint(namespace: Namespace, raw: str) -> None:
    """An invalid fingerprint is ignored."""
    namespace.client.hset(namespace.key("samples"), "photos", raw)

    assert () == fingerprint_of(namespace, "photos")


def test_matching_source(folder: Path) -> None:
    """A source matches even if two of five files have changed."""
    (folder / "0.jpg").write_bytes(b"changed")
    (folder / "1.jpg").unlink()
    with LocalSource(folder) as root:
        verify_fingerprint(root, SAMPLE)
        verify_fingerprint(root, [])


def test_other_source(folder: Path) -> None:
    """Files with the same names and sizes but other content do not match."""
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(b"x")
    with LocalSource(folder) as root, pytest.raises(WrongCollection, match="3 of 5 files"):
        verify_fingerprint(root, SAMPLE)


def test_wrong_folder_is_refused(namespace: Namespace, folder: Path) -> None:
    """A worker reads nothing from a folder that is not the collection."""
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


def test_verified_once(namespace: Namespace, folder: Path) -> None:
    """The fingerprint is verified once, and again for another disk."""
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
